"""Figures of the scores that :func:`flexclim.verify.evaluate` returns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
import xarray as xr

from flexclim.cf.times import is_time
from flexclim.errors import FlexclimError, GridError, suggest_options
from flexclim.verify.core.dates import standard_dates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0b6fa4", "#b8b8b8", "#7a7a7a", "#e08214", "#5aae61", "#9970ab")
INK = "#222222"
REGION = 60.0  # degrees of latitude
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class LineStyle(TypedDict):
    """Width of a line, and its drawing order."""

    lw: float
    zorder: int


class Style(TypedDict, total=False):
    """Colours of a map."""

    cmap: str
    vmin: float
    vmax: float


@suggest_options
def spectrum(scores: xr.Dataset, variable: str, ax: Axes | None = None) -> Axes:
    """Draw the power of the truth and all candidates against wavelength.

    Where a curve lies below the truth's, variance is missing at that scale.
    """
    ax = ax or new_axes()
    power = _get(scores, "spectrum", variable)
    power = power.isel(wavenumber=power["wavenumber"].values <= power.attrs["nyquist"])
    length, unit = _lengths(power)
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
def coherence(scores: xr.Dataset, variable: str, ax: Axes | None = None) -> Axes:
    """Draw the coherence of each candidate with the truth against wavelength.

    Below the dotted line at one half, less than half of the variance is explained by the truth.
    """
    ax = ax or new_axes()
    values = _get(scores, "coherence", variable)
    values = values.isel(wavenumber=values["wavenumber"].values <= values.attrs["nyquist"])
    length, unit = _lengths(values)
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
def rank_histogram(scores: xr.Dataset, variable: str, ax: Axes | None = None) -> Axes:
    """Draw the rank histogram, with a line for a perfect ensemble.

    A U shape means too little spread, a dome too much, a slope a bias.
    """
    ax = ax or new_axes()
    ranks = _get(scores, "rank_histogram", variable)
    ranks = ranks.mean([d for d in ranks.dims if d not in ("candidate", "rank")])
    shown = [
        (c, colour) for c, colour in _coloured(ranks) if ranks.sel(candidate=c).notnull().any()
    ]
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
) -> Axes:
    """Draw the observed frequency for each forecast probability, with consistency bars.

    On the diagonal the forecast is reliable; a flatter curve is overconfident. Bars show the range
    of a reliable forecast if all points were independent.
    """
    ax = ax or new_axes()
    parts = {
        name: _get(scores, f"reliability_{name}", variable).sel(candidate=candidate)
        for name in ("frequency", "low", "high", "share")
    }
    chance = parts["frequency"]["probability"].values
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
def spread_error(scores: xr.Dataset, variable: str, ax: Axes | None = None) -> Axes:
    """Draw the error of the ensemble mean against the spread, bin by bin, with the diagonal."""
    ax = ax or new_axes()
    spread, error = (_get(scores, f"spread_error_{n}", variable) for n in ("spread", "error"))
    most = float(np.nanmax([spread.max(), error.max()])) * 1.05 or 1.0
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
def quantiles(scores: xr.Dataset, variable: str, ax: Axes | None = None) -> Axes:
    """Draw quantiles of each candidate minus the truth's, against the truth's."""
    ax = ax or new_axes()
    mine = _get(scores, "quantiles_forecast", variable)
    truth = _get(scores, "quantiles_truth", variable).isel(candidate=0)
    ax.axhline(0, color=INK, lw=0.8, ls="--")
    for candidate, colour in _coloured(mine):
        gap = mine.sel(candidate=candidate) - truth
        ax.plot(truth, gap, "o-", ms=4, color=colour, label=candidate, **_weight(candidate))
    unit = units_of(mine)
    ax.set(xlabel=f"quantile of the truth, {unit}", ylabel=f"forecast minus truth, {unit}")
    ax.set_title("Quantiles, 1 % to 99.9 %")
    return finish(ax)


@suggest_options
def series(scores: xr.Dataset, variable: str, metric: str = "crps", ax: Axes | None = None) -> Axes:
    """Draw one score of all candidates over time."""
    ax = ax or new_axes()
    values = _get(scores, metric, variable)
    times = [d for d in values.dims if d != "candidate"]
    if len(times) != 1:
        raise FlexclimError(
            f"{metric}.{variable} has the dimensions {times} besides the candidate; a series needs "
            "one. Average over the others first."
        )
    place, label = _places(values[times[0]])
    for candidate, colour in _coloured(values):
        line = values.sel(candidate=candidate)
        ax.plot(place, line, "o-", ms=3, color=colour, label=candidate, **_weight(candidate))
    ax.set(ylabel=f"{_name(metric)}, {units_of(values)}", title=f"{_name(metric)} over time")
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


def field_map(
    field: xr.DataArray, ax: Axes | None = None, *, title: str = "", **style: Unpack[Style]
) -> Axes:
    """Draw one field with a colour bar, and with coastlines if it has latitudes and longitudes."""
    from matplotlib.figure import Figure

    from flexclim.plotting.maps import draw_map

    own = ax is None
    if ax is None:
        ax = _map_or_plain_axes(Figure(layout="constrained"), 1, 1, 1, field)
    if hasattr(ax, "projection"):
        mesh = draw_map(ax, field, title=title, **style)
    else:
        mesh = ax.pcolormesh(field.values, rasterized=True, **style)
        ax.set_title(title, fontsize="medium")
    if own:
        _fit_figure(ax, width=6, rows=1, columns=1)
    bar = ax.figure.colorbar(mesh, ax=ax, shrink=0.85, pad=0.02)
    bar.set_label(units_of(field))
    return ax


def _map_or_plain_axes(
    figure: Figure, rows: int, columns: int, index: int, field: xr.DataArray
) -> Axes:
    """Return map axes, or plain ones for a grid without latitudes and longitudes."""
    from flexclim.plotting.maps import map_axes

    try:
        ax: Axes = map_axes(figure, rows, columns, index, field)
    except GridError:
        plain: Axes = figure.add_subplot(rows, columns, index)
        return plain
    south, north = ax.get_ylim()
    if north - south < REGION:  # the length of a degree of longitude at the region's latitude
        ax.set_aspect(1 / np.cos(np.deg2rad((south + north) / 2)))
    return ax


def _fit_figure(ax: Axes, width: float, rows: int, columns: int) -> None:
    """Set the height of the figure to fit its maps."""
    shape = abs(np.diff(ax.get_ylim())[0] / np.diff(ax.get_xlim())[0])
    aspect = ax.get_aspect()
    shape = float(np.clip(shape * (1.0 if aspect == "auto" else aspect), 0.25, 1.2))
    height = (0.87 * width / columns * shape + 0.4) * rows
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.set_size_inches(width, height)


@suggest_options
def score_map(
    scores: xr.Dataset, variable: str, metric: str = "crps", candidate: str = "forecast"
) -> Axes:
    """Draw a map of a score: ``"crps"``, ``"mae"``, ``"rmse"``, ``"bias"`` or ``"spread"``."""
    field = _get(scores, f"{metric}_map", variable).sel(candidate=candidate)
    style: Style = {"cmap": "YlOrRd", "vmin": 0, "vmax": _top(field)}
    if metric == "bias":
        style = {"cmap": "RdBu_r", "vmin": -_top(abs(field)), "vmax": _top(abs(field))}
    return field_map(field, title=f"{_name(metric)}, {candidate}", **style)


@suggest_options
def worst_case(scores: xr.Dataset, variable: str) -> list[Axes]:
    """Draw the case with the largest CRPS: truth, forecast and baseline, in one figure."""
    from matplotlib.figure import Figure

    panels = worst_panels(scores, variable)
    figure, rows = Figure(layout="constrained"), -(-len(panels) // 2)
    drawn = []
    for index, (name, field, style) in enumerate(panels):
        ax = _map_or_plain_axes(figure, rows, 2, index + 1, field)
        drawn.append(field_map(field, ax, title=name, **style))
    _fit_figure(drawn[0], width=11, rows=rows, columns=2)
    return drawn


def worst_panels(scores: xr.Dataset, variable: str) -> list[tuple[str, xr.DataArray, Style]]:
    """Return the name, field and colours of each map of :func:`worst_case`."""
    fields = _get(scores, "worst_case", variable)
    truth = fields.sel(panel="truth")
    low, high = (float(truth.quantile(q)) for q in (0.005, 0.995))
    if low == high:  # rain in a few cells
        low, high = float(truth.min()), float(truth.max())
    panels = []
    for name in map(str, fields["panel"].values):
        field = fields.sel(panel=name).assign_attrs(fields.attrs)
        style: Style = {"cmap": "viridis", "vmin": low, "vmax": high}
        if name == "spread":
            style = {"cmap": "YlOrRd", "vmin": 0, "vmax": _top(field)}
        panels.append((name, field, style))
    return panels


def _get(scores: xr.Dataset, metric: str, variable: str) -> xr.DataArray:
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


def _name(metric: str) -> str:
    return metric.upper() if metric in ("crps", "mae", "rmse") else metric.replace("_", " ")


def _top(field: xr.DataArray) -> float:
    """Return a colour limit that ignores a few extreme cells."""
    top = float(np.nanquantile(field, 0.995))
    return top if top > 0 else 1.0


def units_of(values: xr.DataArray) -> str:
    """Return the units of values as text."""
    return pretty_units(str(values.attrs.get("units", "no units")))


def pretty_units(text: str) -> str:
    """Format units with superscripts; text in an unknown form is returned unchanged.

    >>> pretty_units("m s-1"), pretty_units("(K)2"), pretty_units("(m s**-1)1")
    ('m s⁻¹', 'K²', 'm s⁻¹')
    """
    whole = re.fullmatch(r"\((.*)\)(\d+)", text)
    inside, power = (whole[1], int(whole[2])) if whole else (text, 1)
    words = []
    for word in inside.split():
        part = re.fullmatch(r"([^\W\d_]+|°|%)(?:\*\*|\^)?([+-]?\d+)?", word)
        if part is None:
            return text
        exponent = power * int(part[2] or 1)
        words.append(part[1] + ("" if exponent == 1 else str(exponent).translate(RAISED)))
    return " ".join(words)


def _plain_ticks(ax: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def new_axes() -> Axes:
    """Return the axes of a new figure."""
    from matplotlib.figure import Figure

    return Figure(figsize=(5.2, 4), layout="constrained").subplots()


def finish(ax: Axes) -> Axes:
    """Remove what no reader needs, and add the legend."""
    ax.spines[["top", "right"]].set_visible(False)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small")
    return ax
