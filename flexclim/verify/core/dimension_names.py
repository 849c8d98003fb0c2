"""Dimensions of two fields that mean the same under other names, and the members of an ensemble.

A dimension is known by the standard name or axis of a coordinate along it, then by the type of
its values, then by its name.
"""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from flexclim.cf.ensembles import find_member
from flexclim.cf.times import is_time
from flexclim.verify.core.dates import decoded
from flexclim.verify.core.geometry import NAMES, STANDARD

AXES = ("X", "Y", "Z", "T")
LEVELS = (
    *("air_pressure", "height", "altitude", "depth", "height_above_mean_sea_level"),
    *("atmosphere_hybrid_sigma_pressure_coordinate", "model_level_number"),
)
# Standard names and, in lower case, names of coordinates.
MEANINGS = {
    **{name: axis for axis in "YX" for name in (*STANDARD[axis], *NAMES[axis])},
    **dict.fromkeys(LEVELS, "Z"),
    **dict.fromkeys(("level", "lev", "plev", "isobaricinhpa", "pressure_level", "pressure"), "Z"),
    **dict.fromkeys(("time", "valid_time", "t", "time_counter", "date", "datetime"), "T"),
    **dict.fromkeys(("forecast_reference_time", "reference_time", "init_time", "init"), "start"),
    **dict.fromkeys(("forecast_period", "step", "lead", "lead_time", "leadtime"), "lead"),
    "prediction_timedelta": "lead",
}


@dataclass(frozen=True, kw_only=True)
class SharedDimension:
    """A dimension of two fields.

    Parameters
    ----------
    name, own
        In the truth and in the other field.
    coordinates
        1-D coordinates along it that are to be compared, the other field's and the truth's: those
        of the dimension itself and valid times, else all that mean the same, such as the latitudes
        and the longitudes of stations.
    """

    name: str
    own: str
    coordinates: list[tuple[xr.DataArray, xr.DataArray]]


def member_dimension(field: xr.DataArray) -> str | None:
    """Return the ensemble dimension: by standard name ``realization``, then by common names.

    A dimension of rows, columns, levels or times is none, whatever labels it has.

    >>> import numpy as np
    >>> member_dimension(xr.DataArray(np.zeros((2, 3)), dims=["number", "time"]))
    'number'
    """
    return find_member(field, [dim for dim in field.dims if not _meanings(field, str(dim))])


def shared_dimensions(field: xr.DataArray, truth: xr.DataArray) -> list[SharedDimension]:
    """Return the dimensions that two fields share, in the truth's order.

    Dimensions of the same name are the same. Others are if coordinates along both have the same
    meaning, such as latitudes along ``lat`` and ``latitude``, or times along ``time`` and a
    coordinate ``valid_time`` along ``step``.

    >>> import numpy as np
    >>> left, right = (xr.DataArray(np.zeros(2), dims=[name]) for name in ("lat", "latitude"))
    >>> [(both.name, both.own) for both in shared_dimensions(left, right)]
    [('latitude', 'lat')]
    """
    member = member_dimension(field)
    free = [str(d) for d in field.dims if d not in truth.dims and d != member]
    found = []
    for name in map(str, truth.dims):
        own = name if name in field.dims else _samemeaning_of(field, free, truth, name)
        if own is None:
            continue
        if own in free:
            free.remove(own)
        both = _coordinates(field, own, truth, name)
        found.append(SharedDimension(name=name, own=own, coordinates=both))
    return found


def _samemeaning_of(
    field: xr.DataArray, free: list[str], truth: xr.DataArray, name: str
) -> str | None:
    """Return the only one of the dimensions ``free`` that means the same as ``name``."""
    wanted = set(_meanings(truth, name))
    same = [own for own in free if wanted & set(_meanings(field, own))]
    return same[0] if len(same) == 1 else None


def _coordinates(
    field: xr.DataArray, own: str, truth: xr.DataArray, name: str
) -> list[tuple[xr.DataArray, xr.DataArray]]:
    """Return the coordinates of both fields along a dimension that can be compared."""
    mine, theirs = _along(field, own), _along(truth, name)
    if name == own and name in truth.coords and name in field.coords:
        # Equal steps from different starts are different times.
        mine, theirs = ({"": one[name]} | _valid_times(one, name) for one in (field, truth))
    return [(decoded(mine[key]), decoded(theirs[key])) for key in mine if key in theirs]


def _valid_times(field: xr.DataArray, dim: str) -> dict[str, xr.DataArray]:
    """Return the times along a dimension, apart from its own coordinate."""
    return {key: one for key, one in _along(field, dim).items() if key == "T" and one.name != dim}


def _meanings(field: xr.DataArray, dim: str) -> list[str]:
    """Return what a dimension means by each 1-D coordinate along it, and by its name."""
    named = MEANINGS.get(dim.lower()) if dim not in field.coords else None
    return [*([named] if named else []), *_along(field, dim)]


def _along(field: xr.DataArray, dim: str) -> dict[str, xr.DataArray]:
    """Return the 1-D coordinates along a dimension by meaning, its own first."""
    along = [one for one in field.coords.values() if one.dims == (dim,)]
    found: dict[str, xr.DataArray] = {}
    for one in sorted(along, key=lambda one: one.name != dim):
        if (meaning := meaning_of(one)) is not None:
            found.setdefault(meaning, one)
    return found


def meaning_of(coordinate: xr.DataArray) -> str | None:
    """Return one of X, Y, Z, T, start and lead; None for others."""
    attributes = coordinate.attrs
    for known in map(str, (attributes.get("standard_name"), attributes.get("axis"))):
        if known in MEANINGS or known in AXES:
            return MEANINGS.get(known, known)
    named = MEANINGS.get(str(coordinate.name).lower())
    if is_time(coordinate):
        return named if named == "start" else "T"
    if coordinate.dtype.kind == "m":
        return "lead"
    return named
