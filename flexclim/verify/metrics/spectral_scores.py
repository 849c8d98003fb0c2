"""Scores that compare the spectra of a forecast and its truth, wavenumber by wavenumber.

Ratios are taken of averaged powers.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from flexclim.errors import suggest_options
from flexclim.verify.core.alignment import Dims, Pair
from flexclim.verify.core.option_checks import check_choice, check_number
from flexclim.verify.core.scoring import Fields, score_pairs
from flexclim.verify.core.transforms import Edges, Fill, Kind
from flexclim.verify.metrics.spectra import powers, resolved

By = Literal["power", "coherence"]


@suggest_options
def log_spectral_distance(
    forecast: Fields,
    truth: Fields,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
) -> Fields:
    """Log-spectral distance: root mean square over wavenumbers of the power ratio in dB.

    Powers are averaged over members, times and other dimensions first; wavenumbers up to Nyquist
    count equally. 0 is perfect; half the true power at every scale is 3 dB. ``kind``, ``dim``,
    ``edges`` and ``fill`` as in :func:`flexclim.verify.spectrum`.

    >>> truth = xr.DataArray(np.random.default_rng(0).normal(size=(8, 8)), dims=["y", "x"])
    >>> float(log_spectral_distance(truth / 2**0.5, truth).round(2))
    3.01
    """

    def score(pair: Pair) -> xr.DataArray:
        return distance_of(powers(pair, kind, dim=dim, edges=edges, fill=fill))

    return score_pairs(score, forecast, truth)


@suggest_options
def spectral_bias(
    forecast: Fields,
    truth: Fields,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
) -> Fields:
    """Mean over wavenumbers of the power ratio in dB: negative where variance is missing.

    Parameters as in :func:`log_spectral_distance`.

    >>> truth = xr.DataArray(np.random.default_rng(0).normal(size=(8, 8)), dims=["y", "x"])
    >>> float(spectral_bias(truth / 2**0.5, truth).round(2))
    -3.01
    """

    def score(pair: Pair) -> xr.DataArray:
        level = decibels(powers(pair, kind, dim=dim, edges=edges, fill=fill))
        return level.mean(level.dims[-1:]).assign_attrs(long_name="mean power ratio", units="dB")

    return score_pairs(score, forecast, truth)


@suggest_options
def amplitude_ratio(
    forecast: Fields,
    truth: Fields,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
) -> Fields:
    """Root of the ratio of averaged powers, by wavenumber.

    Parameters as in :func:`log_spectral_distance`.

    >>> truth = xr.DataArray(np.random.default_rng(0).normal(size=(8, 8)), dims=["y", "x"])
    >>> float(amplitude_ratio(truth / 2, truth)[1].round(2))
    0.5
    """

    def score(pair: Pair) -> xr.DataArray:
        both = powers(pair, kind, dim=dim, edges=edges, fill=fill)
        ratio = (both["forecast"] / both["truth"]) ** 0.5
        return ratio.assign_attrs(both["truth"].attrs, long_name="amplitude ratio", units="1")

    return score_pairs(score, forecast, truth)


@suggest_options
def coherence(
    forecast: Fields,
    truth: Fields,
    kind: Kind = "radial",
    *,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
) -> Fields:
    """Squared correlation of the waves of forecast and truth, by wavenumber: 1 in phase.

    The square of the common power divided by the product of both powers, each averaged first.
    Parameters as in :func:`log_spectral_distance`.

    >>> truth = xr.DataArray(np.random.default_rng(0).normal(size=(8, 8)), dims=["y", "x"])
    >>> float(coherence(truth / 2, truth)[1].round(2))
    1.0
    """

    def score(pair: Pair) -> xr.DataArray:
        return coherence_of(powers(pair, kind, dim=dim, edges=edges, fill=fill))

    return score_pairs(score, forecast, truth)


@suggest_options
def effective_resolution(
    forecast: Fields,
    truth: Fields,
    kind: Kind = "radial",
    *,
    by: By = "power",
    threshold: float = 0.5,
    dim: Dims = None,
    edges: Edges = "dct",
    fill: Fill = None,
) -> Fields:
    """Shortest wavelength at which the forecast has the truth's power, or is in phase with it.

    From large scales to small, the first wavelength at which the ratio of powers (or the
    coherence) falls below ``threshold``, interpolated in the logarithm; the Nyquist wavelength
    where it never does. Other parameters as in :func:`log_spectral_distance`.

    >>> truth = xr.DataArray(np.random.default_rng(0).normal(size=(16, 16)), dims=["y", "x"])
    >>> float(effective_resolution(truth, truth))  # the Nyquist wavelength, two cells
    2.0
    """

    def score(pair: Pair) -> xr.DataArray:
        both = powers(pair, kind, dim=dim, edges=edges, fill=fill)
        return resolution_of(both, by, threshold)

    return score_pairs(score, forecast, truth)


def decibels(both: xr.Dataset) -> xr.DataArray:
    """Return the ratio of forecast power to true power in dB, up to the Nyquist wavenumber."""
    ratio = resolved(both["forecast"]) / resolved(both["truth"])
    level: xr.DataArray = 10 * xr.apply_ufunc(np.log10, ratio.where(ratio > 0), dask="allowed")
    return level


def distance_of(both: xr.Dataset) -> xr.DataArray:
    """Return the log-spectral distance, from :func:`flexclim.verify.metrics.spectra.powers`."""
    level = decibels(both)
    distance = (level**2).mean(level.dims[-1:]) ** 0.5
    return distance.assign_attrs(long_name="log-spectral distance", units="dB")


def coherence_of(both: xr.Dataset) -> xr.DataArray:
    """Return the coherence, from :func:`flexclim.verify.metrics.spectra.powers`."""
    ratio = both["common"] ** 2 / (both["forecast"] * both["truth"])
    return ratio.assign_attrs(both["truth"].attrs, long_name="coherence", units="1")


def resolution_of(both: xr.Dataset, by: By = "power", threshold: float = 0.5) -> xr.DataArray:
    """Return the effective resolution, from :func:`flexclim.verify.metrics.spectra.powers`."""
    check_choice("by", by, ("power", "coherence"))
    threshold = check_number("threshold", threshold, 0, above=True)
    curve = both["forecast"] / both["truth"] if by == "power" else coherence_of(both)
    text, units = f"effective resolution by {by}", both["wavelength"].attrs.get("units", "m")
    curve = resolved(curve.assign_attrs(both["truth"].attrs))
    axis = curve.dims[-1]
    if curve.sizes[axis] == 0:  # a single row or column has no waves in every direction
        return (curve.sum([axis]) * np.nan).assign_attrs(long_name=text, units=units)
    if curve.chunks is not None:
        curve = curve.chunk({axis: -1})
    result: xr.DataArray = xr.apply_ufunc(
        _first_below,
        curve,
        input_core_dims=[[axis]],
        kwargs={"logarithm": np.log(curve["wavelength"].values), "threshold": threshold},
        vectorize=True,
        dask="parallelized",
        output_dtypes=[float],
    )
    return result.assign_attrs(long_name=text, units=units)


def _first_below(curve: np.ndarray, logarithm: np.ndarray, threshold: float) -> float:
    if np.isnan(curve).all():
        return np.nan
    low = np.flatnonzero(curve < threshold)
    if low.size == 0:
        return float(np.exp(logarithm[-1]))
    at = int(low[0])
    if at == 0:
        return float(np.exp(logarithm[0]))
    share = (curve[at - 1] - threshold) / (curve[at - 1] - curve[at])
    return float(np.exp(logarithm[at - 1] + share * (logarithm[at] - logarithm[at - 1])))
