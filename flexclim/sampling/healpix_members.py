"""Members on HEALPix, where the coarse fields are: children of each pixel, whose means are kept.

Legend: R members, t other dimensions, y x the fine regular grid, n pixels, p their children.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import dask.array as da
import numpy as np
import xarray as xr

from flexclim.cf.coordinates import completed_positions
from flexclim.cf.encodings import encodings
from flexclim.cf.missing_values import decoded_field
from flexclim.cf.physical_bounds import NO_BOUNDS, Bounds
from flexclim.cf.quantities import FieldProperties
from flexclim.grids.conservation import BlockMeans
from flexclim.grids.domain import Domain
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.cells import Cells, healpix_cells
from flexclim.grids.regridding.healpix import DEEPEST
from flexclim.grids.regridding.methods import RegridMethod, weights_between
from flexclim.grids.regridding.sparse_weights import Weights
from flexclim.grids.regridding.targets import GRID_MAPPING, Target
from flexclim.planning.plan import TargetPlan
from flexclim.planning.source import Source
from flexclim.planning.variable_groups import VariableGroup
from flexclim.resampling.healpix_levels import children_of, levels_of, smooth_weights
from flexclim.sampling.planes import Plan
from flexclim.sampling.planned_ensemble import TILES


@dataclass(frozen=True, kw_only=True, eq=False)
class Children:
    """Takes fields from a fine regular grid to the children of pixels.

    Parameters
    ----------
    rows
        The regular grid.
    pixels, order
        The pixels of the coarse field in nested order, and their places in it.
    target
        Children in nested order, so that those of one pixel follow each other.
    levels
        By which they are deeper.
    """

    rows: Cells
    pixels: Cells
    order: np.ndarray
    target: Target
    levels: int

    def __dask_tokenize__(self) -> object:
        return self.rows.fingerprint, self.pixels.fingerprint, self.levels

    @cached_property
    def spread(self) -> Weights:
        """Weights that interpolate a correction from pixels to children."""
        return smooth_weights(self.pixels, self.target)

    @cached_property
    def weights(self) -> dict[RegridMethod, Weights]:
        """Weights from the regular grid to children."""
        return {}

    def values(self, fine: np.ndarray, method: RegridMethod, *, vector: bool) -> np.ndarray:
        """Return fields (..., y, x) at the centres of children, (..., p)."""
        if method not in self.weights:
            self.weights[method] = weights_between(self.rows, self.target, method)
        flat = fine.reshape(*fine.shape[:-2], -1)
        # Beside missing cells, what is known is averaged.
        return self.weights[method].means(flat, 1.0, vector=vector)

    def corrected(self, fine: np.ndarray, coarse: np.ndarray, bounds: Bounds) -> np.ndarray:
        """Return one field (p) whose means over pixels equal ``coarse`` (n).

        A smooth correction comes first, so that no edges of pixels appear. Where values have
        bounds that the coarse field keeps, the rest is a factor.
        """
        coarse = coarse.astype(float)
        known = ~np.isnan(coarse)
        result = fine.astype(float).reshape(coarse.size, -1)
        low, high = bounds.limits(coarse)
        error = np.where(known, coarse - result.mean(axis=1), np.nan)
        result = result + np.nan_to_num(self.spread.means(error, 1.0)).reshape(result.shape)
        if low == -np.inf:
            result = result + (coarse - result.mean(axis=1))[:, None]
        else:
            # Each pixel is a block of its own, 2^levels cells wide.
            side = 2**self.levels
            blocks = np.clip(np.nan_to_num(result), low, high).reshape(-1, side, side)
            plane = blocks.transpose(1, 0, 2).reshape(side, -1)
            means = BlockMeans(Domain(shape=(1, coarse.size)), side)
            means.multiply(plane, np.nan_to_num(coarse)[None], high)
            result = plane.reshape(side, -1, side).transpose(1, 0, 2).reshape(result.shape)
            result[~known] = np.nan
        return np.asarray(result.ravel())


def on_pixels(
    fields: xr.Dataset,
    source: Source,
    plans: Sequence[Plan],
    groups: Sequence[VariableGroup],
    factor: int,
) -> xr.Dataset:
    """Return described fields on the children of the pixels that a source had, lazily.

    Fields are returned as they are if there were no pixels, or if the factor is no power of two.
    """
    pixels = None if source.cells is None else source.cells.cells.pixels
    levels = levels_of(factor)
    if source.cells is None or pixels is None or levels is None or pixels.level + levels > DEEPEST:
        return fields
    assert source.given is not None
    grid = source.grid
    children = Children(
        rows=cells_of(fields),
        pixels=healpix_cells(source.cells.dim, pixels.level, pixels.number[pixels.order]),
        order=pixels.order,
        target=children_of(pixels, levels),
        levels=levels,
    )
    by_name = {
        group.output(target.name): target
        for plan, group in zip(plans, groups, strict=True)
        for target in plan.sampling.targets
        if target.name in group.returned
    }
    plane = {grid.y, grid.x}
    changed = {
        name: _on_children(fields[name], children, by_name[name], source) for name in by_name
    }
    stale = [name for name, one in fields.variables.items() if plane & set(one.dims)]
    target = children.target
    result = fields.drop_vars(stale).assign(changed)
    result = result.assign_coords(completed_positions(target.coordinates))
    for name, encoding in encodings(result, "plain").items():
        result[name].encoding = encoding
    return result


def _on_children(
    field: xr.DataArray, children: Children, plan: TargetPlan, source: Source
) -> xr.Variable:
    """Return one field on children; means over pixels are kept where the plan says so."""
    variable = field.variable
    lead = variable.dims[:-2]
    properties = FieldProperties.of(field)
    method: RegridMethod = "bicubic" if plan.bounds == NO_BOUNDS else "bilinear"
    size = children.target.latitude.size
    data = variable.data.rechunk({variable.ndim - 2: -1, variable.ndim - 1: -1})
    *index, y, x, n, p = range(len(lead) + 4)
    arguments = [data, (*index, y, x)]
    if source.given is not None and field.name in source.given:
        assert source.cells is not None
        given = decoded_field(source.given[field.name], (source.cells.dim,))
        dims = [dim for dim in lead if dim in given.dims]
        coarse = given.transpose(*dims, source.cells.dim).variable.data
        coarse = coarse if isinstance(coarse, da.Array) else da.from_array(coarse, name=False)
        blocks = [data.chunks[lead.index(dim)] for dim in dims]
        coarse = coarse.rechunk(dict(enumerate([*blocks, -1])))
        arguments += [coarse, (*(lead.index(dim) for dim in dims), n)]
    # The bounds of the plan are in the model's units, of which 0 is the same.
    bounds = properties.bounds if plan.bounds.upper is not None else plan.bounds

    def planes(fine: np.ndarray, *coarse: np.ndarray) -> np.ndarray:
        there = children.values(fine, method, vector=properties.vector)
        if coarse:
            each = np.broadcast_to(coarse[0], (*there.shape[:-1], children.order.size))
            for at in np.ndindex(there.shape[:-1]):
                means = each[at][children.order]
                own = means.repeat(4**children.levels)
                # Between missing cells of the regular grid nothing else is known.
                there[at] = np.where(np.isnan(there[at] + own), own, there[at])
                if plan.conserve:
                    there[at] = children.corrected(there[at], means, bounds)
        return there.astype(fine.dtype)

    result = da.blockwise(
        planes,
        (*index, p),
        *arguments,
        new_axes={p: size},
        concatenate=True,
        dtype=data.dtype,
        meta=np.empty((0,) * (len(lead) + 1), data.dtype),
        token=f"pixels-{field.name}",
    )
    left = {k: v for k, v in variable.attrs.items() if k != TILES}
    return xr.Variable(
        (*lead, *children.target.dims), result, left | {"grid_mapping": GRID_MAPPING}
    )
