"""Constraints between variables, imposed on lazy members block by block.

Nothing but the blocks themselves is needed: corrections keep the block means that the members have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from flexclim.cf.related_variables import Relation
from flexclim.execution.notes import CONSTRAINTS, Moved, record
from flexclim.grids.conservation import BlockMeans
from flexclim.grids.domain import Domain
from flexclim.grids.grid import Grid
from flexclim.grids.ordered_fields import ROUNDING, keep_order, speed_of
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.planning.variable_groups import VariableGroup

Span = tuple[int, int]


def constrained(
    fields: xr.Dataset,
    constraints: Sequence[Relation],
    plans: Sequence[DownscalingPlan],
    groups: Sequence[VariableGroup],
    grid: Grid,
) -> xr.Dataset:
    """Return described lazy members with constraints imposed, and attributes that state them.

    Parameters
    ----------
    fields
        On rows and columns of the fine grid, or on children of HEALPix pixels in nested order.
    plans, groups
        How they are sampled.
    grid
        The coarse grid.
    """
    planned = {
        group.output(target.name): (plan, target)
        for plan, group in zip(plans, groups, strict=True)
        for target in plan.sampling.targets
    }
    changed = {}
    for one in constraints:
        plan, target = planned[one.moved]
        field = fields[one.moved]
        moved = field.data
        nested = field.dims[-2:] != plan.sampling.dims[-2:]
        if target.conserve and not nested and _cuts_blocks(moved.chunks[-2:], plan):
            moved = moved.rechunk({moved.ndim - 2: plan.region[0], moved.ndim - 1: plan.region[1]})
        data = da.map_blocks(
            impose,
            moved,
            *(fields[name].data.rechunk(moved.chunks) for name in one.others),
            constraint=one,
            plan=plan,
            nested=nested,
            conserve=target.conserve,
            areas=_fine_areas(grid, plan) if target.conserve else None,
            dtype=moved.dtype,
            meta=moved._meta,
        )
        changed[one.moved] = field.copy(data=data).assign_attrs({CONSTRAINTS: str(one)})
    return fields.assign(changed)


def _cuts_blocks(chunks: Sequence[tuple[int, ...]], plan: DownscalingPlan) -> bool:
    """Return whether chunks along rows and columns cut blocks, whose means are kept as a whole."""
    ends = np.concatenate([np.cumsum(sizes) for sizes in chunks])
    return plan.coarse.kind == "point" or bool((ends % plan.factor).any())


def impose(
    moved: np.ndarray,
    *others: np.ndarray,
    constraint: Relation,
    plan: DownscalingPlan,
    nested: bool,
    conserve: bool,
    areas: np.ndarray | None = None,
    block_info: Mapping[Any, Any],
) -> np.ndarray:
    """Impose a constraint on a block in stored order, and note how many cells were moved.

    Parameters
    ----------
    moved, others
        (..., y, x), or (..., p) where ``nested``: children of HEALPix pixels in nested order.
    conserve
        Whether block means are kept.
    areas
        (y', x') areas of curvilinear cells, which weight them, canonical.
    """
    at = block_info[0]["array-location"]
    if nested:
        fields, *bounds = (_as_plane(one, plan.factor) for one in (moved, *others))
        means = _pixel_means(fields.shape[-1] // plan.factor, plan.factor) if conserve else None
    else:
        grid = plan.sampling.grid.refined(plan.factor)
        fields, *bounds = (grid.canonical(one) for one in (moved, *others))
        means = _block_means(plan, tuple(at[-2]), tuple(at[-1])) if conserve else None
        if means is not None and areas is not None:
            means = means.weighted(areas)
    bounds = [
        units.scale * bound.astype(float) + units.offset
        for bound, units in zip(bounds, constraint.conversions, strict=True)
    ]
    result, left = np.empty_like(fields), False
    for index in np.ndindex(fields.shape[:-2]):
        field, bound = fields[index], [one[index] for one in bounds]
        if constraint.rule == "speed":
            result[index] = speed_of(field, np.stack(bound), means)
        else:
            below = constraint.rule == "at_most"
            result[index], beyond = keep_order(field, bound[0], below=below, means=means)
            left |= beyond
    block = str(block_info[0]["chunk-location"])
    _note(result, fields, left, constraint, plan.sampling.run, block)
    return _from_plane(result, plan.factor) if nested else grid.restore(result)


def _note(
    result: np.ndarray,
    given: np.ndarray,
    left: bool,
    constraint: Relation,
    run: str,
    block: str,
) -> None:
    """Note how many cells of a block were moved beyond rounding, and whether blocks were left."""
    change = np.abs(result - given)
    largest = float(np.fmax.reduce(change, axis=None))
    close = ROUNDING * np.finfo(given.dtype).eps * np.fmax.reduce(np.abs(given), axis=None)
    if largest > close:
        record(run, Moved(constraint.moved, block, int((change > close).sum()), largest))
    if left:
        record(
            run,
            f"block means of the input break {constraint}; where they do, it is not imposed, so "
            "that block means are kept.",
        )


def _as_plane(children: np.ndarray, side: int) -> np.ndarray:
    """Return children (..., p) as a row of square blocks, one a pixel: (..., side, n side)."""
    blocks = children.reshape(*children.shape[:-1], -1, side, side)
    return np.moveaxis(blocks, -2, -3).reshape(*children.shape[:-1], side, -1)


def _from_plane(plane: np.ndarray, side: int) -> np.ndarray:
    """Undo :func:`_as_plane`."""
    blocks = plane.reshape(*plane.shape[:-1], -1, side)
    return np.moveaxis(blocks, -3, -2).reshape(*plane.shape[:-2], -1)


def _fine_areas(grid: Grid, plan: DownscalingPlan) -> np.ndarray | None:
    """Return the areas of fine curvilinear cells, canonical; None for rows and columns."""
    grid = grid.as_kind(plan.coarse.kind).with_corners()
    return None if grid.corners is None else grid.refined(plan.factor).cell_areas


@lru_cache(maxsize=8)
def _pixel_means(pixels: int, side: int) -> BlockMeans:
    return BlockMeans(Domain(shape=(1, pixels)), side)


@lru_cache(maxsize=8)
def _block_means(plan: DownscalingPlan, rows: Span, columns: Span) -> BlockMeans:
    """Return the block means of a chunk of the output; ``rows`` and ``columns`` are as stored."""
    fine = plan.sampling.grid.refined(plan.factor)
    part = [
        slice(size - stop, size - start) if flipped else slice(start, stop)
        for size, flipped, (start, stop) in zip(
            fine.domain.shape, (fine.flip_y, fine.flip_x), (rows, columns), strict=True
        )
    ]
    return BlockMeans(plan.coarse, plan.factor, fine.row_sines, part=(part[0], part[1]))
