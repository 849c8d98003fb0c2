"""How a score of an aligned pair becomes a score of two DataArrays or two Datasets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar, overload

import xarray as xr

from flexclim.cf.auxiliary_variables import auxiliary_variables
from flexclim.errors import AlignmentError, FlexclimError
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.candidates import with_positions
from flexclim.verify.core.alignment import Pair
from flexclim.verify.core.cell_areas import Variables

# A score takes two DataArrays or two Datasets, and returns the same.
Fields = TypeVar("Fields", xr.DataArray, xr.Dataset)
P = ParamSpec("P")
# The dimension along which a pair holds the components of a vector.
VECTOR = "_component"


@overload
def score_pairs(
    score: Callable[Concatenate[Pair, P], xr.DataArray],
    forecast: Fields,
    truth: Fields,
    *args: P.args,
    **kwargs: P.kwargs,
) -> Fields: ...


@overload
def score_pairs(
    score: Callable[Concatenate[Pair, P], xr.Dataset],
    forecast: Fields,
    truth: Fields,
    *args: P.args,
    **kwargs: P.kwargs,
) -> xr.Dataset: ...


def score_pairs(
    score: Callable[Concatenate[Pair, P], xr.DataArray | xr.Dataset],
    forecast: xr.DataArray | xr.Dataset,
    truth: xr.DataArray | xr.Dataset,
    *args: P.args,
    **kwargs: P.kwargs,
) -> xr.DataArray | xr.Dataset:
    """Align two fields and score them; of two Datasets score each variable that both have.

    A score that returns a Dataset gives names such as ``skill.u10`` for Datasets.
    """

    def scored(
        left: xr.DataArray, right: xr.DataArray, variables: Variables | None = None
    ) -> xr.DataArray | xr.Dataset:
        result = score(Pair.align(left, right, variables), *args, **kwargs)
        drop_inherited(result, left, right)
        return result

    forecast, truth = with_plain_attributes(forecast), with_plain_attributes(truth)
    if isinstance(forecast, xr.DataArray) and isinstance(truth, xr.DataArray):
        return scored(forecast, truth)
    found = {}
    for name in common_variables(forecast, truth):
        fields = with_positions(forecast, name), with_positions(truth, name)
        found[name] = scored(*fields, truth.variables)
    return join_variables(found)


def vector_pair(
    forecast: xr.DataArray | xr.Dataset, truth: xr.DataArray | xr.Dataset, vector: Sequence[str]
) -> Pair:
    """Align the components of a vector and join them along the dimension ``VECTOR``.

    Raises
    ------
    FlexclimError
        If both Datasets do not hold the components, or in different units.
    """
    if not (isinstance(forecast, xr.Dataset) and isinstance(truth, xr.Dataset)):
        raise FlexclimError(
            f"vector={vector!r} names variables of two Datasets, and the forecast is a "
            f"{type(forecast).__name__}, the truth a {type(truth).__name__}. Pass Datasets that "
            "hold both components."
        )
    known = common_variables(forecast, truth)
    names = [vector] if isinstance(vector, str) else list(vector)
    if len(names) < 2 or any(name not in known for name in names):
        raise FlexclimError(
            f"vector={vector!r} does not name two or more of the variables that both Datasets "
            f"hold, {known}."
        )
    pairs = [
        Pair.align(with_positions(forecast, n), with_positions(truth, n), truth.variables)
        for n in names
    ]
    first = pairs[0]
    if {one.units for one in pairs} != {first.units}:
        units = {name: one.units for name, one in zip(names, pairs, strict=True)}
        raise FlexclimError(
            f"the components have different units, {units}. Divide each by its standard deviation."
        )

    def joined(fields: list[xr.DataArray]) -> xr.DataArray:
        return xr.concat(
            fields, VECTOR, coords="minimal", compat="override", combine_attrs="drop_conflicts"
        )

    members = joined([one.forecast for one in pairs])
    order = ([first.member] if first.member else []) + [VECTOR]
    return Pair(
        forecast=members.transpose(*order, ...),
        truth=joined([one.truth for one in pairs]),
        member=first.member,
        variables=first.variables,
    )


def drop_inherited(result: xr.DataArray | xr.Dataset, *fields: xr.DataArray) -> None:
    """Delete the attributes that a score has from its fields, such as standard_name, in place."""
    inherited = {key for field in fields for key in field.attrs} - {"units", "long_name"}
    for part in result.data_vars.values() if isinstance(result, xr.Dataset) else [result]:
        part.attrs = {k: v for k, v in part.attrs.items() if k not in inherited}


def common_variables(
    forecast: xr.DataArray | xr.Dataset, truth: xr.DataArray | xr.Dataset
) -> list[str]:
    """Return the names of the fields that both Datasets have.

    Variables that describe others, such as bounds and grid mappings, are no fields.

    Raises
    ------
    AlignmentError
        If there are none, or one of the two is not a Dataset.
    """
    if not (isinstance(forecast, xr.Dataset) and isinstance(truth, xr.Dataset)):
        kinds = (type(forecast).__name__, type(truth).__name__)
        raise AlignmentError(
            f"the forecast is a {kinds[0]}, the truth a {kinds[1]}. Give two DataArrays or two "
            "Datasets."
        )
    others = auxiliary_variables(forecast) | auxiliary_variables(truth)
    names = [
        str(name)
        for name in forecast.data_vars
        if name in truth.data_vars and forecast[name].ndim and truth[name].dtype.kind in "fiub"
        if str(name) not in others
    ]
    if not names:
        mine, theirs = ([n for n in ds.data_vars if n not in others] for ds in (forecast, truth))
        raise AlignmentError(
            f"no variable in common: the forecast has {mine}, the truth {theirs}. Rename the "
            "variables."
        )
    return names


def join_variables(found: dict[str, xr.DataArray | xr.Dataset]) -> xr.Dataset:
    """Join results by variable into one Dataset; parts of a result are named ``part.variable``."""
    joined = {}
    for name, result in found.items():
        if isinstance(result, xr.Dataset):
            joined.update({f"{part}.{name}": result[part] for part in result.data_vars})
        else:
            joined[name] = result
    return xr.Dataset(joined)
