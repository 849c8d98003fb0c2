"""Figures of what :func:`flexclim.verify.climate.evaluate` and its parts return."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.plotting.drawings import Drawing
from flexclim.plotting.unit_labels import units_of
from flexclim.verify.plot.score_figures import COLOURS, INK, finish, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MONTHS = "JFMAMJJASOND"
SOURCE, TRUTH = "source", "truth"


@suggest_options
def change_signal(
    signal: xr.Dataset,
    variable: str | None = None,
    statistic: str | None = None,
    ax: Axes | None = None,
) -> Drawing[Axes]:
    """Draw the mean change by season of all sources side by side.

    Parameters
    ----------
    signal
        From :func:`flexclim.verify.climate.change_signal` or
        :func:`flexclim.verify.climate.evaluate`.
    variable
        Which variable, where there are several.
    statistic
        ``"mean"`` or a quantile such as ``"99 %"``. Default: all of the whole year.
    ax
        Where to draw.

    >>> figure, ax = change_signal(signal, "pr", "mean")  # doctest: +SKIP
    """
    change = _part(signal, "mean_change", variable).dropna(SOURCE, how="all")
    if statistic is not None:
        if statistic not in change["statistic"].values:
            known = [*map(str, change["statistic"].values)]
            raise FlexclimError(f"no statistic {statistic!r} in the signal: choose from {known}.")
        change, dim, title = change.sel(statistic=statistic), "season", f"Change of the {statistic}"
    else:
        change, dim, title = change.isel(season=0), "statistic", "Change over the whole year"
    ax = ax or new_axes()
    labels = [str(label) for label in change[dim].values]
    coloured = _coloured(change)
    width = 0.8 / len(coloured)
    for index, (source, colour) in enumerate(coloured):
        place = np.arange(len(labels)) + (index - (len(coloured) - 1) / 2) * width
        ax.bar(place, change.sel({SOURCE: source}).values, width, color=colour, label=source)
    ax.axhline(0, color=INK, lw=0.8)
    ax.set_xticks(range(len(labels)), labels)
    ax.set(ylabel=f"change, {units_of(change)}", title=title)
    ax.margins(y=0.3)
    return finish(ax)


@suggest_options
def seasonal_cycle(
    climate: xr.Dataset | xr.DataArray, variable: str | None = None, ax: Axes | None = None
) -> Drawing[Axes]:
    """Draw the mean of each month, of all sources.

    Parameters
    ----------
    climate
        From :func:`flexclim.verify.climate.evaluate`, or (source, month) of your own.
    variable
        Which variable, where there are several.
    ax
        Where to draw.

    >>> figure, ax = seasonal_cycle(climate, "tasmax")  # doctest: +SKIP
    """
    values = _part(climate, "seasonal_cycle", variable)
    ax = _lines(values, "month", ax)
    ax.set_xticks(range(1, 13), list(MONTHS))
    ax.set(ylabel=units_of(values), title="Seasonal cycle")
    return finish(ax)


@suggest_options
def diurnal_cycle(
    climate: xr.Dataset | xr.DataArray, variable: str | None = None, ax: Axes | None = None
) -> Drawing[Axes]:
    """Draw the mean of each time of the day, of all sources; parameters as seasonal_cycle.

    >>> figure, ax = diurnal_cycle(climate, "t2m")  # doctest: +SKIP
    """
    values = _part(climate, "diurnal_cycle", variable)
    ax = _lines(values, "hour", ax)
    ax.set(xlabel="hour", ylabel=units_of(values), title="Diurnal cycle")
    return finish(ax)


@suggest_options
def return_levels(
    climate: xr.Dataset, variable: str | None = None, ax: Axes | None = None
) -> Drawing[Axes]:
    """Draw return levels against return periods, with the intervals of all sources.

    Parameters
    ----------
    climate
        From :func:`flexclim.verify.climate.evaluate`; or ``level``, ``low`` and ``high`` of
        :func:`flexclim.verify.climate.return_levels`, of one place.
    variable
        Which variable, where there are several.
    ax
        Where to draw.

    >>> figure, ax = return_levels(climate, "pr")  # doctest: +SKIP
    """
    if "level" in climate or f"level.{variable}" in climate:
        level, low, high = (_part(climate, n, variable) for n in ("level", "low", "high"))
    else:
        names = ("return_level", "return_low", "return_high")
        level, low, high = (_part(climate, n, variable) for n in names)
    ax = _lines(level, "period", ax, marker="o")
    for source, colour in _coloured(level):
        bottom, top = (one.sel({SOURCE: source}) if source else one for one in (low, high))
        ax.fill_between(level["period"].values, bottom.values, top.values, color=colour, alpha=0.15)
    ax.set(xscale="log", xlabel="return period, years", ylabel=units_of(level))
    ax.set_xticks(level["period"].values, [f"{p:g}" for p in level["period"].values])
    ax.minorticks_off()
    ax.set_title("Return levels of yearly extremes")
    return finish(ax)


@suggest_options
def spells(
    climate: xr.Dataset | xr.DataArray,
    variable: str | None = None,
    spell: str = "below",
    ax: Axes | None = None,
) -> Drawing[Axes]:
    """Draw the share of spells that last at least so many days, of all sources.

    Parameters
    ----------
    climate
        From :func:`flexclim.verify.climate.evaluate`.
    variable
        Which variable, where there are several.
    spell
        ``"below"`` for dry spells, ``"above"`` for wet ones.
    ax
        Where to draw.

    >>> figure, ax = spells(climate, "pr")  # doctest: +SKIP
    """
    values = _part(climate, "spell_share", variable)
    if spell not in values["spell"].values:
        raise FlexclimError(f"spell={spell!r} is unknown: use 'above' or 'below'.")
    values = values.sel(spell=spell)
    ax = _lines(values.where(values > 0), "days", ax)
    word = "Dry spells" if spell == "below" else "Wet spells"
    ax.set(yscale="log", xlabel="days", ylabel="share that lasts so long", title=word)
    return finish(ax)


def _part(climate: xr.Dataset | xr.DataArray, name: str, variable: str | None) -> xr.DataArray:
    """Return a part of a result, of the only variable or a named one."""
    if isinstance(climate, xr.DataArray):
        return climate
    names = [str(n) for n in climate.data_vars if str(n).partition(".")[0] == name]
    wanted = name if variable is None else f"{name}.{variable}"
    if variable is None and len(names) == 1:
        wanted = names[0]
    if wanted not in climate:
        known = names or sorted({str(n).partition(".")[0] for n in climate.data_vars})
        raise FlexclimError(f"no {wanted!r} in the climate, which has {known}. Name a variable.")
    return climate[wanted]


def _coloured(values: xr.DataArray) -> list[tuple[str, str]]:
    """Return the sources with values and their colours, which do not depend on each other."""
    if SOURCE not in values.dims:
        return [("", COLOURS[0])]
    names = [str(name) for name in values[SOURCE].values]
    others = [name for name in names if name != TRUTH]
    palette = (COLOURS[3], COLOURS[4], *COLOURS[:1], COLOURS[5], COLOURS[2])
    colours = {n: palette[i % len(palette)] for i, n in enumerate(others)} | {TRUTH: INK}
    return [(n, colours[n]) for n in names if values.sel({SOURCE: n}).notnull().any()]


def _lines(values: xr.DataArray, dim: str, ax: Axes | None, marker: str = "") -> Axes:
    """Draw a line for each source."""
    if extra := [d for d in values.dims if d not in (dim, SOURCE)]:
        raise FlexclimError(
            f"{values.name!r} has the dimension {extra[0]!r} besides {dim!r}. Average over it, or "
            "select along it."
        )
    ax = ax or new_axes()
    for source, colour in _coloured(values):
        line = values.sel({SOURCE: source}) if source else values
        width = 2.2 if source == TRUTH else 1.5
        ax.plot(
            values[dim].values, line.values, color=colour, label=source, lw=width, marker=marker
        )
    return ax
