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


def join_sources(maps: Mapping[str, xr.Dataset], keep: Collection[str]) -> xr.Dataset:
    """Join maps of statistics along ``source``, on the grid and in the units of the first.

    Parameters
    ----------
    maps
        For each source the same variables, (..., y, x). Maps on other grids are averaged onto that
        of the first, conservatively.
    keep
        Dimensions besides those in space, which are the same in all maps.

    Raises
    ------
    AlignmentError
        If units can't be converted, or points differ and there is no grid to regrid from.
    """
    like = next(iter(maps.values()))
    joined = xr.concat(
        [_onto(one, like, keep, name) for name, one in maps.items()],
        xr.Variable(SOURCE, np.array(list(maps), object)),
        data_vars="all",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
    for name, values in joined.data_vars.items():
        values.attrs = like[name].attrs
    return joined


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


def _onto(ds: xr.Dataset, like: xr.Dataset, keep: Collection[str], name: str) -> xr.Dataset:
    """Return maps at the points, in the order and in the units of others."""
    if ds is like:
        return ds
    roles = (name, "first source")
    maps = {str(n): same_units(ds[n], one, roles) for n, one in like.data_vars.items()}
    try:
        return _matched(maps, like, name)
    except AlignmentError as error:
        reason = str(error)
    first = next(iter(like.data_vars.values()))
    target = first.isel({dim: 0 for dim in keep if dim in first.dims}, drop=True)
    try:
        found = regrid(xr.Dataset(maps), target.to_dataset(name="grid"))
        return _matched({n: found[n] for n in maps}, like, name)
    except (GridError, AlignmentError) as failed:
        raise AlignmentError(f"{reason} Regridding failed: {failed}") from failed


def _matched(maps: Mapping[str, xr.DataArray], like: xr.Dataset, name: str) -> xr.Dataset:
    """Return maps in the order of others, after checking that they have the same points."""
    found = {}
    for part, field in maps.items():
        other = like[part]
        if not (field.dims == other.dims and field.coords.equals(other.coords)):
            field = check_coordinates(field, other, name)
        if set(field.dims) != set(other.dims):
            raise AlignmentError(
                f"{name!r} has the dimensions {field.dims}, the first source {other.dims}."
            )
        found[part] = field.transpose(*other.dims)
    return xr.Dataset(found)
