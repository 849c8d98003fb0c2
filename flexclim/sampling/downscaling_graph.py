"""Downscaled members as lazy arrays: one task prepares some planes, others sample their members.

Legend: P planes of a task, I inputs, T targets, M members, y x the coarse plane, y' x' the fine
one.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import cast

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.delayed import Delayed
from dask.system import CPU_COUNT
from dask.typing import Key

from flexclim.cf.physical_bounds import Limits
from flexclim.execution.allocation import return_memory
from flexclim.execution.network_tasks import network_layer
from flexclim.grids.conservation import BlockMeans
from flexclim.grids.grid import Grid
from flexclim.grids.operators import interpolate
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.planning.pass_counts import passes_of_field
from flexclim.sampling.blocks import (
    block_key,
    block_of,
    canonical_planes,
    lazy_targets,
    plane_chunks,
    planes_of,
)
from flexclim.sampling.local_scaling import fill_missing
from flexclim.sampling.network_inputs import stacked
from flexclim.sampling.plane_identity import (
    PlaneIdentities,
    PlaneIdentity,
    planes_named_in_errors,
)
from flexclim.sampling.planes import (
    Prepared,
    encode,
    inputs_of,
    keep_within,
    limits_of,
    predictors_of,
    returned,
    sample,
)
from flexclim.sampling.training_range import warn_if_far

# Regions computed concurrently: the serial host-side work of one region occupies few cores.
REGIONS_AT_ONCE = max(1, CPU_COUNT // 8)
_region_slots = threading.BoundedSemaphore(REGIONS_AT_ONCE)


def lazy_members(
    fields: Sequence[xr.DataArray],
    plan: DownscalingPlan,
    statics: Sequence[Delayed] = (),
    means: Sequence[Delayed] = (),
) -> dict[str, da.Array]:
    """Return the dask array (realization, ..., y', x') of all members of each target.

    One task samples a group of members of all targets at one time (and level, ...) in one region,
    or at several times where a field is small, so a slice computes few others.

    Parameters
    ----------
    fields
        The plan's inputs; an ensemble if members are paired.
    statics
        From :func:`flexclim.sampling.statics.static_fields`, one per region; empty: the model takes
        none.
    means
        From :func:`curvilinear_means`, one per region; empty: areas follow from rows and columns.
    """
    shared, first = plan.sampling, fields[0]
    lead = shared.dims[:-2]
    planes = [planes_of(field, shared) for field in fields]
    positions = [list(enumerate(shared.plane_groups(dim, first.sizes[dim]))) for dim in lead]
    groups = shared.member_groups
    coarse = range(len(shared.member_numbers) if shared.paired else 1)
    keys = [delayed.key for delayed in statics]
    weights = [delayed.key for delayed in means]
    token = tokenize([plane.name for plane in planes], keys, plan, *weights)
    prepare, members = f"prepare-{token}", f"downscale-{token}"
    parts = [(region, plan.of(region)) for region in plan.regions]
    tasks: dict[Key, object] = {}
    identities = PlaneIdentities(first, shared)
    for numbered in itertools.product(*positions):
        index = tuple(number for number, _ in numbered)
        where = (part for _, part in numbered)
        own_identities = identities.part(dict(zip(lead, where, strict=True)))
        for (region, part), static, mean in itertools.zip_longest(parts, keys, weights):
            prepared = [(prepare, n, *index, *region.index) for n in coarse]
            for n in coarse:
                at = (n, *index) if shared.paired else index
                own = [(plane.name, *at, 0, 0) for plane in planes]
                tasks[prepared[n]] = (prepare_planes, own, static, mean, part, own_identities)
            for number, group in enumerate(groups):
                read = [prepared[n] for n in group] if shared.paired else prepared
                task = (sample_members, read, part, own_identities, group)
                tasks[block_key(members, shared, number, *index, *region.index)] = task
    chunks = [
        *plane_chunks(first, shared),
        *(
            tuple(min(side, size - start) for start in range(0, size, side))
            for size, side in zip(shared.tiles.domain.shape, plan.region, strict=True)
        ),
    ]
    passes = passes_of_field(plan, first.sizes).network
    layers = {members: network_layer(tasks, shared.run, passes)}
    return lazy_targets(layers, [*planes, *statics, *means], chunks, shared)


def prepare_planes(
    planes: list[np.ndarray],
    statics: dict[str, np.ndarray] | None,
    means: BlockMeans | None,
    plan: DownscalingPlan,
    identities: PlaneIdentities,
) -> Prepared:
    """Check, fill and scale coarse planes (..., y, x), and run the task encoder on their windows.

    ``planes`` are the inputs, each of all planes whose identities are given.
    """
    every = identities.every()
    with planes_named_in_errors(every, _part_text(plan)), _region_slot(plan):
        return replace(_prepared(planes, statics, plan, every), means=means)


def _prepared(
    planes: list[np.ndarray],
    statics: dict[str, np.ndarray] | None,
    plan: DownscalingPlan,
    identities: Sequence[PlaneIdentity],
) -> Prepared:
    inputs = [one.reshape(-1, *one.shape[-2:]) for one in planes]
    checked = [
        _checked(list(own), plan, identity)
        for *own, identity in zip(*inputs, identities, strict=True)
    ]
    coarse, missing, limits = (list(each) for each in zip(*checked, strict=True))
    given = stacked(coarse)
    seen = inputs_of(given, plan, predictors_of(statics, plan.sampling, identities))
    fine_missing = None
    if any(one.any() for one in missing):
        fine_missing = stacked([_fine_missing(one, plan) for one in missing])
    return Prepared(given, seen, fine_missing, tuple(limits), encode(seen, plan, identities))


def _checked(
    planes: list[np.ndarray], plan: DownscalingPlan, identity: PlaneIdentity
) -> tuple[np.ndarray, np.ndarray, tuple[Limits, ...]]:
    """Return one plane (I, y, x) without gaps, where they were, and the limits of its targets."""
    where = str(identity)
    grid = plan.sampling.grid
    whole = grid if plan.shift_x is None else replace(grid, shift_x=plan.shift_x)
    coarse = canonical_planes(planes, replace(plan.sampling, grid=whole), where)
    limits = limits_of(coarse, plan.sampling, where)  # of the whole field, for all regions
    part = plan.part
    inside = ... if part is None else (..., slice(*part.rows), slice(*part.columns))
    missing = np.isnan(coarse[inside])
    coarse = fill_missing(coarse)[inside].astype(float)
    warn_if_far(coarse, plan.sampling, where)
    return coarse, missing, limits


def sample_members(
    prepared: list[Prepared],
    plan: DownscalingPlan,
    identities: PlaneIdentities,
    members: tuple[int, ...],
) -> np.ndarray:
    """Sample members of some planes; (targets, members, ..., y', x') in stored order.

    Of a single target it is (members, ..., y', x').
    """
    every = identities.every()
    with planes_named_in_errors(every, _part_text(plan)), _region_slot(plan):
        return _sampled(prepared, plan, every, members, identities.sizes)


def _sampled(
    prepared: list[Prepared],
    plan: DownscalingPlan,
    identities: Sequence[PlaneIdentity],
    members: tuple[int, ...],
    sizes: Sequence[int],
) -> np.ndarray:
    fine = sample(prepared, plan, identities, members)
    for own, shared in zip(fine, itertools.cycle(prepared)):
        for number, plane in enumerate(own):
            keep_within(plane, shared.limits[number])
            _conserve(plane, shared, number, plan)
            if shared.missing is not None:
                plane[shared.missing[number]] = np.nan
    grid = plan.sampling.grid.refined(plan.factor)
    if plan.part is not None and plan.part.core[1] != (0, fine.shape[-1]):
        grid = replace(grid, shift_x=0)
    return block_of(returned(fine, plan), grid, plan.sampling, sizes)


def _conserve(fine: np.ndarray, prepared: Prepared, plane: int, plan: DownscalingPlan) -> None:
    """Restore the block means of one member (T, y', x') of a plane by its number, in place."""
    for number, target in enumerate(plan.sampling.targets):
        if target.conserve:
            assert target.base is not None
            means = prepared.means or _block_means(plan)
            coarse = prepared.given[plane, target.base]
            low, high = prepared.limits[plane][number]
            if low > -np.inf:
                means.multiply(fine[number], coarse, high)
            else:
                means.add(fine[number], coarse)


@contextmanager
def _region_slot(plan: DownscalingPlan) -> Iterator[None]:
    """Limit concurrent regions, since they are large, and return memory after each.

    On a GPU forward passes take less time than host-side work, so regions run concurrently.
    """
    if plan.part is None or plan.is_slice:
        yield
        return
    with _region_slots if plan.sampling.device == "cpu" else nullcontext():
        yield
        return_memory()


def _part_text(plan: DownscalingPlan) -> str:
    """Return the part of the fine field that a plan covers as text; empty for the whole field."""
    if plan.part is None:
        return ""
    rows, columns = (
        f"{first + low} to {first + high}"
        for first, (low, high) in zip(plan.part.origin, plan.part.core, strict=True)
    )
    return f", rows {rows}, columns {columns}"


def curvilinear_means(grid: Grid, factor: int) -> BlockMeans:
    """Return block means of fine curvilinear cells, weighted by their areas on the sphere.

    Parameters
    ----------
    grid
        The coarse grid, with corners.
    """
    return BlockMeans(grid.domain, factor, areas=grid.refined(factor).cell_areas)


@lru_cache(maxsize=8)
def _block_means(plan: DownscalingPlan) -> BlockMeans:
    fine = plan.sampling.grid.refined(plan.factor)
    return BlockMeans(plan.coarse, plan.factor, fine.row_sines)


def _fine_missing(missing: np.ndarray, plan: DownscalingPlan) -> np.ndarray:
    """Return fine cells (T, y', x') whose nearest coarse cell is missing.

    A target without a base is missing where all inputs are.
    """
    coarse = [missing.all(0) if t.base is None else missing[t.base] for t in plan.sampling.targets]
    marked = interpolate(np.stack(coarse).astype(float), plan.coarse, plan.factor, "nearest")
    return cast(np.ndarray, marked > 0)
