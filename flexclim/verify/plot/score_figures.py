"""Figures of the scores that :func:`flexclim.verify.evaluate` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np
import xarray as xr

from flexclim.cf.times import is_time
from flexclim.errors import FlexclimError, suggest_options
from flexclim.plotting.drawings import Drawing, drawing_of, new_figure
from flexclim.plotting.unit_labels import pretty_units, units_of
from flexclim.verify.core.dates import standard_dates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0b6fa4", "#b8b8b8", "#7a7a7a", "#e08214", "#5aae61", "#9970ab")
INK = "#222222"


class LineStyle(TypedDict):
    """Width of a line, and its drawing order."""

    lw: float
    zorder: int


@suggest_options
def spectrum(scores: xr.Dataset, variable: str, ax: Axes | None = None) -> Drawing[Axes]:
    """Draw the power of the truth and all candidates against wavelength.

    Where a curve lies below the truth's, variance is missing at that scale.

    >>> figure, ax = spectrum(scores, "u10")  # doctest: +SKIP
    """
    power = part_of(scores, "spectrum", variable)
    power = power.isel(wavenumber=power["wavenumber"].values <= power.attrs["nyquist"])
    length, unit = _lengths(power)
    ax = ax or new_axes()
    for index, source in enumerate(map(str, power["source"].values)):
        colour = INK if source == "truth" else COLOURS[(index - 1) % len(COLOURS)]
        ax.plot(length, power.sel(source=source), color=colour, label=source, **_weight(source))
    truth = power.sel(source="truth")
    ax.set(xscale="log", yscale="log", xlabel=f"wavelength, {unit}", title="Power spectrum")
    ax.set_ylim(float(truth.min()) / 300, float(truth.max()) * 3)
    ax.set_ylabel(f"power, {units_of(power)}")
    ax.invert_xaxis()
    _plain_ticks(ax)
    return finish(ax)


@suggest_options
def coherence(scores: xr.Dataset, variable: str, ax: Axes | None = None) -> Drawing[Axes]:
    """Draw the coherence of each candidate with the truth against wavelength.

    Below the dotted line at one half, less than half of the variance is explained by the truth.

    >>> figure, ax = coherence(scores, "u10")  # doctest: +SKIP
    """
    values = part_of(scores, "coherence", variable)
    values = values.isel(wavenumber=values["wavenumber"].values <= values.attrs["nyquist"])
    length, unit = _lengths(values)
    ax = ax or new_axes()
    for candidate, colour in _coloured(values):
        line = values.sel(candidate=candidate)
        ax.plot(length, line, color=colour, label=candidate, **_weight(candidate))
    ax.axhline(0.5, color=INK, lw=0.8, ls=":")
    ax.set(xscale="log", ylim=(0, 1), xlabel=f"wavelength, {unit}", ylabel="coherence")
    ax.set_title("Coherence with the truth")
    ax.invert_xaxis()
    _plain_ticks(ax)
    return finish(ax)


@suggest_options
def rank_histogram(scores: xr.Dataset, variable: str, ax: Axes | None = None) -> Drawing[Axes]:
    """Draw the rank histogram, with a line for a perfect ensemble.

    A U shape means too little spread, a dome too much, a slope a bias.

    >>> figure, ax = rank_histogram(scores, "u10")  # doctest: +SKIP
    """
    ranks = part_of(scores, "rank_histogram", variable)
    ranks = ranks.mean([d for d in ranks.dims if d not in ("candidate", "rank")])
    shown = [
        (c, colour) for c, colour in _coloured(ranks) if ranks.sel(candidate=c).notnull().any()
    ]
    ax = ax or new_axes()
    width = 0.8 / len(shown)
    for index, (candidate, colour) in enumerate(shown):
        place = ranks["rank"].values + (index - (len(shown) - 1) / 2) * width
        height = ranks.sel(candidate=candidate)
        ax.bar(place, height, width, color=colour, label=candidate)
    ax.axhline(1 / ranks.sizes["rank"], color=INK, lw=1, ls="--", label="perfect")
    ax.set(xlabel="members below the truth", ylabel="share", title="Rank histogram")
    return finish(ax)


@suggest_options
def reliability(
    scores: xr.Dataset, variable: str, candidate: str = "forecast", ax: Axes | None = None
) -> Drawing[Axes]:
    """Draw the observed frequency for each forecast probability, with consistency bars.

    On the diagonal the forecast is reliable; a flatter curve is overconfident. Bars show the range
    of a reliable forecast if all points were independent.

    >>> figure, ax = reliability(scores, "u10", "forecast")  # doctest: +SKIP
    """
    parts = {
        name: part_of(scores, f"reliability_{name}", variable).sel(candidate=candidate)
        for name in ("frequency", "low", "high", "share")
    }
    chance = parts["frequency"]["probability"].values
    ax = ax or new_axes()
    ax.plot([0, 1], [0, 1], color=INK, lw=0.8, ls="--", label="perfect")
    ax.vlines(chance, parts["low"], parts["high"], color="#c9c9c9", lw=6, label="consistent")
    ax.plot(chance, parts["frequency"], "o-", color=COLOURS[0], label=candidate)
    inner = ax.inset_axes((0.62, 0.08, 0.35, 0.22))
    inner.bar(chance, parts["share"], 0.8 / chance.size, color=COLOURS[0])
    inner.set(yscale="log", xticks=[], title="share of forecasts")
    inner.title.set_fontsize("x-small")
    inner.tick_params(labelsize="x-small")
    threshold = parts["frequency"].attrs.get("threshold")
    event = "" if threshold is None else f" of values ≥ {threshold:.4g}"
    unit = pretty_units(parts["frequency"].attrs.get("threshold_units", ""))
    ax.set(xlabel=f"forecast probability{event} {unit}".rstrip(), ylabel="observed frequency")
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), title="Reliability")
    return finish(ax)


@suggest_options
def spread_error(scores: xr.Dataset, variable: str, ax: Axes | None = None) -> Drawing[Axes]:
    """Draw the error of the ensemble mean against the spread, bin by bin, with the diagonal.

    >>> figure, ax = spread_error(scores, "u10")  # doctest: +SKIP
    """
    spread, error = (part_of(scores, f"spread_error_{n}", variable) for n in ("spread", "error"))
    most = float(np.nanmax([spread.max(), error.max()])) * 1.05 or 1.0
    ax = ax or new_axes()
    ax.plot([0, most], [0, most], color=INK, lw=0.8, ls="--", label="perfect")
    for candidate, colour in _coloured(spread):
        if spread.sel(candidate=candidate).notnull().any():
            pair = (f.sel(candidate=candidate) for f in (spread, error))
            ax.plot(*pair, "o-", color=colour, label=candidate, **_weight(candidate))
    unit = units_of(spread)
    ax.set(xlabel=f"spread, {unit}", ylabel=f"error of the mean, {unit}")
    ax.set(xlim=(0, most), ylim=(0, most), title="Spread against error")
    return finish(ax)


@suggest_options
def quantiles(scores: xr.Dataset, variable: str, ax: Axes | None = None) -> Drawing[Axes]:
    """Draw quantiles of each candidate minus the truth's, against the truth's.

    >>> figure, ax = quantiles(scores, "u10")  # doctest: +SKIP
    """
    mine = part_of(scores, "quantiles_forecast", variable)
    truth = part_of(scores, "quantiles_truth", variable).isel(candidate=0)
    ax = ax or new_axes()
    ax.axhline(0, color=INK, lw=0.8, ls="--")
    for candidate, colour in _coloured(mine):
        gap = mine.sel(candidate=candidate) - truth
        ax.plot(truth, gap, "o-", ms=4, color=colour, label=candidate, **_weight(candidate))
    unit = units_of(mine)
    ax.set(xlabel=f"quantile of the truth, {unit}", ylabel=f"forecast minus truth, {unit}")
    ax.set_title("Quantiles, 1 % to 99.9 %")
    return finish(ax)


@suggest_options
def series(
    scores: xr.Dataset, variable: str, metric: str = "crps", ax: Axes | None = None
) -> Drawing[Axes]:
    """Draw one score of all candidates over time.

    >>> figure, ax = series(scores, "u10", "crps")  # doctest: +SKIP
    """
    values = part_of(scores, metric, variable)
    times = [d for d in values.dims if d != "candidate"]
    if len(times) != 1:
        raise FlexclimError(
            f"{metric}.{variable} has the dimensions {times} besides the candidate; a series needs "
            "one. Average over the others first."
        )
    ax = ax or new_axes()
    place, label = _places(values[times[0]])
    for candidate, colour in _coloured(values):
        line = values.sel(candidate=candidate)
        ax.plot(place, line, "o-", ms=3, color=colour, label=candidate, **_weight(candidate))
    ax.set(ylabel=f"{name_of(metric)}, {units_of(values)}", title=f"{name_of(metric)} over time")
    ax.set_xlabel(label)
    if np.issubdtype(place.dtype, np.datetime64):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=3, maxticks=6)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        ax.tick_params(axis="x", rotation=30)
    return finish(ax)


def _places(times: xr.DataArray) -> tuple[np.ndarray, str]:
    """Return where to draw times on an axis, and the axis' label."""
    if is_time(times):
        return standard_dates(times), ""
    if times.dtype.kind == "m":
        return np.asarray(times.values / np.timedelta64(1, "h")), f"{times.name}, h"
    return np.asarray(times.values), ""


def part_of(scores: xr.Dataset, metric: str, variable: str) -> xr.DataArray:
    """Return one metric of one variable of an evaluation."""
    name = f"{metric}.{variable}"
    if name not in scores:
        known = sorted({str(n).partition(".")[2] for n in scores.data_vars})
        raise FlexclimError(
            f"no {name!r} in these scores, which have the variables {known}. Ensemble scores need "
            "a forecast with members."
        )
    return scores[name]


def _coloured(values: xr.DataArray) -> list[tuple[str, str]]:
    names = [str(n) for n in values["candidate"].values]
    return [(name, COLOURS[i % len(COLOURS)]) for i, name in enumerate(names)]


def _weight(name: str) -> LineStyle:
    """Return the width of a line and its drawing order."""
    own = name in ("truth", "forecast")
    return {"lw": 2.2 if own else 1.3, "zorder": 3 if name == "forecast" else 2}


def _lengths(values: xr.DataArray) -> tuple[np.ndarray, str]:
    length = values["wavelength"]
    if length.attrs.get("units") == "m":
        return length.values / 1000, "km"
    return length.values, "cells"


def name_of(metric: str) -> str:
    """Return the name of a metric as text."""
    return metric.upper() if metric in ("crps", "mae", "rmse") else metric.replace("_", " ")


def _plain_ticks(ax: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def new_axes() -> Axes:
    """Return the axes of a new figure."""
    return new_figure(figsize=(5.2, 4)).subplots()


def finish(ax: Axes) -> Drawing[Axes]:
    """Remove what no reader needs, add the legend, and return the drawing."""
    ax.spines[["top", "right"]].set_visible(False)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small")
    return drawing_of(ax)
