"""Maps of statistics of several sources on one grid, and their means over it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import xarray as xr

from flexclim.errors import AlignmentError, GridError
from flexclim.resampling.regridding import regrid
from flexclim.verify.core.alignment import same_units
from flexclim.verify.core.cell_areas import area_weights
from flexclim.verify.core.matching import check_coordinates

SOURCE = "source"


def join_sources(maps: Mapping[str, xr.DataArray], keep: Collection[str]) -> xr.DataArray:
    """Join maps of a statistic along ``source``, on the grid and in the units of the first.

    Parameters
    ----------
    maps
        (..., y, x) by source. Maps on other grids are averaged onto that of the first,
        conservatively.
    keep
        Dimensions besides those in space, which are the same in all maps.

    Raises
    ------
    AlignmentError
        If units can't be converted, or points differ and there is no grid to regrid from.
    """
    like = next(iter(maps.values()))
    moved = {name: _onto(field, like, keep, name) for name, field in maps.items()}
    joined = xr.concat(
        [one.transpose(*like.dims) for one in moved.values()],
        xr.Variable(SOURCE, np.array(list(moved), object)),
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
    return joined.assign_attrs(like.attrs)


def area_mean(field: xr.DataArray, keep: Collection[str]) -> xr.DataArray:
    """Average over all dimensions but ``source`` and ``keep``, where all sources have a value.

    Weighted by cell area; equally where there are no rows of latitudes.
    """
    over = [dim for dim in field.dims if dim != SOURCE and dim not in keep]
    if not over:
        return field
    known = field.notnull().all(SOURCE) if SOURCE in field.dims else field.notnull()
    mean = field.where(known).weighted(area_weights(field)).mean(over)
    return mean.assign_attrs(field.attrs)


def _onto(
    field: xr.DataArray, like: xr.DataArray, keep: Collection[str], name: str
) -> xr.DataArray:
    """Return a map at the points and in the units of another."""
    if field is like:
        return field
    field = same_units(field, like, (name, "first source"))
    if field.dims == like.dims and field.coords.equals(like.coords):
        return field
    try:
        moved = check_coordinates(field, like, name)
        if set(moved.dims) == set(like.dims):
            return moved
        reason = f"{name!r} has the dimensions {field.dims}, the first source {like.dims}."
    except AlignmentError as error:
        reason = str(error)
    target = like.isel({dim: 0 for dim in keep if dim in like.dims}, drop=True)
    try:
        found = regrid(field.rename("map"), target.to_dataset(name="grid"))
        return check_coordinates(found, like, name).assign_attrs(field.attrs)
    except (GridError, AlignmentError) as failed:
        raise AlignmentError(f"{reason} Regridding failed: {failed}") from failed
