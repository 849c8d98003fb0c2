"""The ensemble dimension of a field, whatever its file calls it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.cf.custom_indexes import pandas_indexes
from flexclim.errors import FlexclimError

REALIZATION = "realization"
# Names in lower case, in order of preference.
MEMBER_NAMES = (
    *(REALIZATION, "member", "number", "ensemble", "member_id", "ens", "realisation"),
    *("ensemble_member", "ensemble_member_id", "member_number", "members", "ens_member"),
)


def find_member(
    field: xr.DataArray | xr.Dataset, dims: Collection[Hashable] | None = None
) -> str | None:
    """Return the ensemble dimension: by standard name ``realization``, then by common names.

    Parameters
    ----------
    dims
        Dimensions to choose from. Default: all.

    Examples
    --------
    >>> find_member(xr.DataArray(np.zeros((2, 3)), dims=["number", "time"]))
    'number'
    """
    names = [str(dim) for dim in (field.dims if dims is None else dims)]
    for name in names:
        if any(_is_member(c) for c in field.coords.values() if c.dims == (name,)):
            return name
    usual = [known for known in MEMBER_NAMES if known in map(str.lower, names)]
    return next((name for known in usual for name in names if name.lower() == known), None)


def is_member_name(name: Hashable, coordinate: xr.DataArray | xr.Variable) -> bool:
    """Return whether a coordinate numbers the members of an ensemble."""
    said = coordinate.attrs.get("standard_name") == REALIZATION
    return said or str(name).lower() in MEMBER_NAMES


def with_realization(ds: xr.Dataset, dims: Collection[Hashable]) -> xr.Dataset:
    """Return a Dataset whose ensemble dimension, if it has one, is called ``realization``.

    Members that have names instead of numbers keep them in a coordinate of the old name.

    Raises
    ------
    FlexclimError
        If members are numbered by several stacked coordinates, or stacked with other dimensions.
    """
    _check_stacks(ds)
    dim = find_member(ds, dims)
    if dim is None or (dim == REALIZATION and not _labels(ds, dim)):
        return ds
    own = [str(n) for n, c in ds.coords.items() if c.dims == (dim,) and is_member_name(n, c)]
    name = min(own, key=lambda one: (not _is_member(ds[one]), one != dim), default=dim)
    if REALIZATION in ds.data_vars:
        raise FlexclimError(
            f"a field can't have the name {REALIZATION!r}, which numbers ensemble members. Rename "
            "it."
        )
    if REALIZATION in ds.variables and REALIZATION not in (name, dim):
        ds = ds.drop_vars(REALIZATION)  # the number of one member of another ensemble
    if isinstance(pandas_indexes(ds).get(name), pd.MultiIndex):
        raise FlexclimError(
            f"members along {dim!r} are numbered by several coordinates. Number them by one, with "
            f".reset_index({name!r}).assign_coords({dim}=range({ds.sizes[dim]}))."
        )
    if _labels(ds, name):
        ds = ds.drop_indexes(name, errors="ignore")
        ds = ds.rename_vars({name: "member_id"}) if name == REALIZATION else ds
        return ds if dim == REALIZATION else ds.rename_dims({dim: REALIZATION})
    if name != dim:
        return ds.swap_dims({dim: name}).rename({} if name == REALIZATION else {name: REALIZATION})
    return ds.rename({dim: REALIZATION})


def _check_stacks(ds: xr.Dataset) -> None:
    """Raise if members are a level of a stacked dimension beside others."""
    for dim in ds.dims:
        index = pandas_indexes(ds).get(dim)
        if not isinstance(index, pd.MultiIndex) or is_member_name(dim, ds[dim]):
            continue
        for name in index.names:
            if name in ds.coords and is_member_name(name, ds[name]):
                raise FlexclimError(
                    f"members are stacked with other coordinates along {dim!r}. Use "
                    f".unstack({dim!r}) first."
                )


def numbers_of(field: xr.DataArray) -> np.ndarray:
    """Return the members' numbers, as they are or hashes of their names.

    A member's noise depends on its number, so selected members keep it.
    """
    for name, coordinate in field.coords.items():
        if coordinate.dims == (REALIZATION,) and is_member_name(name, coordinate):
            values = coordinate.values
            if values.dtype.kind in "OUS":
                return np.array([_hash(str(value)) for value in values])
    values = field[REALIZATION].values
    whole = values.dtype.kind == "f" and bool((values == np.floor(values)).all())
    return values.astype(np.int64) if whole else values


def _is_member(coordinate: xr.DataArray) -> bool:
    return coordinate.attrs.get("standard_name") == REALIZATION


def _labels(ds: xr.Dataset, name: str) -> bool:
    """Return whether members have names such as ``r1i1p1f1``."""
    return name in ds.coords and ds[name].dtype.kind in "OUS"


def _hash(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") >> 1
