"""Distances between the distribution of a forecast and that of the truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from flexclim.errors import suggest_options
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.histogram import Batch, Histogram, count_values
from flexclim.verify.core.merging import merge_blocks
from flexclim.verify.core.option_checks import check_count
from flexclim.verify.core.scoring import Fields, score_pairs

FORECAST, TRUTH, VALUES = 0, 1, 2  # columns: weights of both fields, then numbers of values


@suggest_options
def wasserstein(
    forecast: Fields, truth: Fields, weights: Weights = "area", dim: Dims = None
) -> Fields:
    """Wasserstein distance between the distributions of all members pooled and of the truth.

    The area between the two distribution functions, in field units: how far values have to be
    moved on average to turn one distribution into the other. When and where they occur within
    ``dim`` does not matter. Parameters as in :func:`flexclim.verify.crps`.

    Returns
    -------
    DataArray or Dataset
        0: equal distributions. Exact to the width of a bin, at most 1/65 536 of the range.

    Notes
    -----
    Villani (2009), Optimal Transport, Springer, of order 1.

    >>> truth = xr.DataArray([0.0, 1.0, 5.0], dims=["day"])
    >>> float(wasserstein(truth[::-1] + 2, truth).round(3))
    2.0
    """
    return score_pairs(wasserstein_of, forecast, truth, weights, dim)


@suggest_options
def perkins(
    forecast: Fields,
    truth: Fields,
    bins: int = 100,
    weights: Weights = "area",
    dim: Dims = None,
) -> Fields:
    """Perkins skill score: the area that the histograms of forecast and truth have in common.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`wasserstein`.
    bins
        Number of bins between the smallest and the largest value of both.

    Returns
    -------
    DataArray or Dataset
        1: equal histograms; 0: no overlap. NaN without a value.

    Notes
    -----
    Perkins et al. (2007), J. Clim. 20, 4356-4376.

    >>> truth = xr.DataArray([0.0, 0.0, 1.0, 1.0], dims=["day"])
    >>> float(perkins(xr.DataArray([0.0, 1.0, 1.0, 1.0], dims=["day"]), truth, bins=2))
    0.75
    """
    return score_pairs(perkins_of, forecast, truth, bins, weights, dim)


@suggest_options
def histogram_distance(
    forecast: Fields,
    truth: Fields,
    bins: int = 100,
    least: int = 10,
    weights: Weights = "area",
    dim: Dims = None,
) -> Fields:
    """Logarithmic distance between the histograms of forecast and truth, in dB.

    The root mean square of 10 log10 of the ratio of their frequencies, over the bins in which both
    have more than ``least`` values, so that rare values count as much as common ones. Half the
    frequency in each bin is 3 dB.

    Parameters
    ----------
    forecast, truth, bins, weights, dim
        As in :func:`perkins`.
    least
        Number of values; bins with no more of either are left out.

    Returns
    -------
    DataArray or Dataset
        NaN where no bin is left.

    Notes
    -----
    The logarithmic histogram distance of CORDEX ML-Bench, whose code takes the factor 10 out of
    the square: its values are smaller by the root of 10.

    >>> truth = xr.DataArray([0.0, 1.0, 1.0], dims=["day"])
    >>> forecast = xr.DataArray([0.0, 0.0, 1.0], dims=["day"])
    >>> float(histogram_distance(forecast, truth, bins=2, least=0).round(2))
    3.01
    """
    return score_pairs(histogram_distance_of, forecast, truth, bins, least, weights, dim)


def wasserstein_of(pair: Pair, weights: Weights = "area", dim: Dims = None) -> xr.DataArray:
    """Score an aligned pair with :func:`wasserstein`."""
    found = _by_cell(pair, _transport, weights, dim)
    return found.assign_attrs(pair.describe("Wasserstein distance"))


def perkins_of(
    pair: Pair, bins: int = 100, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Score an aligned pair with :func:`perkins`."""
    bins = check_count("bins", bins)

    def overlap(values: Histogram, cell: int) -> float:
        mine, theirs = _shares(_coarse(values, cell, bins)[:2])
        return float(np.minimum(mine, theirs).sum())

    found = _by_cell(pair, overlap, weights, dim)
    return found.assign_attrs(pair.describe("Perkins skill score", units="1"))


def histogram_distance_of(
    pair: Pair, bins: int = 100, least: int = 10, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Score an aligned pair with :func:`histogram_distance`."""
    bins, least = check_count("bins", bins), check_count("least", least, low=0)

    def distance(values: Histogram, cell: int) -> float:
        sums = _coarse(values, cell, bins)
        mine, theirs = _shares(sums[:2])
        full = (sums[VALUES:] > least).all(axis=0)
        ratio = 10 * np.log10(mine[full] / theirs[full])
        return float(np.sqrt(np.mean(ratio**2))) if full.any() else np.nan

    found = _by_cell(pair, distance, weights, dim)
    text = "logarithmic distance of histograms"
    return found.assign_attrs(pair.describe(text, units="dB"))


def _by_cell(
    pair: Pair, measure: Callable[[Histogram, int], float], weights: Weights, dim: Dims
) -> xr.DataArray:
    """Return a measure of the histograms of each kept cell; NaN where there are no values."""

    def finish(values: Histogram) -> np.ndarray:
        cells = range(values.low.shape[1])
        known = np.isfinite(values.low[TRUTH])
        return np.array([[measure(values, cell) if known[cell] else np.nan] for cell in cells])

    found = merge_blocks(pair, _count, finish, ("part", [0]), weights=weights, dim=dim)
    return found.isel(part=0, drop=True)


def _count(
    members: np.ndarray, observed: np.ndarray, weight: np.ndarray, cell: np.ndarray, cells: int
) -> Histogram:
    """Count the values of all members, and of the truth, with and without weights."""
    one, share = np.ones_like(weight), weight / len(members)
    batches = [
        Batch(source=FORECAST, values=member, amounts={FORECAST: share, VALUES: one})
        for member in members
    ]
    amounts = {TRUTH: weight, VALUES + 1: one}
    batches.append(Batch(source=TRUTH, values=observed, amounts=amounts))
    return count_values(batches, cell, cells, columns=4)


def _transport(values: Histogram, cell: int) -> float:
    """Return the area between the distribution functions in one cell."""
    bins, sums, width = values.of_cell(cell)
    mine, theirs = _shares(sums[:2]).cumsum(axis=1)
    return float((np.abs(mine - theirs)[:-1] * np.diff(bins)).sum() * width)


def _coarse(values: Histogram, cell: int, bins: int) -> np.ndarray:
    """Return (columns, bins) sums in bins of equal width between the limits of both fields."""
    fine, sums, width = values.of_cell(cell)
    low, high = values.low[:, cell].min(), values.high[:, cell].max()
    middle = np.clip((fine + 0.5) * width, low, high)
    place = ((middle - low) / (high - low or 1.0) * bins).astype(int).clip(max=bins - 1)
    return np.stack([np.bincount(place, column, minlength=bins) for column in sums])


def _shares(sums: np.ndarray) -> np.ndarray:
    """Return sums divided by their total."""
    return np.asarray(sums / sums.sum(axis=1, keepdims=True))
