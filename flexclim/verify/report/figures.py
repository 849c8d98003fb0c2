"""The figures of a report and their captions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import xarray as xr

from flexclim.plotting.drawings import Drawing
from flexclim.verify import plot
from flexclim.verify.judgement import OWN
from flexclim.verify.metrics.ranks import flatness
from flexclim.verify.plot.score_maps import score_field
from flexclim.verify.report.html import blank_axes, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAPS = {
    "crps": "CRPS of the forecast, averaged over time.",
    "rmse": "Root mean square error of the ensemble mean.",
    "spread": "Ensemble spread; it should resemble the error.",
    "bias": "Mean error, forecast minus truth.",
}
PANELS = {
    "truth": "The truth.",
    OWN: "The forecast.",
    "one member": "One member of the forecast.",
    "ensemble mean": "The ensemble mean.",
    "spread": "The ensemble spread.",
}


class Draw(Protocol):
    """A function of :mod:`flexclim.verify.plot` that draws one variable."""

    def __call__(self, scores: xr.Dataset, variable: str, *, ax: Axes) -> Drawing[Axes]:
        """Draw into axes."""


def spectra(scores: xr.Dataset, variable: str) -> list[str]:
    """Return the power spectra and the coherence."""
    text = (
        "Where a curve lies below the black one, variance is missing at that scale; where it lies "
        "above, there is too much."
    )
    found = [
        _figure(plot.spectrum, "spectrum", scores, variable, text + _resolution(scores, variable))
    ]
    text = "1: in phase with the truth; 0: unrelated to it. For an ensemble, the members' average."
    return [*found, _figure(plot.coherence, "coherence", scores, variable, text)]


def ensemble(scores: xr.Dataset, variable: str) -> list[str]:
    """Return the diagrams that judge an ensemble: ranks, spread, reliability, quantiles."""
    ranks = (
        "Flat: the truth is statistically indistinguishable from the members. U-shaped: too little "
        "spread. Sloped: biased."
    )
    spread = "Points binned by their spread. On the diagonal the error equals the spread."
    reliability = (
        "On the diagonal, forecast probabilities equal observed frequencies. Grey bars: range of a "
        "reliable forecast if all points were independent."
    )
    quantiles = "0: as frequent as in the truth. A drop on the right: extremes are missing."
    return [
        _figure(
            plot.rank_histogram,
            "rank histogram",
            scores,
            variable,
            ranks + _flatness(scores, variable),
        ),
        _figure(plot.spread_error, "spread error", scores, variable, spread),
        _figure(plot.reliability, "reliability", scores, variable, reliability),
        _figure(plot.quantiles, "quantiles", scores, variable, quantiles),
    ]


def series(scores: xr.Dataset, variable: str) -> list[str]:
    """Return CRPS and RMSE over time."""
    rmse = partial(plot.series, metric="rmse")
    return [
        _figure(plot.series, "series", scores, variable, "CRPS at each time."),
        _figure(rmse, "series", scores, variable, "RMSE of the ensemble mean at each time."),
    ]


def maps(scores: xr.Dataset, variable: str) -> list[str]:
    """Return maps of CRPS, error, spread and bias of the forecast."""
    found = []
    for metric, text in MAPS.items():
        if f"{metric}_map.{variable}" in scores:
            ax = blank_axes(score_field(scores, variable, metric))
            drawing = plot.score_map(scores, variable, metric, ax=ax)
            found.append(picture(drawing.figure, f"score map of {variable}", text))
    return found


def worst_case(scores: xr.Dataset, variable: str) -> list[str]:
    """Return the maps of the worst case as separate figures, which fit a narrow page too."""
    return [
        picture(
            plot.field_map(field, blank_axes(field), title=name, **style).figure,
            f"{name} of {variable} in the worst case",
            PANELS.get(name, f"The baseline: {name}."),
        )
        for name, field, style in plot.worst_panels(scores, variable)
    ]


def _figure(draw: Draw, kind: str, scores: xr.Dataset, variable: str, caption: str) -> str:
    figure = draw(scores, variable, ax=blank_axes()).figure
    return picture(figure, f"{kind} of {variable}", caption)


def _resolution(scores: xr.Dataset, variable: str) -> str:
    """Say down to which wavelength each candidate has half the true power."""
    lengths = scores[f"effective_resolution.{variable}"]
    unit = lengths.attrs.get("units", "m")
    found = {str(c): float(lengths.sel(candidate=c)) for c in lengths["candidate"].values}
    texts = [
        f"{name} {value / 1000:,.0f} km" if unit == "m" else f"{name} {value:.3g} {unit}"
        for name, value in found.items()
        if np.isfinite(value)
    ]
    if not texts:
        return ""
    return f" Wavelength down to which at least half the true power is there: {', '.join(texts)}."


def _flatness(scores: xr.Dataset, variable: str) -> str:
    """Report the test of flatness if there are enough times."""
    ranks = scores[f"rank_histogram.{variable}"].sel(candidate=OWN)
    times = [d for d in ranks.dims if d != "rank"]
    if len(times) != 1 or ranks.sizes[times[0]] < 5:
        return ""
    test = flatness(ranks, dim=str(times[0]))
    return (
        f" Convexity {float(test.convexity):+.3f} (p = {float(test.convexity_p):.2g}), slope "
        f"{float(test.slope):+.3f} (p = {float(test.slope_p):.2g}), from t-tests over time."
    )
