"""Fields of a Dataset: found, checked, and turned into a DataArray and back."""

from __future__ import annotations

from collections.abc import Collection

import xarray as xr

from flexclim.cf.auxiliary_variables import auxiliary_variables
from flexclim.errors import FlexclimError, warn
from flexclim.grids.grid import Grid

NUMBERS, BOOLEANS = "fiu", "b"  # kinds of NumPy types


def fields_on(ds: xr.Dataset, grid: Grid, kinds: str = NUMBERS) -> list[str]:
    """Return the names of the fields of a Dataset: numbers with rows and columns.

    Latitudes, longitudes and :func:`auxiliary_variables` are left out.

    Parameters
    ----------
    ds
        Its variables may be lazy; only names, types and attributes are read.
    grid
        The grid of its fields.
    kinds
        Kinds of NumPy types: ``NUMBERS``, or ``NUMBERS + BOOLEANS`` where a fraction has a
        meaning.

    Raises
    ------
    FlexclimError
        If a field has a name that is not a string, or packed values.

    Examples
    --------
    >>> import numpy as np
    >>> from flexclim.grids.discovery import find_grid
    >>> ds = xr.Dataset({"t2m": (("lat", "lon"), np.zeros((2, 2))), "run": 1})
    >>> ds = ds.assign_coords(lat=[1.0, 0.0], lon=[5.0, 6.0])
    >>> fields_on(ds, find_grid(ds))
    ['t2m']
    """
    positions = {str(grid.latitude_name), str(grid.longitude_name)}
    return [name for name in fields_along(ds, (grid.y, grid.x), kinds) if name not in positions]


def fields_along(ds: xr.Dataset, dims: Collection[str], kinds: str = NUMBERS) -> list[str]:
    """Return the names of the fields of a Dataset with all of ``dims``; see :func:`fields_on`."""
    others = auxiliary_variables(ds)
    found = [
        name
        for name, field in ds.data_vars.items()
        if set(dims) <= set(field.dims) and field.dtype.kind in kinds and str(name) not in others
    ]
    for name in found:
        check_field(ds[name])
    return [str(name) for name in found]


def warn_of_others(ds: xr.Dataset, grid: Grid, fields: Collection[str]) -> None:
    """Warn of variables with rows and columns that are left out because of their type."""
    known = {*fields, *auxiliary_variables(ds), str(grid.latitude_name), str(grid.longitude_name)}
    others = [
        f"{str(name)!r} ({field.dtype})"
        for name, field in ds.data_vars.items()
        if {grid.y, grid.x} <= set(field.dims) and str(name) not in known
    ]
    if fields and others:
        durations = any(field.dtype.kind == "m" for field in ds.data_vars.values())
        advice = ", or open the file with decode_timedelta=False" if durations else ""
        verb = "is" if len(others) == 1 else "are"
        warn(
            f"{', '.join(others[:4])}{' and others' if len(others) > 4 else ''} {verb} left out: "
            f"only numbers are fields. Convert with .astype(float){advice}."
        )


def check_field(field: xr.DataArray) -> None:
    """Check a field's name, which is a string, its dimensions, and that values are not packed.

    Only name, type and attributes are read.

    Raises
    ------
    FlexclimError
        If they are not.
    """
    if not isinstance(field.name, str):
        raise FlexclimError(f"the name of variable {field.name!r} is not a string. Rename it.")
    if len(set(field.dims)) < field.ndim:
        raise FlexclimError(
            f"{field.name!r} has dimensions ({', '.join(map(str, field.dims))}), some of which "
            "have the same name. Give each its own."
        )
    packing = [key for key in ("scale_factor", "add_offset", "_Unsigned") if key in field.attrs]
    if packing and field.dtype.kind in "iu":
        raise FlexclimError(
            f"{field.name!r} holds packed values, with {' and '.join(packing)} unapplied. "
            "Pass the dataset through xarray.decode_cf, or open it with mask_and_scale=True."
        )


def as_dataset(array: xr.DataArray) -> xr.Dataset:
    """Return a Dataset of one variable, with its history; :func:`pick` is the inverse.

    >>> list(as_dataset(xr.DataArray(0.0)).data_vars)
    ['field']
    """
    name = "field" if array.name is None else array.name
    if name in array.coords or name in array.dims:
        raise FlexclimError(
            f"the array has the same name as its coordinate {name!r}. Rename it with .rename."
        )
    ds = array.to_dataset(name=name)
    return ds.assign_attrs({k: v for k, v in array.attrs.items() if k == "history"})


def pick(described: xr.Dataset, name: str) -> xr.DataArray:
    """Return one field of a described Dataset, with the Dataset's attributes that it lacks.

    References to bounds are dropped, since a DataArray can't hold these.
    """
    array = described[name].copy(deep=False)
    for coordinate in array.coords:
        kept = dict(array[coordinate].attrs)
        if kept.pop("bounds", None):
            array[coordinate].attrs = kept
    ours = {k: v for k, v in described.attrs.items() if k not in ("Conventions", "title")}
    array.attrs = {**array.attrs, **{k: v for k, v in ours.items() if k not in array.attrs}}
    return array
