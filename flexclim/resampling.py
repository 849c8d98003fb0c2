"""Coarsen and interpolate xarray objects along their grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import dask.array as da
import numpy as np
import xarray as xr

from flexclim.cf.description import describe_fields
from flexclim.cf.fields import BOOLEANS, NUMBERS, as_dataset, check_values, fields_on, pick
from flexclim.cf.quantities import vector_component
from flexclim.errors import GridError, suggest_options
from flexclim.grids import operators
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Kind
from flexclim.grids.grid import Grid, whole_factor
from flexclim.grids.operators import REACH, Method

T = TypeVar("T", xr.Dataset, xr.DataArray)
# Maps canonical planes (..., y, x) to others; the flag says whether they change sign at a pole.
Change = Callable[[np.ndarray, bool], np.ndarray]


@suggest_options
def coarsen(obj: T, factor: int, *, grid: Kind | None = None) -> T:
    """Average blocks of ``factor`` x ``factor`` cells, weighted by their area.

    Parameters
    ----------
    obj
        Fields (..., y, x) on a regular grid; any units. The result is lazy if they are dask
        arrays.
    factor
        Fine cells along one side of a coarse cell.
    grid
        Whether values are ``"cell"`` means or ``"point"`` values, where coordinates don't tell.
        On a grid of points, blocks are centred on every ``factor``-th point; with an even factor
        the points at their edges count half in each of two blocks.

    Returns
    -------
    Dataset or DataArray
        The coarse fields with the dimension order and units of ``obj``; a Dataset has bounds.
        Missing cells are left out of the means; NaN where a whole block is missing. Variables
        without rows and columns are kept as they are.

    Raises
    ------
    GridError
        If no grid is found, or ``factor`` does not fit it.
    FlexclimError
        When values are computed, if some are infinite.

    Examples
    --------
    >>> field = xr.DataArray(
    ...     [[0.0, 2.0], [4.0, np.nan]], coords={"lat": [0.5, -0.5], "lon": [5.0, 6.0]}
    ... )
    >>> float(coarsen(field, 2)[0, 0])
    2.0
    """
    fine = find_grid(obj, grid).aligned(whole_factor(factor))
    coarse = fine.coarsened(factor)
    domain, area = fine.domain, fine.row_area

    def mean(values: np.ndarray, vector: bool) -> np.ndarray:
        return operators.block_mean(values, domain, factor, area)

    return _resample(obj, fine, coarse, mean, f"coarsen(factor={factor})", "area: mean")


@suggest_options
def interpolate(obj: T, factor: int, method: Method = "bicubic", *, grid: Kind | None = None) -> T:
    """Interpolate coarse fields to the fine grid nested in theirs.

    Fine cells are placed by their centres (or points), so that fields are not shifted.

    Parameters
    ----------
    obj
        Fields (..., y, x) on a regular grid; any units. The result is lazy if they are dask
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
        below zero. Variables without rows and columns are kept as they are.

    Raises
    ------
    GridError
        If no grid is found, or ``factor`` or ``method`` is invalid.
    FlexclimError
        When values are computed, if some are infinite.

    Examples
    --------
    >>> field = xr.DataArray([[0.0, 4.0]] * 2, coords={"lat": [1.0, 0.0], "lon": [5.0, 6.0]})
    >>> interpolate(field, 2, "bilinear").values[0]
    array([0., 1., 3., 4.])
    """
    if method not in REACH:
        raise GridError(f"method {method!r} is not known. Pass one of {', '.join(REACH)}.")
    coarse = find_grid(obj, grid)
    fine = coarse.refined(factor)
    domain = coarse.domain

    def finer(values: np.ndarray, vector: bool) -> np.ndarray:
        return operators.interpolate(values, domain, factor, method, vector=vector)

    return _resample(obj, coarse, fine, finer, f"interpolate(factor={factor}, method={method!r})")


def _resample(
    obj: T, old: Grid, new: Grid, change: Change, action: str, cell_method: str = ""
) -> T:
    """Apply ``change`` to the canonical planes of every field and describe the result."""
    if isinstance(obj, xr.DataArray):
        ds = as_dataset(obj)
        described = _resample(ds, old, new, change, action, cell_method)
        return pick(described, str(next(iter(ds.data_vars)))).rename(obj.name)
    fields = [obj[name] for name in fields_on(obj, old, NUMBERS + BOOLEANS)]
    if not fields:
        raise GridError(
            f"no variable of the dataset has numbers along {old.y!r} and {old.x!r}. "
            "Add one, or check its dimensions."
        )
    results = {str(field.name): _changed(field, old, new, change) for field in fields}
    described = describe_fields(results, obj, new, action=action)
    for name in results:
        known = str(described[name].attrs.get("cell_methods", ""))
        if cell_method not in known:
            described[name].attrs["cell_methods"] = f"{known} {cell_method}".strip()
    rest = {
        name: variable.variable
        for name, variable in obj.data_vars.items()
        if name not in described.variables and not {old.y, old.x} & set(variable.dims)
    }
    return described.assign(rest)


def _changed(field: xr.DataArray, old: Grid, new: Grid, change: Change) -> xr.Variable:
    name, vector = str(field.name), vector_component(field)
    # Leave 2-D positions out of the function, which dask stores in its graph.
    old, new = (replace(grid, latitude=None, longitude=None) for grid in (old, new))

    def planes(values: np.ndarray) -> np.ndarray:
        check_values(values, name, "")
        return new.restore(change(old.canonical(values), vector))

    variable = field.variable.transpose(..., old.y, old.x)
    data, shape = variable.data, new.domain.shape
    if isinstance(data, da.Array):
        data = data.rechunk({data.ndim - 2: -1, data.ndim - 1: -1})
        dtype = np.result_type(data.dtype, np.float32)
        chunks = (*data.chunks[:-2], (shape[0],), (shape[1],))
        result = data.map_blocks(
            planes, chunks=chunks, dtype=dtype, meta=np.empty((0,) * data.ndim, dtype)
        )
    else:
        result = planes(np.asarray(data))
    return xr.Variable(variable.dims, result).transpose(*field.dims)
