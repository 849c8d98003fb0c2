"""Scores of ensembles and single fields against a truth.

Each takes two DataArrays or two Datasets (then each variable that both have), numpy or dask, and
leaves the coordinates of the dimensions that it keeps. ``dim=None`` reduces all, ``dim=()`` none
but the members. A point counts only where the truth and all members are there. Weights are areas
of cells (``"area"``), equal (None), or a DataArray.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError
from flexclim.verify.core.align import NO_POINT, align, each_variable, find_member, need_member
from flexclim.verify.core.sums import Dims, Weights, weighted_sums

Estimator = Literal["fair", "ecdf"]


def crps_of(sums: xr.DataArray, members: int, estimator: Estimator) -> xr.Dataset:
    """Return ``crps`` and its parts ``skill`` and ``dispersion`` from sums of the kernel."""
    pairs = members * (members - 1 if estimator == "fair" else members)
    skill = ratio(sums, "skill")
    dispersion = ratio(sums, "dispersion") / pairs
    return xr.Dataset({"crps": skill - dispersion, "skill": skill, "dispersion": dispersion})


@each_variable
def crps(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """Continuous ranked probability score: the error of a whole distribution, in field units.

    It is the mean distance of members from the truth minus half their mean distance from each
    other: 0 is perfect, and for a single field it is the absolute error.

    Parameters
    ----------
    forecast
        Ensemble.
    truth
        The same dimensions without members.
    estimator
        ``"fair"`` estimates what an ensemble without end would score (Ferro 2014, its eq. 2):
        pairs are divided by M (M - 1). ``"ecdf"`` scores the M members as they are: by M squared.
    weights
        ``"area"``, None or a DataArray.
    dim
        Dimensions to average; None: all.

    Raises
    ------
    FlexclimError
        If there is no ensemble, or a single member with ``"fair"``.
    AlignmentError
        If coordinates or units differ.

    Notes
    -----
    Gneiting and Raftery (2007), J. Am. Stat. Assoc. 102, eq. 21; Ferro (2014), Q. J. R.
    Meteorol. Soc. 140.

    >>> forecast = xr.DataArray([1.0, 3.0], dims=["realization"])
    >>> float(crps(forecast, xr.DataArray(0.0), estimator="ecdf"))
    1.5
    """
    return _crps_dataset(forecast, truth, estimator, weights, dim)["crps"]


@each_variable
def crps_parts(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """CRPS and its two parts: ``crps`` = ``skill`` - ``dispersion``.

    ``skill`` is the mean distance of members from the truth, ``dispersion`` half the mean
    distance of two members from each other. Parameters as in :func:`crps`.

    >>> forecast = xr.DataArray([1.0, 3.0], dims=["realization"])
    >>> parts = crps_parts(forecast, xr.DataArray(0.0), estimator="ecdf")
    >>> [float(parts[name]) for name in ("crps", "skill", "dispersion")]
    [1.5, 2.0, 0.5]
    """
    return _crps_dataset(forecast, truth, estimator, weights, dim)


def _crps_dataset(
    forecast: xr.DataArray, truth: xr.DataArray, estimator: Estimator, weights: Weights, dim: Dims
) -> xr.Dataset:
    if estimator not in ("fair", "ecdf"):
        raise FlexclimError(f"estimator={estimator!r} is unknown: use 'fair' or 'ecdf'.")
    member = need_member(forecast, least=2 if estimator == "fair" else 1)
    size = forecast.sizes[member]
    forecast, truth = align(forecast, truth)
    sums = weighted_sums(forecast, truth, ["skill", "dispersion"], weights=weights, dim=dim)
    parts = crps_of(sums, size, estimator)
    names = {
        "crps": f"continuous ranked probability score ({estimator})",
        "skill": "mean distance of members from the truth",
        "dispersion": f"half the mean distance between members ({estimator})",
    }
    for name, text in names.items():
        parts[name].attrs = describe(truth, forecast, text, estimator=estimator)
    return parts


@each_variable
def mae(
    forecast: xr.DataArray, truth: xr.DataArray, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Mean absolute error, of the ensemble mean where there are members.

    Parameters as in :func:`crps`.

    >>> float(mae(xr.DataArray([1.0, -2.0]), xr.DataArray([0.0, 0.0])))
    1.5
    """
    return _of_mean(forecast, truth, "absolute_error", "mean absolute error", weights, dim)


@each_variable
def rmse(
    forecast: xr.DataArray, truth: xr.DataArray, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Root mean square error, of the ensemble mean where there are members.

    The root is taken after averaging over ``dim``. Parameters as in :func:`crps`.

    >>> float(rmse(xr.DataArray([3.0, -4.0]), xr.DataArray([0.0, 0.0])).round(4))
    3.5355
    """
    return _of_mean(forecast, truth, "squared_error", "root mean square error", weights, dim)


@each_variable
def bias(
    forecast: xr.DataArray, truth: xr.DataArray, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Mean error, forecast minus truth, of the ensemble mean where there are members.

    Parameters as in :func:`crps`.

    >>> float(bias(xr.DataArray([1.0, -2.0]), xr.DataArray([0.0, 0.0])))
    -0.5
    """
    return _of_mean(forecast, truth, "error", "bias", weights, dim)


def _of_mean(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    statistic: str,
    text: str,
    weights: Weights,
    dim: Dims,
) -> xr.DataArray:
    forecast, truth = align(forecast, truth)
    mean = ratio(weighted_sums(forecast, truth, [statistic], weights=weights, dim=dim), statistic)
    if statistic == "squared_error":
        mean = mean**0.5
    if find_member(forecast) is not None:
        text += " of the ensemble mean"
    return mean.assign_attrs(describe(truth, forecast, text))


@each_variable
def spread(
    forecast: xr.DataArray, truth: xr.DataArray, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Ensemble spread: root of the mean variance between members (divided by M - 1).

    Points without truth don't count, so that it compares with :func:`rmse`. Parameters as in
    :func:`crps`.

    >>> forecast = xr.DataArray([1.0, 3.0], dims=["realization"])
    >>> float(spread(forecast, xr.DataArray(0.0)).round(4))
    1.4142
    """
    need_member(forecast, least=2)
    forecast, truth = align(forecast, truth)
    sums = weighted_sums(forecast, truth, ["variance"], weights=weights, dim=dim)
    text = "root mean ensemble variance"
    return (ratio(sums, "variance") ** 0.5).assign_attrs(describe(truth, forecast, text))


@each_variable
def spread_skill(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    weights: Weights = "area",
    dim: Dims = None,
    correction: Literal["spread", "error"] | None = "spread",
) -> xr.DataArray:
    """Spread of the ensemble over the error of its mean: 1 where the spread is right.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`crps`.
    correction
        The mean of M members errs more than that of many. ``"spread"`` multiplies the spread by
        sqrt((M + 1) / M) (Fortin et al. 2014, J. Hydrometeorol. 15, eq. 15); ``"error"`` takes
        variance / M off the squared error; None compares the two as they are.

    >>> forecast = xr.DataArray([1.0, 3.0], dims=["realization"])
    >>> float(spread_skill(forecast, xr.DataArray(0.0)).round(4))
    0.866
    """
    member = need_member(forecast, least=2)
    if correction not in ("spread", "error", None):
        raise FlexclimError(f"correction={correction!r} is unknown: use 'spread', 'error' or None.")
    size = forecast.sizes[member]
    forecast, truth = align(forecast, truth)
    sums = weighted_sums(forecast, truth, ["variance", "squared_error"], weights=weights, dim=dim)
    result = spread_skill_of(sums, size, correction)
    text = "spread over error of the ensemble mean"
    return result.assign_attrs(
        describe(truth, forecast, text, units="1"), correction=correction or "none"
    )


def spread_skill_of(sums: xr.DataArray, members: int, correction: str | None) -> xr.DataArray:
    """Return spread / skill from sums of the kernel."""
    variance, error = ratio(sums, "variance"), ratio(sums, "squared_error")
    if correction == "spread":
        variance = variance * (members + 1) / members
    elif correction == "error":
        error = (error - variance / members).clip(min=0)
    return (variance / error) ** 0.5


def ratio(sums: xr.DataArray, statistic: str) -> xr.DataArray:
    """Return the weighted mean of a statistic: NaN where no point counts.

    Raises
    ------
    FlexclimError
        If no point counts at all.
    """
    total, weight = (sums.sel(statistic=name, drop=True) for name in (statistic, "weight"))
    return xr.apply_ufunc(_divide, total, weight, dask="parallelized", output_dtypes=[float])


def _divide(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    if np.ndim(weight) == 0 and weight == 0:
        raise FlexclimError(NO_POINT)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight > 0, total / weight, np.nan)


def describe(
    truth: xr.DataArray, forecast: xr.DataArray, text: str, *, units: str | None = None, **more: Any
) -> dict[str, Any]:
    """Return the attributes of a score: units of the field unless said, long name, members."""
    own = forecast.attrs.get("units", truth.attrs.get("units"))
    name = truth.attrs.get("long_name", truth.name)
    attributes: dict[str, Any] = {"long_name": f"{text} of {name}" if name else text}
    if units or own:
        attributes["units"] = units or own
    member = find_member(forecast)
    if member is not None:
        attributes["ensemble_size"] = forecast.sizes[member]
    return {**attributes, **more}
