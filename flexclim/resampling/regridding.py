"""Regrid fields from any grid to any other, to points and to polygons."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, TypeVar

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from flexclim.cf.coordinates import completed_positions
from flexclim.cf.description import describe_on_target, name_taken
from flexclim.cf.directions_and_categories import most_frequent
from flexclim.cf.fields import BOOLEANS, NUMBERS, as_dataset, fields_along, pick
from flexclim.cf.missing_values import decoded
from flexclim.cf.quantities import FieldProperties, along_grid
from flexclim.cf.regridding_weights import find_weights
from flexclim.errors import GridError, suggest_options, warn
from flexclim.grids.arguments import check_fields, is_one_of, shown
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.candidates import is_position
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.methods import AREAL, METHODS, RegridMethod
from flexclim.grids.regridding.sparse_weights import Weights
from flexclim.grids.regridding.targets import Target, target_of
from flexclim.resampling.field_methods import (
    Resampling,
    change_of,
    empty_text,
    record_method,
    variables_elsewhere,
)

T = TypeVar("T", xr.Dataset, xr.DataArray)

NAN_THRESHOLD = 0.5


@suggest_options
def regrid(
    obj: T,
    to: Any,
    method: RegridMethod = "conservative",
    *,
    nan_threshold: float = NAN_THRESHOLD,
    grid: str | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> T:
    """Regrid fields from any grid to any other, to points or to polygons.

    Parameters
    ----------
    obj
        Fields on rows and columns of any spacing, on a rotated, projected or curvilinear grid, on
        HEALPix, or on unstructured cells or points. The result is lazy if they are dask arrays.
    to
        An object with a grid; a number of degrees, for a regular grid over the input's extent;
        ``"healpix:8"`` for a level of HEALPix, nested; points, an object with 1-D latitudes and
        longitudes along one dimension; or polygons, anything with ``__geo_interface__`` or a
        list of such, for means over their areas.
    method
        ``"conservative"``: means weighted by the area in common; at a point, the value of the
        cell around it. ``"conservative_2nd"``: the same with a slope in each cell (Jones, 1999),
        which can overshoot. ``"bilinear"``: between centres, within triangles where there are no
        rows and columns. ``"bicubic"`` (Keys, 1981, a = -3/4, along rows and columns).
        ``"nearest"``. ``"mode"``: the value with the largest area, for categories.
    nan_threshold
        Largest share of a target cell that may be missing or outside the input; where more is,
        the result is NaN. 0: none; 1: all but all.
    grid
        ``"healpix"`` (nested) or ``"healpix:ring"``, where a file does not say that it has
        HEALPix cells.
    weights
        NetCDF file of weights. If there is none, it is written; files of xESMF, ESMF and CDO
        can be read. Default: computed, and kept in memory for the last grids.

    Returns
    -------
    Dataset or DataArray
        Fields on the coordinates of ``to``, whose values are kept as they are, with the names
        and units of ``obj``. Directions are averaged as unit vectors; of flags and categories
        the one with the largest weight is taken, with a warning. Other coordinates and variables
        are kept.

    Raises
    ------
    GridError
        If no grid is found, there are several, cells overlap or leave holes, ``to`` or ``method``
        is invalid or does not fit, or points or polygons lie outside the input.
    FlexclimError
        When values are computed, if some are infinite or undeclared fill values.

    Examples
    --------
    >>> field = xr.DataArray(
    ...     [[1.0, 3.0], [5.0, 7.0]], coords={"lat": [0.5, -0.5], "lon": [5.0, 6.0]}
    ... )
    >>> station = xr.Dataset(coords={"lat": ("station", [0.25]), "lon": ("station", [5.5])})
    >>> regrid(field, station, "bilinear").values
    array([3.])
    >>> box = {"type": "Polygon", "coordinates": [[(5, 0), (6, 0), (6, 1), (5, 1), (5, 0)]]}
    >>> regrid(field, box).values
    array([2.])
    """
    check_fields(obj)
    if not is_one_of(method, METHODS):
        raise GridError(f"method {shown(method)} is not known. Pass one of {', '.join(METHODS)}.")
    if not (isinstance(nan_threshold, int | float) and 0 <= nan_threshold <= 1):
        raise GridError(f"nan_threshold {shown(nan_threshold)} is no share. Pass a number 0 to 1.")
    if not (grid is None or isinstance(grid, str)):
        raise GridError(f'grid {shown(grid)} is not known. Pass "healpix" or "healpix:ring".')
    ds = with_plain_attributes(as_dataset(obj) if isinstance(obj, xr.DataArray) else obj)
    source = cells_of(ds, grid, bounds=method in AREAL)
    target = target_of(to, source, bounds=method in AREAL)
    made = find_weights(source, target, method, weights)
    how = _method(made, target, method, nan_threshold)
    described = resampled(ds, source, target, how)
    if isinstance(obj, xr.DataArray):
        return pick(described, str(next(iter(ds.data_vars)))).rename(obj.name)
    return described


def resampled(ds: xr.Dataset, source: Cells, target: Target, how: Resampling) -> xr.Dataset:
    """Return the fields of a Dataset on the target, described; other variables are kept.

    Parameters
    ----------
    ds
        Fields on ``source``; lazy ones stay lazy.
    how
        Changes (..., source) values to (..., target).

    Raises
    ------
    GridError
        If there are no fields, or fields of several grids.
    """
    elsewhere = {str(name) for name in ds.data_vars if not set(source.dims) & set(ds[name].dims)}
    if taken := sorted(elsewhere & set(target.coordinates)):
        raise name_taken(taken[0], "a variable")
    fields = [ds[name] for name in fields_along(ds, source.dims, NUMBERS + BOOLEANS)]
    _check_fields(ds, fields, source, target)
    properties_of = {str(field.name): FieldProperties.of(field) for field in fields}
    results = {
        str(field.name): _regridded(field, properties_of[str(field.name)], source, target, how)
        for field in fields
    }
    described = describe_on_target(
        results,
        ds,
        dims=source.dims,
        coordinates=completed_positions(target.coordinates),
        grid_mapping=target.grid_mapping,
        action=how.action,
    )
    for name, properties in properties_of.items():
        record_method(described[name], properties, how)
    return described.assign(variables_elsewhere(ds, described, source.dims, stale=True))


def _method(
    weights: Weights, target: Target, method: RegridMethod, nan_threshold: float
) -> Resampling:
    """Return how fields of each kind are regridded."""
    mean = partial(weights.means, nan_threshold=nan_threshold)

    def mode(values: np.ndarray, *, vector: bool = False) -> np.ndarray:
        return most_frequent(values.astype(np.result_type(values.dtype, np.float32)), mean)

    areal = method in AREAL and target.kind != "points"
    asked = method in ("mode", "nearest")
    return Resampling(
        mean=mode if method == "mode" else mean,
        categories=mode,
        action=f"regrid(to={target.text}, method={method!r}, nan_threshold={nan_threshold:g})",
        cell_methods=("area: mode" if method == "mode" else "area: mean", "area: mode")
        if areal
        else ("", ""),
        word="" if asked else "the one with the largest weight is taken",
    )


def _check_fields(
    ds: xr.Dataset, fields: list[xr.DataArray], source: Cells, target: Target
) -> None:
    if not fields:
        raise GridError(
            f"no variable of the dataset has numbers along {' and '.join(map(repr, source.dims))}. "
            "Add one, or check its dimensions."
        )
    for name in fields_along(ds, ()):
        positions = [c for c in ds[name].coords.values() if c.ndim and is_position(c)]
        elsewhere = {str(dim) for c in positions for dim in c.dims if c.ndim <= 2} - set(
            source.dims
        )
        if elsewhere and not set(source.dims) <= set(ds[name].dims):
            raise GridError(
                f"the dataset has several grids: {name!r} lies along {', '.join(sorted(elsewhere))}"
                f", others along {', '.join(source.dims)}. Select variables of one grid first."
            )
    for field in fields:
        taken = set(field.dims) - set(source.dims)
        if taken & set(target.dims):
            dim = sorted(map(str, taken & set(target.dims)))[0]
            raise GridError(
                f"{field.name!r} has a dimension {dim!r}, and the target too. Rename one of them."
            )
        if along_grid(field) and source.rows is None:
            warn(
                f"{field.name!r} is a component along the rows or columns of its grid, and is kept "
                "as it is. Rotate it to eastward and northward components before regridding."
            )


def _regridded(
    field: xr.DataArray,
    properties: FieldProperties,
    source: Cells,
    target: Target,
    how: Resampling,
) -> xr.Variable:
    variable = field.variable.transpose(..., *source.dims)
    lead = variable.dims[: variable.ndim - len(source.dims)]
    name, change = str(field.name), change_of(properties, how)
    places = None if target.kind == "cells" else target
    marks = source.fingerprint, target.fingerprint, how.action

    def planes(values: np.ndarray) -> np.ndarray:
        values = decoded(values, properties.missing, name)
        result = change(values)
        if places is not None:
            _warn_of_missing(values, result, places, name)
        return result

    sizes = variable.shape[: len(lead)]
    data, shape = variable.data, (*sizes, source.size)
    if isinstance(data, da.Array):
        whole = data.rechunk(dict.fromkeys(range(len(lead), data.ndim), -1))
        flat = whole.reshape(shape) if len(source.dims) > 1 else whole
        dtype = np.result_type(data.dtype, np.float32)
        result = flat.map_blocks(
            planes,
            chunks=(*flat.chunks[:-1], (target.latitude.size,)),
            dtype=dtype,
            meta=np.empty((0,) * flat.ndim, dtype),
            name=f"regrid-{tokenize(flat.name, *marks)}",
        )
    else:
        result = planes(np.asarray(data).reshape(shape))
    shaped = xr.Variable((*lead, *target.dims), result.reshape(*sizes, *target.shape))
    return shaped.transpose(*_order(field.dims, source.dims, target.dims))


def _order(dims: tuple[Any, ...], old: tuple[str, ...], new: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the dimensions of a result: the new ones in the place of the old ones."""
    if set(old) == set(new):
        return dims
    place = min(dims.index(dim) for dim in old)
    before = [dim for dim in dims[:place] if dim not in old]
    after = [dim for dim in dims[place:] if dim not in old]
    return (*before, *new, *after)


def _warn_of_missing(values: np.ndarray, result: np.ndarray, target: Target, name: str) -> None:
    """Warn of points and polygons without any value in a field that has some."""
    empty = np.isnan(result).reshape(-1, result.shape[-1]).all(axis=0)
    if result.size and empty.any() and not np.isnan(values).all():
        warn(empty_text(empty, target, name))
