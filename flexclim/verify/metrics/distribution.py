"""Scores of parts of a distribution: its tail, an event, anomalies."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.core.alignment import Dims, Pair, Weights, same_units
from flexclim.verify.core.local_thresholds import (
    Threshold,
    local_event,
    local_limit,
    named_threshold,
)
from flexclim.verify.core.matching import check_coordinates
from flexclim.verify.core.merging import merge_blocks
from flexclim.verify.core.numbers import as_numbers
from flexclim.verify.core.option_checks import check_flag
from flexclim.verify.core.scoring import Fields, drop_inherited, score_pairs
from flexclim.verify.core.sums import sum_blocks
from flexclim.verify.metrics.scores import Estimator, crps_of


@suggest_options
def threshold_weighted_crps(
    forecast: Fields,
    truth: Fields,
    lower: Threshold = -np.inf,
    upper: Threshold = np.inf,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> Fields:
    """CRPS of the part of the distribution between ``lower`` and ``upper``, such as heavy rain.

    It is the CRPS after values beyond a bound are set to that bound. Bounds are numbers in the
    forecast's units, or a DataArray of bounds by place, such as ``truth.quantile(0.95, "time")``
    for ``lower``; points where ``lower`` is not below ``upper`` are left out. Other parameters
    as in :func:`flexclim.verify.crps`.

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
def frequency(
    forecast: Fields,
    truth: Fields,
    threshold: Threshold,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Frequency of values at or above ``threshold``, such as the frequency of wet days.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`.
    threshold
        A number in the forecast's units, or a DataArray of thresholds by place, such as
        ``truth.quantile(0.95, "time")``.

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
    pair, centred = Pair.align(forecast, truth), check_flag("centred", centred)
    climatology = as_numbers(climatology, "climatology")
    climatology = check_coordinates(climatology, pair.truth, "climatology")
    if extra := set(climatology.dims) - set(pair.truth.dims):
        raise FlexclimError(
            f"the climatology has the dimension {sorted(map(str, extra))[0]!r}, the truth has "
            f"{pair.truth.dims}. Select along it or average over it."
        )
    climatology = same_units(climatology, pair.forecast, ("climatology", "forecast"))
    left, right = (field - climatology for field in (pair.mean, pair.truth))
    anomalies = Pair(forecast=left.transpose(*right.dims), truth=right, member=None)
    found = merge_blocks(
        anomalies,
        Products.of,
        lambda products: products.correlation(centred)[:, None],
        ("part", [0]),
        weights=pair.point_weights(weights),
        dim=dim,
    ).isel(part=0, drop=True)
    text = "anomaly correlation of the ensemble mean"
    result = found.assign_attrs(pair.describe(text, units="1"))
    drop_inherited(result, forecast, truth)
    return result


@dataclass(frozen=True, kw_only=True)
class Products:
    """Weighted moments of two fields in each cell, which merge without loss of digits.

    Parameters
    ----------
    weight
        (cells,) sum of the weights.
    mean
        (2, cells) weighted means; 0 where there is no point.
    product
        (3, cells) weighted sums of the products of deviations from the means: of the first field
        with itself, of the second with itself, of both.
    """

    weight: np.ndarray
    mean: np.ndarray
    product: np.ndarray

    @classmethod
    def of(
        cls,
        first: np.ndarray,
        second: np.ndarray,
        weight: np.ndarray,
        cell: np.ndarray,
        cells: int,
    ) -> Products:
        """Return the moments of points; ``first`` is (1, n), the others (n,)."""

        def add(amounts: np.ndarray) -> np.ndarray:
            return np.bincount(cell, amounts, minlength=cells)

        fields = [first[0].astype(float), second.astype(float)]
        total = add(weight)
        mean = np.stack([add(weight * field) / _positive(total) for field in fields])
        left, right = (field - level[cell] for field, level in zip(fields, mean, strict=True))
        pairs = ((left, left), (right, right), (left, right))
        product = np.stack([add(weight * one * two) for one, two in pairs])
        return cls(weight=total, mean=mean, product=product)

    def merge(self, other: Products) -> Products:
        """Return the moments of both (Chan et al. 1983, Am. Stat. 37)."""
        total = self.weight + other.weight
        share = other.weight / _positive(total)
        apart = other.mean - self.mean
        shift = np.stack([apart[0] ** 2, apart[1] ** 2, apart[0] * apart[1]])
        product = self.product + other.product + shift * self.weight * share
        return Products(weight=total, mean=self.mean + apart * share, product=product)

    def correlation(self, centred: bool) -> np.ndarray:
        """Return the correlation of each cell; without ``centred`` about 0."""
        mean = self.mean
        around = np.stack([mean[0] ** 2, mean[1] ** 2, mean[0] * mean[1]]) * self.weight
        left, right, both = self.product if centred else self.product + around
        norm = np.sqrt(left) * np.sqrt(right)
        return np.where(norm > 0, both / _positive(norm), np.nan)


def _positive(values: np.ndarray) -> np.ndarray:
    """Return ``values`` with 1 in place of 0, to divide by."""
    return np.where(values > 0, values, 1.0)


def threshold_weighted_crps_of(
    pair: Pair,
    lower: Threshold = -np.inf,
    upper: Threshold = np.inf,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """Score an aligned pair with :func:`threshold_weighted_crps`."""
    pair.need_members()
    low = local_limit(pair, lower, "lower", infinite=True)
    high = local_limit(pair, upper, "upper", infinite=True)
    if isinstance(low, float) and isinstance(high, float) and low >= high:
        raise FlexclimError(f"lower={low:g} is not below upper={high:g}: no values lie between.")

    def clip(field: xr.DataArray) -> xr.DataArray:
        inside = field.clip(low, high, keep_attrs=True)
        return inside.where(low < high) if isinstance(low < high, xr.DataArray) else inside

    clipped = replace(pair, forecast=clip(pair.forecast), truth=clip(pair.truth))
    ends = [named_threshold(pair, limit)[0] for limit in (lower, upper)]
    text = f"CRPS of values from {' to '.join(ends)}"
    return crps_of(clipped, estimator, weights, dim).assign_attrs(
        pair.describe(text, estimator=estimator)
    )


def frequency_of(
    pair: Pair, threshold: Threshold, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Score an aligned pair with :func:`frequency`."""
    shifted, limit = local_event(pair, threshold)

    def summed(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        known = ~(np.isnan(observed) | np.isnan(members).any(axis=0))
        weight = np.where(known, weight, 0.0)
        columns = [(members >= limit).mean(axis=0), observed >= limit, np.ones(known.shape)]
        return np.stack([(column * weight).sum(axis=over) for column in columns], axis=-1)

    label = ("source", ["forecast", "truth", "weight"])
    sums = sum_blocks(shifted, summed, label, weights=weights, dim=dim)
    weight = sums.sel(source="weight", drop=True)
    weight = weight.where(weight > 0)
    parts = {n: sums.sel(source=n, drop=True) / weight for n in ("forecast", "truth")}
    parts["ratio"] = parts["forecast"] / parts["truth"].where(parts["truth"] > 0)
    shown, value = named_threshold(pair, threshold)
    text = f"frequency of values at or above {shown}"
    attributes = pair.describe(text, units="1", threshold=value)
    return xr.Dataset({n: p.assign_attrs(attributes) for n, p in parts.items()})
