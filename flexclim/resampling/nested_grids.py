"""Coarsen and interpolate xarray objects along their grid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

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
from flexclim.grids.curvilinear_cells import warn_of_repeated
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
from flexclim.resampling.healpix_levels import children_of, coarser, finer, levels_of
from flexclim.resampling.regridding import regrid
from flexclim.resampling.rows_and_columns import (
    CellList,
    GridHint,
    find_cell_list,
    on_rows,
)

T = TypeVar("T", xr.Dataset, xr.DataArray)


@suggest_options
def coarsen(obj: T, factor: int, *, grid: GridHint | None = None) -> T:
    """Average blocks of ``factor`` x ``factor`` cells, weighted by their area.

    Parameters
    ----------
    obj
        Fields on any grid; any units. The result is lazy if they are dask arrays.
    factor
        Fine cells along one side of a coarse cell.
    grid
        Whether values are ``"cell"`` means or ``"point"`` values, where coordinates don't tell.
        On a grid of points, blocks are centred on every ``factor``-th point; with an even factor
        the points at their edges count in each of two blocks with the half that lies in it.
        ``"healpix"`` or ``"healpix:ring"``: cells are HEALPix, where a file doesn't say so.

    Returns
    -------
    Dataset or DataArray
        The coarse fields with the dimension order and units of ``obj``; a Dataset has bounds.
        Missing cells are left out of the means; NaN where a whole block is missing. Directions
        are averaged as unit vectors; of flags and categories the most frequent is taken, with a
        warning. Variables without rows and columns are kept as they are. Of HEALPix pixels the
        parents, where ``factor`` is a power of two; other cells along one dimension become
        regular ones, of ``factor`` times about their spacing.

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
    if (cells := find_cell_list(obj, grid)) is not None:
        return _of_cells(obj, partial(_coarsen_cells, found=cells, factor=factor))
    fine = find_grid(obj, cast("Kind | None", grid)).aligned(factor).with_corners()
    coarse = fine.coarsened(factor)
    domain, sines, areas = fine.domain, fine.row_sines, fine.cell_areas

    def mean(values: np.ndarray, *, vector: bool = False) -> np.ndarray:
        return operators.block_mean(values, domain, factor, sines, areas)

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
def interpolate(
    obj: T, factor: int, method: Method = "bicubic", *, grid: GridHint | None = None
) -> T:
    """Interpolate coarse fields to the fine grid nested in theirs.

    Fine cells are placed by their centres (or points), so that fields are not shifted.

    Parameters
    ----------
    obj
        Fields on any grid; any units. The result is lazy if they are dask arrays.
    factor
        Fine cells along one side of a coarse cell.
    method
        ``"nearest"``, ``"bilinear"`` or ``"bicubic"`` (Keys, 1981, a = -3/4).
    grid
        Whether values are ``"cell"`` means or ``"point"`` values, where coordinates don't tell.
        ``"healpix"`` or ``"healpix:ring"``: cells are HEALPix, where a file doesn't say so.

    Returns
    -------
    Dataset or DataArray
        The fine fields with the dimension order and units of ``obj``; a Dataset has bounds. NaN
        where the stencil of a fine cell has a NaN. Bicubic interpolation can overshoot, also
        below zero. Directions are averaged as unit vectors; of flags and categories the nearest
        is taken, with a warning. Variables without rows and columns are kept as they are.
        HEALPix pixels are split, where ``factor`` is a power of two; other cells along one
        dimension are taken to a regular grid of about their own spacing first.

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
    if (cells := find_cell_list(obj, grid)) is not None:
        return _of_cells(
            obj, partial(_interpolate_cells, found=cells, factor=factor, method=method)
        )
    coarse = find_grid(obj, cast("Kind | None", grid))
    fine = coarse.with_few_corners(factor).refined(factor)
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


def _of_cells(obj: T, change: Callable[[xr.Dataset], xr.Dataset]) -> T:
    """Change fields along one dimension of cells."""
    ds = as_dataset(obj) if isinstance(obj, xr.DataArray) else obj
    changed = change(ds)
    if isinstance(obj, xr.DataArray):
        return pick(changed, str(next(iter(ds.data_vars)))).rename(obj.name)
    return changed


def _coarsen_cells(ds: xr.Dataset, *, found: CellList, factor: int) -> xr.Dataset:
    """Average HEALPix pixels over their parents, other cells over larger regular ones."""
    levels, pixels = levels_of(factor), found.cells.pixels
    if pixels is not None and levels is not None and levels <= pixels.level:
        return coarser(ds, found.cells, levels, f"coarsen(factor={factor})")
    return on_rows(ds, found.coarsened(factor))


def _interpolate_cells(
    ds: xr.Dataset, *, found: CellList, factor: int, method: Method
) -> xr.Dataset:
    """Split HEALPix pixels; take other cells to rows and columns first."""
    levels = levels_of(factor)
    if found.cells.pixels is None or levels is None:
        return interpolate(on_rows(ds, found), factor, method)
    if method == "bicubic":
        target = children_of(found.cells.pixels, levels)
        return regrid(on_rows(ds, found), xr.Dataset(coords=target.coordinates), "bicubic")
    action = f"interpolate(factor={factor}, method={method!r})"
    return finer(ds, found.cells, levels, action, nearest=method == "nearest")


def _resample(obj: T, old: Grid, new: Grid, how: Resampling) -> T:
    """Resample the canonical planes of every field and describe the result."""
    if isinstance(obj, xr.DataArray):
        ds = as_dataset(obj)
        described = _resample(ds, old, new, how)
        return pick(described, str(next(iter(ds.data_vars)))).rename(obj.name)
    warn_of_repeated(old)
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
    old, new = (grid.without_positions() for grid in (old, new))
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
