"""Scores of ensembles and single fields against a truth.

Each takes two DataArrays, or two Datasets (every variable that both have), backed by numpy or
dask, and keeps the coordinates of the remaining dimensions. ``dim=None`` averages over all
dimensions, ``dim=()`` over the members only. A point counts only where the truth and all members
have a value. Points are weighted by cell area (``"area"``), equally (None), or by a DataArray.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from flexclim.errors import suggest_options
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.option_checks import check_choice
from flexclim.verify.core.scoring import Fields, score_pairs
from flexclim.verify.core.sums import weighted_sums

Estimator = Literal["fair", "ecdf"]
Correction = Literal["spread", "error"] | None


@suggest_options
def crps(
    forecast: Fields,
    truth: Fields,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> Fields:
    """Continuous ranked probability score: the error of a whole distribution, in field units.

    The mean distance of the members from the truth minus half their mean distance from each
    other: 0 is perfect, and for a single field it is the absolute error.

    Parameters
    ----------
    forecast
        Ensemble: a DataArray, or a Dataset whose variables are each scored.
    truth
        The same dimensions without members; of the same type as the forecast.
    estimator
        ``"fair"`` estimates the score of an infinite ensemble (Ferro 2014, eq. 2): the sum over
        pairs of members is divided by M (M - 1). ``"ecdf"`` scores the M members as they are and
        divides by M squared.
    weights
        ``"area"``, None or a DataArray.
    dim
        Dimensions to average over; None: all.

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
    return score_pairs(crps_of, forecast, truth, estimator, weights, dim)


@suggest_options
def crps_parts(
    forecast: Fields,
    truth: Fields,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """CRPS and its two parts: ``crps`` = ``skill`` - ``dispersion``.

    ``skill`` is the mean distance of the members from the truth, ``dispersion`` half the mean
    distance between two members. Parameters as in :func:`crps`.

    >>> forecast = xr.DataArray([1.0, 3.0], dims=["realization"])
    >>> parts = crps_parts(forecast, xr.DataArray(0.0), estimator="ecdf")
    >>> [float(parts[name]) for name in ("crps", "skill", "dispersion")]
    [1.5, 2.0, 0.5]
    """
    return score_pairs(crps_parts_of, forecast, truth, estimator, weights, dim)


@suggest_options
def mae(forecast: Fields, truth: Fields, weights: Weights = "area", dim: Dims = None) -> Fields:
    """Mean absolute error, of the ensemble mean where there are members.

    Parameters as in :func:`crps`.

    >>> float(mae(xr.DataArray([1.0, -2.0]), xr.DataArray([0.0, 0.0])))
    1.5
    """
    return score_pairs(mae_of, forecast, truth, weights, dim)


@suggest_options
def rmse(forecast: Fields, truth: Fields, weights: Weights = "area", dim: Dims = None) -> Fields:
    """Root mean square error, of the ensemble mean where there are members.

    The root is taken after averaging over ``dim``. Parameters as in :func:`crps`.

    >>> float(rmse(xr.DataArray([3.0, -4.0]), xr.DataArray([0.0, 0.0])).round(4))
    3.5355
    """
    return score_pairs(rmse_of, forecast, truth, weights, dim)


@suggest_options
def bias(forecast: Fields, truth: Fields, weights: Weights = "area", dim: Dims = None) -> Fields:
    """Mean error, forecast minus truth, of the ensemble mean where there are members.

    Parameters as in :func:`crps`.

    >>> float(bias(xr.DataArray([1.0, -2.0]), xr.DataArray([0.0, 0.0])))
    -0.5
    """
    return score_pairs(bias_of, forecast, truth, weights, dim)


@suggest_options
def spread(forecast: Fields, truth: Fields, weights: Weights = "area", dim: Dims = None) -> Fields:
    """Ensemble spread: root of the mean variance between members (divided by M - 1).

    Points without a truth are excluded, so that the spread is comparable to :func:`rmse`.
    Parameters as in :func:`crps`.

    >>> forecast = xr.DataArray([1.0, 3.0], dims=["realization"])
    >>> float(spread(forecast, xr.DataArray(0.0)).round(4))
    1.4142
    """
    return score_pairs(spread_of, forecast, truth, weights, dim)


@suggest_options
def spread_skill(
    forecast: Fields,
    truth: Fields,
    weights: Weights = "area",
    dim: Dims = None,
    correction: Correction = "spread",
) -> Fields:
    """Ratio of the ensemble spread to the error of the ensemble mean: 1 is calibrated.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`crps`.
    correction
        How to correct for the sampling error of the mean of M members. ``"spread"`` multiplies
        the spread by sqrt((M + 1) / M) (Fortin et al. 2014, J. Hydrometeorol. 15, eq. 15);
        ``"error"`` subtracts variance / M from the squared error; None corrects nothing.

    >>> forecast = xr.DataArray([1.0, 3.0], dims=["realization"])
    >>> float(spread_skill(forecast, xr.DataArray(0.0)).round(4))
    0.866
    """
    return score_pairs(spread_skill_of, forecast, truth, weights, dim, correction)


def crps_of(
    pair: Pair, estimator: Estimator = "fair", weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Score an aligned pair with :func:`crps`."""
    return crps_parts_of(pair, estimator, weights, dim)["crps"]


def crps_parts_of(
    pair: Pair, estimator: Estimator = "fair", weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Score an aligned pair with :func:`crps_parts`."""
    check_estimator(pair, estimator)
    sums = weighted_sums(pair, ["skill", "dispersion"], weights=weights, dim=dim)
    parts = crps_from_sums(sums, pair.size, estimator)
    names = {
        "crps": f"continuous ranked probability score ({estimator})",
        "skill": "mean distance of members from the truth",
        "dispersion": f"half the mean distance between members ({estimator})",
    }
    for name, text in names.items():
        parts[name].attrs = pair.describe(text, estimator=estimator)
    return parts


def mae_of(pair: Pair, weights: Weights = "area", dim: Dims = None) -> xr.DataArray:
    """Score an aligned pair with :func:`mae`."""
    return _error(pair, "absolute_error", weights, dim).assign_attrs(
        _describe_error(pair, "mean absolute error")
    )


def rmse_of(pair: Pair, weights: Weights = "area", dim: Dims = None) -> xr.DataArray:
    """Score an aligned pair with :func:`rmse`."""
    return (_error(pair, "squared_error", weights, dim) ** 0.5).assign_attrs(
        _describe_error(pair, "root mean square error")
    )


def bias_of(pair: Pair, weights: Weights = "area", dim: Dims = None) -> xr.DataArray:
    """Score an aligned pair with :func:`bias`."""
    return _error(pair, "error", weights, dim).assign_attrs(_describe_error(pair, "bias"))


def spread_of(pair: Pair, weights: Weights = "area", dim: Dims = None) -> xr.DataArray:
    """Score an aligned pair with :func:`spread`."""
    pair.need_members(least=2)
    sums = weighted_sums(pair, ["variance"], weights=weights, dim=dim)
    root = ratio(sums, "variance") ** 0.5
    return root.assign_attrs(pair.describe("root mean ensemble variance"))


def spread_skill_of(
    pair: Pair, weights: Weights = "area", dim: Dims = None, correction: Correction = "spread"
) -> xr.DataArray:
    """Score an aligned pair with :func:`spread_skill`."""
    pair.need_members(least=2)
    check_choice("correction", correction, ("spread", "error", None))
    sums = weighted_sums(pair, ["variance", "squared_error"], weights=weights, dim=dim)
    variance, error = ratio(sums, "variance"), ratio(sums, "squared_error")
    if correction == "spread":
        variance = variance * (pair.size + 1) / pair.size
    elif correction == "error":
        error = (error - variance / pair.size).clip(min=0)
    text = "spread over error of the ensemble mean"
    return ((variance / error) ** 0.5).assign_attrs(
        pair.describe(text, units="1", correction=correction or "none")
    )


def check_estimator(pair: Pair, estimator: Estimator) -> None:
    """Raise an error unless ``pair`` has enough members for the CRPS ``estimator``."""
    check_choice("estimator", estimator, ("fair", "ecdf"))
    pair.need_members(least=2 if estimator == "fair" else 1)


def crps_from_sums(sums: xr.DataArray, members: int, estimator: Estimator) -> xr.Dataset:
    """Return ``crps``, ``skill`` and ``dispersion`` from weighted sums of the last two."""
    pairs = members * (members - 1 if estimator == "fair" else members)
    skill = ratio(sums, "skill")
    dispersion = ratio(sums, "dispersion") / pairs
    return xr.Dataset({"crps": skill - dispersion, "skill": skill, "dispersion": dispersion})


def ratio(sums: xr.DataArray, statistic: str) -> xr.DataArray:
    """Return the weighted mean of a statistic; NaN where no point counts."""
    total, weight = (sums.sel(statistic=name, drop=True) for name in (statistic, "weight"))
    mean: xr.DataArray = xr.apply_ufunc(
        _divide, total, weight, dask="parallelized", output_dtypes=[float]
    )
    return mean


def _divide(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight > 0, total / weight, np.nan)


def _error(pair: Pair, statistic: str, weights: Weights, dim: Dims) -> xr.DataArray:
    return ratio(weighted_sums(pair, [statistic], weights=weights, dim=dim), statistic)


def _describe_error(pair: Pair, text: str) -> dict[str, object]:
    return pair.describe(text if pair.member is None else f"{text} of the ensemble mean")
