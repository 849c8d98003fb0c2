"""Coarsen and interpolate xarray objects along their grid."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import dask.array as da
import numpy as np
import xarray as xr

from flexclim.cf.description import describe_fields
from flexclim.cf.directions_and_categories import most_frequent
from flexclim.cf.fields import BOOLEANS, NUMBERS, as_dataset, fields_on, pick, warn_of_others
from flexclim.cf.missing_values import NOTHING, decoded
from flexclim.cf.quantities import FieldProperties
from flexclim.errors import GridError, suggest_options
from flexclim.grids import operators
from flexclim.grids.arguments import check_fields, is_one_of, shown
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Kind
from flexclim.grids.grid import Grid, whole_factor
from flexclim.grids.operators import REACH, Method
from flexclim.resampling.field_methods import (
    Resampling,
    change_of,
    record_method,
    variables_elsewhere,
)

T = TypeVar("T", xr.Dataset, xr.DataArray)


@suggest_options
def coarsen(obj: T, factor: int, *, grid: Kind | None = None) -> T:
    """Average blocks of ``factor`` x ``factor`` cells, weighted by their area.

    Parameters
    ----------
    obj
        Fields (..., y, x) on rows and columns; any units. The result is lazy if they are dask
        arrays.
    factor
        Fine cells along one side of a coarse cell.
    grid
        Whether values are ``"cell"`` means or ``"point"`` values, where coordinates don't tell.
        On a grid of points, blocks are centred on every ``factor``-th point; with an even factor
        the points at their edges count in each of two blocks with the half that lies in it.

    Returns
    -------
    Dataset or DataArray
        The coarse fields with the dimension order and units of ``obj``; a Dataset has bounds.
        Missing cells are left out of the means; NaN where a whole block is missing. Directions
        are averaged as unit vectors; of flags and categories the most frequent is taken, with a
        warning. Variables without rows and columns are kept as they are.

    Raises
    ------
    GridError
        If no grid is found, or ``factor`` does not fit it.
    FlexclimError
        When values are computed, if some are infinite or undeclared fill values.

    Examples
    --------
    >>> field = xr.DataArray(
    ...     [[0.0, 2.0], [4.0, np.nan]], coords={"lat": [0.5, -0.5], "lon": [5.0, 6.0]}
    ... )
    >>> float(coarsen(field, 2)[0, 0])
    2.0
    """
    factor = whole_factor(factor)
    check_fields(obj)
    obj = with_plain_attributes(obj)
    fine = find_grid(obj, grid).aligned(factor)
    coarse = fine.coarsened(factor)
    domain, sines = fine.domain, fine.row_sines

    def mean(values: np.ndarray, *, vector: bool = False) -> np.ndarray:
        return operators.block_mean(values, domain, factor, sines)

    def mode(values: np.ndarray) -> np.ndarray:
        return most_frequent(values, mean)

    how = Resampling(
        mean=mean,
        categories=mode,
        action=f"coarsen(factor={factor})",
        cell_methods=("area: mean", "area: mode"),
        word="the most frequent category of each block is taken",
    )
    return _resample(obj, fine, coarse, how)


@suggest_options
def interpolate(obj: T, factor: int, method: Method = "bicubic", *, grid: Kind | None = None) -> T:
    """Interpolate coarse fields to the fine grid nested in theirs.

    Fine cells are placed by their centres (or points), so that fields are not shifted.

    Parameters
    ----------
    obj
        Fields (..., y, x) on rows and columns; any units. The result is lazy if they are dask
        arrays.
    factor
        Fine cells along one side of a coarse cell.
    method
        ``"nearest"``, ``"bilinear"`` or ``"bicubic"`` (Keys, 1981, a = -3/4).
    grid
        Whether values are ``"cell"`` means or ``"point"`` values, where coordinates don't tell.

    Returns
    -------
    Dataset or DataArray
        The fine fields with the dimension order and units of ``obj``; a Dataset has bounds. NaN
        where the stencil of a fine cell has a NaN. Bicubic interpolation can overshoot, also
        below zero. Directions are averaged as unit vectors; of flags and categories the nearest
        is taken, with a warning. Variables without rows and columns are kept as they are.

    Raises
    ------
    GridError
        If no grid is found, or ``factor`` or ``method`` is invalid.
    FlexclimError
        When values are computed, if some are infinite or undeclared fill values.

    Examples
    --------
    >>> field = xr.DataArray([[0.0, 4.0]] * 2, coords={"lat": [1.0, 0.0], "lon": [5.0, 6.0]})
    >>> interpolate(field, 2, "bilinear").values[0]
    array([0., 1., 3., 4.])
    """
    if not is_one_of(method, REACH):
        raise GridError(f"method {shown(method)} is not known. Pass one of {', '.join(REACH)}.")
    factor = whole_factor(factor)
    check_fields(obj)
    obj = with_plain_attributes(obj)
    coarse = find_grid(obj, grid)
    fine = coarse.refined(factor)
    domain = coarse.domain

    def finer(values: np.ndarray, *, vector: bool = False) -> np.ndarray:
        return operators.interpolate(values, domain, factor, method, vector=vector)

    def nearest(values: np.ndarray) -> np.ndarray:
        return operators.interpolate(values, domain, factor, "nearest").astype(values.dtype)

    how = Resampling(
        mean=finer,
        categories=nearest,
        action=f"interpolate(factor={factor}, method={method!r})",
        word="" if method == "nearest" else "the category of the nearest cell is taken",
    )
    return _resample(obj, coarse, fine, how)


def _resample(obj: T, old: Grid, new: Grid, how: Resampling) -> T:
    """Resample the canonical planes of every field and describe the result."""
    if isinstance(obj, xr.DataArray):
        ds = as_dataset(obj)
        described = _resample(ds, old, new, how)
        return pick(described, str(next(iter(ds.data_vars)))).rename(obj.name)
    fields = {name: obj[name] for name in fields_on(obj, old, NUMBERS + BOOLEANS)}
    warn_of_others(obj, old, fields)
    if not fields:
        raise GridError(
            f"no variable of the dataset has numbers along {old.y!r} and {old.x!r}. "
            "Add one, or check its dimensions."
        )
    properties_of = {name: FieldProperties.of(field) for name, field in fields.items()}
    results = {
        name: _changed(field, properties_of[name], old, new, how) for name, field in fields.items()
    }
    described = describe_fields(results, obj, new, action=how.action)
    for name, properties in properties_of.items():
        record_method(described[name], properties, how)
    return described.assign(variables_elsewhere(obj, described, (old.y, old.x)))


def _changed(
    field: xr.DataArray, properties: FieldProperties, old: Grid, new: Grid, how: Resampling
) -> xr.Variable:
    name = str(field.name)
    # Leave 2-D positions out of the function, which dask stores in its graph.
    old, new = (replace(grid, latitude=None, longitude=None) for grid in (old, new))
    change = change_of(properties, how)
    variable = field.variable.transpose(..., old.y, old.x)
    data, shape = variable.data, new.domain.shape
    dtype = np.result_type(data.dtype, np.float32)
    if properties.category and properties.missing == NOTHING:
        dtype = data.dtype

    def planes(values: np.ndarray) -> np.ndarray:
        known = decoded(values, properties.missing, name)
        if known.dtype.kind == "b" and not properties.category:
            known = known.astype(dtype)
        return new.restore(change(old.canonical(known))).astype(dtype, copy=False)

    if isinstance(data, da.Array):
        data = data.rechunk({data.ndim - 2: -1, data.ndim - 1: -1})
        chunks = (*data.chunks[:-2], (shape[0],), (shape[1],))
        result = data.map_blocks(
            planes, chunks=chunks, dtype=dtype, meta=np.empty((0,) * data.ndim, dtype)
        )
    else:
        result = planes(np.asarray(data))
    return xr.Variable(variable.dims, result).transpose(*field.dims)
