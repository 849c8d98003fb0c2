"""Distributions of values over a whole field: quantiles, tails, events, anomalies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError
from flexclim.verify.core.align import (
    align,
    check_coordinates,
    each_variable,
    find_member,
    need_member,
    own_attributes,
)
from flexclim.verify.core.sums import (
    Dims,
    Weights,
    point_weights,
    reduced_dims,
    sum_bins,
    sum_blocks,
)
from flexclim.verify.metrics.scores import Estimator, crps, describe

BINS = 2**16
LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
TAILS = (0.9, 0.95, 0.99, 0.999)


@each_variable
def threshold_weighted_crps(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    lower: float = -np.inf,
    upper: float = np.inf,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """CRPS that looks only at values between ``lower`` and ``upper``: heavy rain, say.

    It is the CRPS after values beyond a bound are moved to it. Other parameters as in
    :func:`flexclim.verify.crps`.

    Notes
    -----
    Gneiting and Ranjan (2011), J. Bus. Econ. Stat. 29; as a chained CRPS, Allen et al. (2023).

    >>> forecast = xr.DataArray([1.0, 3.0], dims=["realization"])
    >>> float(threshold_weighted_crps(forecast, xr.DataArray(0.0), lower=2.0, estimator="ecdf"))
    0.25
    """
    need_member(forecast)
    forecast, truth = align(forecast, truth)
    with xr.set_options(keep_attrs=True):
        result = crps(
            forecast.clip(lower, upper), truth.clip(lower, upper), estimator, weights, dim
        )
    text = f"CRPS of values from {lower:g} to {upper:g}"
    return result.assign_attrs(describe(truth, forecast, text, estimator=estimator))


@each_variable
def quantiles(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    levels: Sequence[float] = LEVELS,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Quantiles of all members together beside those of the truth (a quantile-quantile plot).

    Counted in 65 536 bins between the smallest and the largest value of both, so in one pass and
    in bounded memory; right to the width of a bin. Parameters as in
    :func:`flexclim.verify.crps`.

    Returns
    -------
    Dataset
        (kept dimensions..., quantile) ``forecast`` and ``truth``.

    >>> values = xr.DataArray(np.arange(101.0), dims=["point"])
    >>> quantiles(values, values, levels=[0.5]).truth.values.round()
    array([50.])
    """
    forecast, truth = align(forecast, truth)
    counts, ends = _value_counts(forecast, truth, weights, dim)
    wanted = np.asarray(levels, float)
    result = xr.apply_ufunc(
        _inverse,
        counts,
        ends,
        input_core_dims=[["bin"], ["end"]],
        output_core_dims=[["quantile"]],
        kwargs={"levels": wanted},
        vectorize=True,
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"quantile": wanted.size}},
    ).assign_coords(quantile=wanted)
    text = "quantile"
    parts = {name: result.sel(source=name, drop=True) for name in ("forecast", "truth")}
    return xr.Dataset(
        {n: p.assign_attrs(describe(truth, forecast, text)) for n, p in parts.items()}
    )


@each_variable
def exceedance(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    levels: Sequence[float] = TAILS,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """How often members exceed high quantiles of the truth, over how often the truth does.

    1 is right, 0.5 means that half of the extremes are missing. Quantiles are found as in
    :func:`quantiles`; parameters as there.

    >>> values = xr.DataArray(np.arange(1001.0), dims=["point"])
    >>> exceedance(values, values, levels=[0.9]).values.round(3)
    array([1.])
    """
    forecast, truth = align(forecast, truth)
    counts, _ = _value_counts(forecast, truth, weights, dim)
    wanted = np.asarray(levels, float)
    result = xr.apply_ufunc(
        _excess,
        counts.sel(source="forecast"),
        counts.sel(source="truth"),
        input_core_dims=[["bin"], ["bin"]],
        output_core_dims=[["quantile"]],
        kwargs={"levels": wanted},
        vectorize=True,
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"quantile": wanted.size}},
    ).assign_coords(quantile=wanted)
    text = "frequency above quantiles of the truth over the truth's"
    return result.assign_attrs(describe(truth, forecast, text, units="1"))


@each_variable
def frequency(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    threshold: float,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """How often values reach ``threshold``: the frequency of wet days, for example.

    Returns
    -------
    Dataset
        ``forecast`` (of all members), ``truth`` and ``ratio``. Parameters as in
        :func:`flexclim.verify.crps`.

    >>> values = xr.DataArray([0.0, 2.0, 5.0, 0.0], dims=["day"])
    >>> float(frequency(values, values, threshold=1.0).truth)
    0.5
    """
    forecast, truth = align(forecast, truth)

    def summed(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        known = ~(np.isnan(observed) | np.isnan(members).any(axis=0))
        weight = np.where(known, weight, 0.0)
        columns = [(members >= threshold).mean(axis=0), observed >= threshold, np.ones(known.shape)]
        return np.stack([(column * weight).sum(axis=over) for column in columns], axis=-1)

    label = ("source", ["forecast", "truth", "weight"])
    sums = sum_blocks(forecast, truth, summed, label, weights=weights, dim=dim)
    weight = sums.sel(source="weight", drop=True)
    parts = {n: sums.sel(source=n, drop=True) / weight for n in ("forecast", "truth")}
    parts["ratio"] = parts["forecast"] / parts["truth"].where(parts["truth"] > 0)
    text = f"frequency of values at or above {threshold:g}"
    attributes = describe(truth, forecast, text, units="1", threshold=threshold)
    return xr.Dataset({n: p.assign_attrs(attributes) for n, p in parts.items()})


def anomaly_correlation(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    climatology: xr.DataArray,
    weights: Weights = "area",
    dim: Dims = None,
    centred: bool = True,
) -> xr.DataArray:
    """Correlation of the anomalies of the ensemble mean and of the truth.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`; here DataArrays only.
    climatology
        What anomalies are taken from: some or all of the truth's dimensions, same units.
    centred
        Whether the mean anomaly over ``dim`` is taken off first.

    Notes
    -----
    Wilks (2019), Statistical Methods in the Atmospheric Sciences, 4th ed., eqs. 9.95 and 9.96.

    >>> truth = xr.DataArray([1.0, 2.0, 3.0], dims=["point"])
    >>> float(anomaly_correlation(2 * truth, truth, xr.DataArray(0.0)).round(6))
    1.0
    """
    forecast, truth = align(forecast, truth)
    if extra := set(climatology.dims) - set(truth.dims):
        raise FlexclimError(
            f"the climatology has the dimension {sorted(map(str, extra))[0]!r}, the truth has "
            f"{tuple(truth.dims)}. Select or average it away."
        )
    climatology = check_coordinates(climatology, truth, "climatology")
    left, right = (field - climatology for field in (ensemble_mean(forecast), truth))
    weight = point_weights(truth, weights) * (left.notnull() & right.notnull())
    over = reduced_dims(truth.dims, dim)
    total = weight.sum(over)
    left, right = left.where(weight > 0, 0.0), right.where(weight > 0, 0.0)
    if centred:
        left, right = (f - (f * weight).sum(over) / total for f in (left, right))
    both = (left * right * weight).sum(over)
    norm = ((left**2 * weight).sum(over) * (right**2 * weight).sum(over)) ** 0.5
    text = "anomaly correlation of the ensemble mean"
    result = (both / norm).assign_attrs(describe(truth, forecast, text, units="1"))
    return own_attributes(result, forecast, truth)


def ensemble_mean(forecast: xr.DataArray) -> xr.DataArray:
    """Return the mean over members in float64, NaN where a member is missing."""
    member = find_member(forecast)
    if member is None:
        return forecast
    return forecast.mean(member, skipna=False, dtype=float)


def _value_counts(
    forecast: xr.DataArray, truth: xr.DataArray, weights: Weights, dim: Dims
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return weights by ``source`` and ``bin``, and the two ends of the bins."""
    low = xr.concat([forecast.min(), truth.min()], "end").min("end")
    high = xr.concat([forecast.max(), truth.max()], "end").max("end")
    ends = xr.concat([low, high], "end").astype(float)

    def binned(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, range_: np.ndarray
    ) -> tuple[np.ndarray, Iterator[Any]]:
        known = ~(np.isnan(observed) | np.isnan(members).any(axis=0))
        width = (range_[1] - range_[0]) or 1.0
        light = weight[known]

        def place(values: np.ndarray) -> np.ndarray:
            found = (values[known].astype(float) - range_[0]) / width * BINS
            return np.clip(found.astype(int), 0, BINS - 1)

        mine = (("forecast", place(one), light / len(members)) for one in members)
        return known, chain(mine, [("truth", place(observed), light)])

    sources = ["forecast", "truth"]
    table = sum_bins(forecast, truth, binned, sources, BINS, weights=weights, dim=dim, extra=ends)
    if forecast.chunks is not None or truth.chunks is not None:
        ends = ends.chunk(end=-1)
    return table.to_dataarray("source"), ends


def _inverse(counts: np.ndarray, ends: np.ndarray, levels: np.ndarray) -> np.ndarray:
    total = counts.cumsum()
    if not total[-1] > 0:
        return np.full(levels.size, np.nan)
    share = np.concatenate([[0.0], total / total[-1]])
    place = np.clip(np.searchsorted(share[1:], levels * (1 - 1e-12)), 0, counts.size - 1)
    inside = (levels - share[place]) / (share[place + 1] - share[place])
    return ends[0] + (place + np.clip(inside, 0, 1)) * (ends[1] - ends[0]) / counts.size


def _excess(mine: np.ndarray, other: np.ndarray, levels: np.ndarray) -> np.ndarray:
    if not (mine.sum() > 0 and other.sum() > 0):
        return np.full(levels.size, np.nan)
    position = _inverse(other, np.array([0.0, other.size]), levels)
    shares = [np.concatenate([[0.0], c.cumsum() / c.sum()]) for c in (mine, other)]
    above = [1 - np.interp(position, np.arange(s.size), s) for s in shares]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(above[1] > 0, above[0] / above[1], np.nan)
