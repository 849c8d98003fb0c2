"""The climate change signal of several sources side by side, and how much of it was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.climate.climatology import QUANTILES, climatology_of
from flexclim.verify.climate.common_grid import SOURCE, area_mean, join_sources
from flexclim.verify.climate.precipitation import is_total_precipitation
from flexclim.verify.climate.simulations import (
    by_variable,
    comparable,
    joined_variables,
    two_periods,
)
from flexclim.verify.climate.yearly_series import TIME, YEAR, time_series

KEPT = "season", "statistic"


@suggest_options
def change_signal(
    simulations: Mapping[str, Sequence[xr.DataArray | xr.Dataset]],
    quantiles: Sequence[float] = QUANTILES,
    *,
    relative: bool | None = None,
) -> xr.Dataset:
    """Change of mean and quantiles from a past to a future period, by season and source.

    Parameters
    ----------
    simulations
        For each source, its fields of the past and of the future: (realization, time, ...), such
        as ``{"GCM": (past, future), "adjusted": (...), "downscaled": (...)}``. The first is the one
        whose signal is to be kept. Calendars, grids and units may differ, also the lengths of the
        periods.
    quantiles
        Probabilities from 0 to 1.
    relative
        Whether changes are in per cent of the past. Default: for precipitation.

    Returns
    -------
    Dataset
        ``change`` (source, season, statistic, y, x): of the mean and of each quantile in each
        cell of a source's own grid, averaged onto the cells of the first source.
        ``mean_change`` (source, season, statistic), its mean over the cells that all sources
        have, weighted by area; in per cent, that of the means. ``kept``, the same over that of
        the first source. Of Datasets, ``change.tas`` and so on. Lazy if the fields are. Missing
        values as in :func:`climatology`.

    Raises
    ------
    FlexclimError
        If a source lacks a period, a future begins before its past, or there are no dates.
    AlignmentError
        If sources have no variable in common, or units or points that can't be compared.

    >>> days = xr.date_range("2001-01-01", periods=730, freq="D")
    >>> past = xr.DataArray(np.zeros(730), {"time": days}, name="tas")
    >>> future = past.assign_coords(time=xr.date_range("2061-01-01", periods=730, freq="D"))
    >>> found = change_signal({"GCM": (past, future + 2), "adjusted": (past, future + 1.5)})
    >>> found.kept.sel(season="year", statistic="mean").values
    array([1.  , 0.75])
    """
    found = {
        name: _signal(comparable(fields), quantiles, relative)
        for name, fields in by_variable(two_periods(simulations)).items()
    }
    return joined_variables(found)


@suggest_options
def describe_signal(signal: xr.Dataset, variable: str | None = None) -> str:
    """Say how much of the change of the first source the others kept, over the whole year.

    Parameters
    ----------
    signal
        From :func:`change_signal`.
    variable
        Which variable, where there are several.

    Returns
    -------
    str
        A line for the mean and for each quantile of which the first source has a change; there is
        none in per cent where the past is 0, as for the median of rain.

    >>> change = xr.DataArray(
    ...     [[[2.0]], [[1.5]]],
    ...     {"source": ["GCM", "adjusted"], "season": ["year"], "statistic": ["mean"]},
    ...     ["source", "season", "statistic"],
    ...     attrs={"units": "K"},
    ... )
    >>> print(describe_signal(xr.Dataset({"mean_change": change, "kept": change / 2})))
    mean: GCM +2 K; adjusted +1.5 K (75 % kept)
    """
    suffix = "" if variable is None else f".{variable}"
    if f"mean_change{suffix}" not in signal:
        names = sorted(str(n) for n in signal.data_vars if str(n).startswith("mean_change"))
        raise FlexclimError(f"no 'mean_change{suffix}' in the signal, which has {names}.")
    change, kept = (signal[f"{n}{suffix}"].sel(season=YEAR) for n in ("mean_change", "kept"))
    units = change.attrs.get("units", "")
    first, *others = change[SOURCE].values
    lines = []
    for statistic in change["statistic"].values:
        values, shares = change.sel(statistic=statistic), kept.sel(statistic=statistic)
        if not bool(np.isfinite(values.sel(source=first))):
            continue
        texts = [f"{first} {float(values.sel(source=first)):+.3g} {units}".rstrip()]
        texts += [
            f"{one} {float(values.sel(source=one)):+.3g} {units}".rstrip()
            + f" ({float(shares.sel(source=one)):.0%} kept)".replace("%", " %")
            for one in others
        ]
        lines.append(f"{statistic}: {'; '.join(texts)}")
    return "\n".join(lines)


def _signal(
    fields: Mapping[str, xr.DataArray], quantiles: Sequence[float], relative: bool | None
) -> xr.Dataset:
    """Return the signal of one variable, from ``"source, past"`` and ``"source, future"``."""
    first = next(iter(fields.values()))
    relative = is_total_precipitation(first) if relative is None else relative
    _check_order(fields)
    each = {n: _statistics(one, quantiles, n).to_dataset(name="map") for n, one in fields.items()}
    maps = join_sources(each, KEPT)["map"]
    names = [str(n).removesuffix(", past") for n in maps[SOURCE].values[::2]]
    past, future = (
        maps.isel({SOURCE: slice(start, None, 2)}).assign_coords({SOURCE: np.array(names, object)})
        for start in (0, 1)
    )
    change = future - past
    mean = area_mean(change, KEPT)
    units, more = maps.attrs.get("units"), {}
    if relative:
        base = area_mean(past.where(change.notnull()), KEPT)
        change, mean = (100 * a / b.where(b != 0) for a, b in ((change, past), (mean, base)))
        units = "%"
    elif "units_metadata" in maps.attrs:
        more = {"units_metadata": "temperature: difference"}
    reference = mean.isel({SOURCE: 0}, drop=True)
    kept = mean / reference.where(reference != 0)
    name = first.attrs.get("long_name", first.name) or "the field"
    more |= {} if units is None else {"units": units}
    kept.attrs = {"long_name": f"share of the change of {name} that was kept", "units": "1"}
    change.attrs = {"long_name": f"change of {name}", **more}
    mean.attrs = {"long_name": f"mean change of {name}", **more}
    return xr.Dataset({"change": change, "mean_change": mean, "kept": kept})


def _statistics(field: xr.DataArray, quantiles: Sequence[float], source: str) -> xr.DataArray:
    """Return (season, statistic, ...): the mean, then the quantiles."""
    parts = climatology_of(field, quantiles, source)
    levels = parts["quantile"].values.tolist()
    names = np.array(["mean", *(f"{100 * level:.6g} %" for level in levels)], object)
    mean = parts["mean"].expand_dims(quantile=[np.nan], axis=1)
    joined = xr.concat([mean, parts["quantiles"]], "quantile", combine_attrs="override")
    return joined.rename(quantile="statistic").assign_coords(statistic=names)


def _check_order(fields: Mapping[str, xr.DataArray]) -> None:
    """Raise if a future begins before its past."""
    years = {n: int(time_series(one, n)[TIME].dt.year[0]) for n, one in fields.items()}
    for name, year in years.items():
        source = name.removesuffix(", future")
        if name != source and year < years[f"{source}, past"]:
            raise FlexclimError(
                f"the future of {source!r} begins in {year}, its past in "
                f"{years[f'{source}, past']}. Give them as (past, future)."
            )
