"""Distributions of values over a whole field: quantiles, tails, events, anomalies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.matching import check_coordinates
from flexclim.verify.core.scoring import Fields, drop_inherited, score_pairs
from flexclim.verify.core.sums import Contribution, sum_bins, sum_blocks
from flexclim.verify.metrics.scores import Estimator, crps_of

BINS = 2**16
LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
TAILS = (0.9, 0.95, 0.99, 0.999)


@suggest_options
def threshold_weighted_crps(
    forecast: Fields,
    truth: Fields,
    lower: float = -np.inf,
    upper: float = np.inf,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> Fields:
    """CRPS of the part of the distribution between ``lower`` and ``upper``, such as heavy rain.

    It is the CRPS after values beyond a bound are set to that bound. Other parameters as in
    :func:`flexclim.verify.crps`.

    Notes
    -----
    Gneiting and Ranjan (2011), J. Bus. Econ. Stat. 29; as a chained CRPS, Allen et al. (2023).

    >>> forecast = xr.DataArray([1.0, 3.0], dims=["realization"])
    >>> float(threshold_weighted_crps(forecast, xr.DataArray(0.0), lower=2.0, estimator="ecdf"))
    0.25
    """
    return score_pairs(
        threshold_weighted_crps_of, forecast, truth, lower, upper, estimator, weights, dim
    )


@suggest_options
def quantiles(
    forecast: Fields,
    truth: Fields,
    levels: Sequence[float] = LEVELS,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Quantiles of all members pooled, and of the truth (a quantile-quantile plot).

    Values are counted in 65 536 bins between the smallest and the largest value of both fields,
    which takes bounded memory; quantiles are exact to the width of a bin. Parameters as in
    :func:`flexclim.verify.crps`.

    Returns
    -------
    Dataset
        (kept dimensions..., quantile) ``forecast`` and ``truth``.

    >>> values = xr.DataArray(np.arange(101.0), dims=["point"])
    >>> quantiles(values, values, levels=[0.5]).truth.values.round()
    array([50.])
    """
    return score_pairs(quantiles_of, forecast, truth, levels, weights, dim)


@suggest_options
def exceedance(
    forecast: Fields,
    truth: Fields,
    levels: Sequence[float] = TAILS,
    weights: Weights = "area",
    dim: Dims = None,
) -> Fields:
    """Ratio of how often members exceed high quantiles of the truth to how often the truth does.

    1 is perfect; at 0.5 half of the extremes are missing. Quantiles are found as in
    :func:`quantiles`; parameters as there.

    >>> values = xr.DataArray(np.arange(1001.0), dims=["point"])
    >>> exceedance(values, values, levels=[0.9]).values.round(3)
    array([1.])
    """
    return score_pairs(exceedance_of, forecast, truth, levels, weights, dim)


@suggest_options
def frequency(
    forecast: Fields,
    truth: Fields,
    threshold: float,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Frequency of values at or above ``threshold``, such as the frequency of wet days.

    Parameters as in :func:`flexclim.verify.crps`.

    Returns
    -------
    Dataset
        ``forecast`` (of all members pooled), ``truth`` and ``ratio``.

    >>> values = xr.DataArray([0.0, 2.0, 5.0, 0.0], dims=["day"])
    >>> float(frequency(values, values, threshold=1.0).truth)
    0.5
    """
    return score_pairs(frequency_of, forecast, truth, threshold, weights, dim)


@suggest_options
def anomaly_correlation(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    climatology: xr.DataArray,
    weights: Weights = "area",
    dim: Dims = None,
    centred: bool = True,
) -> xr.DataArray:
    """Correlation of the anomalies of the ensemble mean with those of the truth.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`; here DataArrays only.
    climatology
        What is subtracted to give anomalies: some or all of the truth's dimensions, same units.
    centred
        Whether to subtract the mean anomaly over ``dim`` first.

    Notes
    -----
    Wilks (2019), Statistical Methods in the Atmospheric Sciences, 4th ed., eqs. 9.95 and 9.96.

    >>> truth = xr.DataArray([1.0, 2.0, 3.0], dims=["point"])
    >>> float(anomaly_correlation(2 * truth, truth, xr.DataArray(0.0)).round(6))
    1.0
    """
    pair = Pair.align(forecast, truth)
    climatology = check_coordinates(climatology, pair.truth, "climatology")
    if extra := set(climatology.dims) - set(pair.truth.dims):
        raise FlexclimError(
            f"the climatology has the dimension {sorted(map(str, extra))[0]!r}, the truth has "
            f"{pair.truth.dims}. Select along it or average over it."
        )
    left, right = (field - climatology for field in (pair.mean, pair.truth))
    weight = pair.point_weights(weights) * (left.notnull() & right.notnull())
    over = pair.reduced_dims(dim)
    total = weight.sum(over)
    left, right = left.where(weight > 0, 0.0), right.where(weight > 0, 0.0)
    if centred:
        left, right = (f - (f * weight).sum(over) / total for f in (left, right))
    both = (left * right * weight).sum(over)
    norm = ((left**2 * weight).sum(over) * (right**2 * weight).sum(over)) ** 0.5
    text = "anomaly correlation of the ensemble mean"
    result = (both / norm).assign_attrs(pair.describe(text, units="1"))
    drop_inherited(result, forecast, truth)
    return result


def threshold_weighted_crps_of(
    pair: Pair,
    lower: float = -np.inf,
    upper: float = np.inf,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """Score an aligned pair with :func:`threshold_weighted_crps`."""
    pair.need_members()
    clipped = replace(
        pair,
        forecast=pair.forecast.clip(lower, upper, keep_attrs=True),
        truth=pair.truth.clip(lower, upper, keep_attrs=True),
    )
    text = f"CRPS of values from {lower:g} to {upper:g}"
    return crps_of(clipped, estimator, weights, dim).assign_attrs(
        pair.describe(text, estimator=estimator)
    )


def quantiles_of(
    pair: Pair,
    levels: Sequence[float] = LEVELS,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Score an aligned pair with :func:`quantiles`."""
    counts, ends = _value_counts(pair, weights, dim)
    found = _at_levels(_inverse, [counts, ends], ["bin", "end"], levels)
    attributes = pair.describe("quantile")
    parts = {name: found.sel(source=name, drop=True) for name in ("forecast", "truth")}
    return xr.Dataset({n: p.assign_attrs(attributes) for n, p in parts.items()})


def exceedance_of(
    pair: Pair, levels: Sequence[float] = TAILS, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Score an aligned pair with :func:`exceedance`."""
    counts, _ = _value_counts(pair, weights, dim)
    both = [counts.sel(source=name) for name in ("forecast", "truth")]
    text = "frequency above quantiles of the truth over the truth's"
    return _at_levels(_excess, both, ["bin", "bin"], levels).assign_attrs(
        pair.describe(text, units="1")
    )


def frequency_of(
    pair: Pair, threshold: float, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Score an aligned pair with :func:`frequency`."""

    def summed(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        known = ~(np.isnan(observed) | np.isnan(members).any(axis=0))
        weight = np.where(known, weight, 0.0)
        columns = [(members >= threshold).mean(axis=0), observed >= threshold, np.ones(known.shape)]
        return np.stack([(column * weight).sum(axis=over) for column in columns], axis=-1)

    label = ("source", ["forecast", "truth", "weight"])
    sums = sum_blocks(pair, summed, label, weights=weights, dim=dim)
    weight = sums.sel(source="weight", drop=True)
    parts = {n: sums.sel(source=n, drop=True) / weight for n in ("forecast", "truth")}
    parts["ratio"] = parts["forecast"] / parts["truth"].where(parts["truth"] > 0)
    text = f"frequency of values at or above {threshold:g}"
    attributes = pair.describe(text, units="1", threshold=threshold)
    return xr.Dataset({n: p.assign_attrs(attributes) for n, p in parts.items()})


def _value_counts(pair: Pair, weights: Weights, dim: Dims) -> tuple[xr.DataArray, xr.DataArray]:
    """Return weights by ``source`` and ``bin``, and the two ends of the range of the bins."""
    forecast, truth = pair.forecast, pair.truth
    low = xr.concat([forecast.min(), truth.min()], "end").min("end")
    high = xr.concat([forecast.max(), truth.max()], "end").max("end")
    ends = xr.concat([low, high], "end").astype(float)

    def binned(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, range_: np.ndarray
    ) -> tuple[np.ndarray, Iterator[Contribution]]:
        known = ~(np.isnan(observed) | np.isnan(members).any(axis=0))
        width = (range_[1] - range_[0]) or 1.0
        light = weight[known]

        def place(values: np.ndarray) -> np.ndarray:
            found = (values[known].astype(float) - range_[0]) / width * BINS
            return np.asarray(np.clip(found.astype(int), 0, BINS - 1))

        mine = (("forecast", place(one), light / len(members)) for one in members)
        return known, chain(mine, [("truth", place(observed), light)])

    sources = ["forecast", "truth"]
    table = sum_bins(pair, binned, sources, BINS, weights=weights, dim=dim, extra=ends)
    if pair.lazy:
        ends = ends.chunk(end=-1)
    return table.to_dataarray("source"), ends


def _at_levels(
    function: Callable[..., np.ndarray],
    arrays: Sequence[xr.DataArray],
    core: Sequence[str],
    levels: Sequence[float],
) -> xr.DataArray:
    """Apply a function of 1-D histograms that returns a value for each of ``levels``."""
    wanted = np.asarray(levels, float)
    result: xr.DataArray = xr.apply_ufunc(
        function,
        *arrays,
        input_core_dims=[[name] for name in core],
        output_core_dims=[["quantile"]],
        kwargs={"levels": wanted},
        vectorize=True,
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"quantile": wanted.size}},
    )
    return result.assign_coords(quantile=wanted)


def _inverse(counts: np.ndarray, ends: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the quantiles ``levels`` of a histogram between two ``ends``."""
    total = counts.cumsum()
    if not total[-1] > 0:
        return np.full(levels.size, np.nan)
    share = np.concatenate([[0.0], total / total[-1]])
    place = np.clip(np.searchsorted(share[1:], levels * (1 - 1e-12)), 0, counts.size - 1)
    inside = (levels - share[place]) / (share[place + 1] - share[place])
    place = place + np.clip(inside, 0, 1)
    return np.asarray(ends[0] + place * (ends[1] - ends[0]) / counts.size)


def _excess(mine: np.ndarray, other: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return how often ``mine`` exceeds quantiles of ``other``, relative to ``other``."""
    if not (mine.sum() > 0 and other.sum() > 0):
        return np.full(levels.size, np.nan)
    position = _inverse(other, np.array([0.0, other.size]), levels)
    shares = [np.concatenate([[0.0], c.cumsum() / c.sum()]) for c in (mine, other)]
    above = [1 - np.interp(position, np.arange(s.size), s) for s in shares]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(above[1] > 0, above[0] / above[1], np.nan)
