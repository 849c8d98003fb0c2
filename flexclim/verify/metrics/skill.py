"""Skill scores: a score relative to that of a reference forecast."""

from __future__ import annotations

from dataclasses import replace

import xarray as xr

from flexclim.errors import AlignmentError, FlexclimError, suggest_options
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.candidates import with_positions
from flexclim.verify.core.alignment import Dims, Pair, Weights, same_units
from flexclim.verify.core.numbers import as_numbers
from flexclim.verify.core.option_checks import check_number
from flexclim.verify.core.scoring import Fields, score_pairs
from flexclim.verify.metrics.scores import Estimator, crps_of, mae_of

ROLES = "reference", "forecast"


@suggest_options
def skill_score(score: Fields, reference: Fields, perfect: float = 0.0) -> Fields:
    """Share of the way from the score of a reference to a perfect score.

    Parameters
    ----------
    score, reference
        Of the forecast and of the reference: any score whose perfect value is known, such as MSE,
        CRPS, Brier or energy score. Scores average first, then comes the ratio.
    perfect
        The score of a perfect forecast.

    Returns
    -------
    DataArray or Dataset
        1: perfect; 0: as good as the reference; below 0: worse. NaN where the reference is perfect.

    Raises
    ------
    AlignmentError
        If the reference has a dimension that the score lacks, other coordinates or variables, or
        units that do not convert into those of the score.

    Notes
    -----
    Wilks (2019), Statistical Methods in the Atmospheric Sciences, 4th ed., eq. 9.4.

    >>> float(skill_score(xr.DataArray(0.5), xr.DataArray(2.0)))
    0.75
    """
    perfect = check_number("perfect", perfect)
    _check_same_cases(score, reference)
    room = _in_units_of(score, reference) - perfect
    skill = 1 - (score - perfect) / room.where(room != 0)
    parts = skill.data_vars.values() if isinstance(skill, xr.Dataset) else [skill]
    for part in parts:
        part.attrs = {"long_name": "skill score", "units": "1"}
    return skill


def _check_same_cases(score: Fields, reference: Fields) -> None:
    """Raise AlignmentError if a ratio would drop variables or points, or add dimensions."""
    if isinstance(score, xr.Dataset) is not isinstance(reference, xr.Dataset):
        kinds = type(score).__name__, type(reference).__name__
        raise AlignmentError(
            f"the score is a {kinds[0]}, the reference a {kinds[1]}. Give DataArrays or Datasets."
        )
    if isinstance(score, xr.Dataset) and set(score.data_vars) != set(reference.data_vars):
        raise AlignmentError(
            f"the score has {list(score.data_vars)}, the reference {list(reference.data_vars)}. "
            "Select the same variables."
        )
    if more := [str(dim) for dim in reference.dims if dim not in score.dims]:
        raise AlignmentError(
            f"the reference has the dimension {more[0]!r}, the score {tuple(score.dims)}. Average "
            "the reference over it first."
        )
    try:
        xr.align(score, reference, join="exact", copy=False)
    except ValueError:
        raise AlignmentError(
            f"the score and the reference differ in coordinates of {list(map(str, reference.dims))}"
            ". Select the same ones."
        ) from None


def _in_units_of(score: Fields, reference: Fields) -> Fields:
    """Return scores of a reference in the units of those of the forecast."""
    roles = "reference", "score"
    if isinstance(score, xr.Dataset) and isinstance(reference, xr.Dataset):
        return reference.map(
            lambda one: same_units(one, score[one.name], roles, difference=True), keep_attrs=True
        )
    assert isinstance(score, xr.DataArray)
    assert isinstance(reference, xr.DataArray)
    return same_units(reference, score, roles, difference=True)


@suggest_options
def crpss(
    forecast: Fields,
    truth: Fields,
    reference: Fields,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> Fields:
    """Continuous ranked probability skill score: 1 - CRPS / CRPS of a reference forecast.

    Parameters
    ----------
    forecast, truth, estimator, weights, dim
        As in :func:`flexclim.verify.crps`.
    reference
        A forecast of the same points, such as climatology, interpolation or another model: an
        ensemble of any size, or a single field, whose CRPS is its absolute error.

    Returns
    -------
    DataArray or Dataset
        1: perfect; 0: as good as the reference. Points that any of the three lacks are left out.

    >>> forecast = xr.DataArray([[1.0], [3.0]], dims=["realization", "point"])
    >>> truth = xr.DataArray([0.0], dims=["point"])
    >>> float(crpss(forecast, truth, truth + 3, estimator="ecdf"))
    0.5
    """
    if isinstance(reference, xr.DataArray) is not isinstance(truth, xr.DataArray):
        kinds = type(truth).__name__, type(reference).__name__
        raise AlignmentError(
            f"the truth is a {kinds[0]}, the reference a {kinds[1]}. Give DataArrays or Datasets."
        )

    def skill(pair: Pair) -> xr.DataArray:
        other = with_plain_attributes(_variable(reference, pair))
        other = same_units(as_numbers(other, ROLES[0]), pair.forecast, ROLES)
        return crpss_of(
            pair, Pair.align(other, pair.truth, pair.variables), estimator, weights, dim
        )

    return score_pairs(skill, forecast, truth)


def crpss_of(
    pair: Pair,
    reference: Pair,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """Score two aligned pairs of the same truth with :func:`crpss`."""
    known = pair.mean.notnull() & reference.mean.notnull()
    both = [replace(one, truth=one.truth.where(known)) for one in (pair, reference)]
    own, other = (
        crps_of(one, estimator, weights, dim) if one.member else mae_of(one, weights, dim)
        for one in both
    )
    attributes = pair.describe("continuous ranked probability skill score", units="1")
    return skill_score(own, other).assign_attrs(attributes)


def _variable(reference: xr.DataArray | xr.Dataset, pair: Pair) -> xr.DataArray:
    """Return the variable of a reference that a pair holds."""
    if isinstance(reference, xr.DataArray):
        return reference
    name = str(pair.truth.name)
    if name not in reference.data_vars:
        raise FlexclimError(
            f"no {name!r} in the reference, which has {list(reference.data_vars)}. Rename the "
            "variable."
        )
    return with_positions(reference, name)
