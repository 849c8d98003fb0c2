"""The part of a report on the climate of several sources."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.plotting.colours import signed
from flexclim.plotting.drawings import Drawing
from flexclim.verify import plot
from flexclim.verify.climate.change_signal import describe_signal
from flexclim.verify.climate.index_definitions import INDICES
from flexclim.verify.climate.yearly_series import YEAR
from flexclim.verify.report.html import blank_axes, facts, pair, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SOURCE = "source"
# Part, heading, whether it has seasons.
COLUMNS = {
    "mean": ("mean", "Mean of the whole year."),
    "quantiles": ("", "Quantiles of all values of a cell."),
    "deviation": ("std. dev.", "Standard deviation of all values of a cell."),
    "interannual": ("interannual", "Standard deviation of yearly means."),
    "autocorrelation": ("lag 1", "Correlation of values one time step apart."),
    "absolute_bias": ("|bias|", "Mean absolute bias of the mean of a cell."),
    "wasserstein": (
        "Wasserstein",
        "Mean distance between the distribution of a cell and that of the truth.",
    ),
}
FIGURES: dict[str, tuple[Callable[..., Drawing[Axes]], str]] = {
    "seasonal_cycle": (plot.seasonal_cycle, "Mean of each month over all years."),
    "diurnal_cycle": (plot.diurnal_cycle, "Mean of each time of the day."),
    "return_level": (
        plot.return_levels,
        "From a generalised extreme value distribution fitted by L-moments in each cell. Levels, "
        "and ends of 90 % intervals from a bootstrap, are averages over cells.",
    ),
    "spell_share": (
        partial(plot.spells, spell="below"),
        "Of all dry spells (days below 1 mm), the share that lasts at least so long.",
    ),
    "mean_change": (
        plot.change_signal,
        "Change of the mean and of quantiles from the past to the future, over the whole year.",
    ),
}
MEANING = (
    "Averages over the cells that all sources have, weighted by area, on the grid of the first "
    "source. Simulations and truth need not agree day by day."
)


def variables_of(climate: xr.Dataset) -> list[str]:
    """Return the names of the variables of a climate evaluation."""
    names = [str(name) for name in climate.data_vars]
    return [name.partition(".")[2] for name in names if name.startswith("seasonal_cycle.")]


def climate_table(climate: xr.Dataset) -> pd.DataFrame:
    """Return statistics and indices of each variable, a column for each source."""
    rows = {}
    for variable in variables_of(climate):
        columns = _statistics(climate, variable) | _indices(climate, variable)
        for heading, values in columns.items():
            each = values.reindex({SOURCE: climate[SOURCE]}).values
            rows[variable, heading] = dict(zip(map(str, climate[SOURCE].values), each, strict=True))
    found = pd.DataFrame.from_dict(rows, orient="index")
    return found.rename_axis(["variable", "statistic"])


def climate_sections(climate: xr.Dataset) -> str:
    """Return the sections of all variables, and what their tables mean."""
    sections = [_section(climate, variable) for variable in variables_of(climate)]
    notes = {heading or "quantiles": text for heading, text in COLUMNS.values()}
    notes |= {
        n: f"{one.text}; mean of all years." for n, one in INDICES.items() if _has(climate, n)
    }
    return "\n".join(
        [*sections, f'<h2>Climate</h2>{facts(notes)}<p class="soft">{escape(MEANING)}</p>']
    )


def signal_lines(climate: xr.Dataset) -> str:
    """Say of each variable how much of the change signal was kept."""
    lines = []
    for variable in variables_of(climate):
        if f"mean_change.{variable}" in climate:
            known = climate[f"mean_change.{variable}"].dropna(SOURCE, how="all")[SOURCE]
            text = describe_signal(climate.sel({SOURCE: known}), variable)
            each = "<br>".join(map(escape, text.splitlines()))
            lines.append(f"<p><b>{escape(variable)}</b>, change signal kept:<br>{each}</p>")
    return "".join(lines)


def _section(climate: xr.Dataset, variable: str) -> str:
    figures = [
        picture(
            draw(climate, variable, ax=blank_axes()).figure,
            f"{name.replace('_', ' ')} of {variable}",
            caption,
        )
        for name, (draw, caption) in FIGURES.items()
        if f"{name}.{variable}" in climate
    ]
    bias = f"bias.{variable}"
    if bias in climate and climate[bias].ndim == 3:
        figures += _bias_maps(climate[bias], variable)
    return "\n".join(
        [
            f'<h2 id="climate-{escape(variable)}">Climate: {escape(variable)}</h2>',
            _table(_statistics(climate, variable)),
            _table(_indices(climate, variable)),
            pair(*figures),
        ]
    )


def _bias_maps(bias: xr.DataArray, variable: str) -> list[str]:
    """Return a map of the bias of each source, on one colour scale."""
    maps, style = [], signed(bias)
    for source in map(str, bias[SOURCE].values):
        field = bias.sel({SOURCE: source})
        if field.notnull().any():
            ax = blank_axes(field)
            figure = plot.field_map(field, ax, title=f"Bias, {source}", **style).figure
            maps.append(picture(figure, f"bias of {variable}, {source}", f"{source} minus truth."))
    return maps


def _statistics(climate: xr.Dataset, variable: str) -> dict[str, xr.DataArray]:
    """Return the columns of the table of statistics: heading with units, values by source."""
    found = {}
    for part, (heading, _) in COLUMNS.items():
        name = f"{part}.{variable}"
        if name not in climate:
            continue
        values = climate[name]
        units = plot.pretty_units(str(values.attrs.get("units", "")))
        if "season" in values.dims:
            values = values.sel(season=YEAR)
        if "quantile" in values.dims:
            for level in values["quantile"].values.tolist():
                found[f"{100 * level:g} %, {units}"] = values.sel(quantile=level)
        else:
            found[heading if units in ("", "1") else f"{heading}, {units}"] = values
    return found


def _indices(climate: xr.Dataset, variable: str) -> dict[str, xr.DataArray]:
    """Return the columns of the table of indices."""
    found = {}
    for name in INDICES:
        if f"{name}.{variable}" in climate:
            values = climate[f"{name}.{variable}"]
            units = plot.pretty_units(str(values.attrs.get("units", "")))
            found[f"{name.upper()}, {units}"] = values
    return found


def _table(columns: dict[str, xr.DataArray]) -> str:
    """Return a table with a row for each source."""
    if not columns:
        return ""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in columns)
    rows = []
    for source in map(str, next(iter(columns.values()))[SOURCE].values):
        numbers = [float(values.sel({SOURCE: source})) for values in columns.values()]
        cells = "".join(f"<td>{'–' if np.isnan(n) else f'{n:.4g}'}</td>" for n in numbers)
        rows.append(f"<tr><td>{escape(source)}</td>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _has(climate: xr.Dataset, name: str) -> bool:
    return any(str(one).startswith(f"{name}.") for one in climate.data_vars)
