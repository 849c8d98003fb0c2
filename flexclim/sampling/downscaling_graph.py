"""The members of fine fields as lazy arrays: one task prepares a time, others sample members.

Legend: I inputs, T targets, M members, y x the coarse plane, y' x' the fine one.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import Any, cast

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.delayed import Delayed
from dask.system import CPU_COUNT

from flexclim.execution.allocation import return_memory
from flexclim.execution.network_tasks import network_layer
from flexclim.grids.conservation import BlockMeans
from flexclim.grids.operators import interpolate
from flexclim.planning.downscaling_plan import FieldPlan
from flexclim.sampling.local_scaling import fill_missing
from flexclim.sampling.planes import (
    Place,
    Prepared,
    block_of,
    encode,
    inputs_of,
    lazy_targets,
    naming,
    place_of,
    planes_of,
    predictors_of,
    sample,
    signed,
    stored_planes,
)
from flexclim.sampling.training_range import judge

# Regions at once: what is done beside passes would leave more than eight cores idle for long.
_few = threading.BoundedSemaphore(max(1, CPU_COUNT // 8))


def lazy_members(
    fields: Sequence[xr.DataArray], plan: FieldPlan, statics: Sequence[Delayed] = ()
) -> dict[str, da.Array]:
    """Return the dask array (realization, ..., y', x') of all members of each target.

    One task samples ``plan.members_a_task`` members of all targets at one time (and level, ...) in
    one region: slicing computes no other.

    Parameters
    ----------
    fields
        The plan's inputs; of an ensemble, if members are paired.
    statics
        From :func:`flexclim.sampling.statics.static_fields`, one a region; empty: the model takes
        none.
    """
    lead, first = plan.dims[:-2], fields[0]
    planes = [planes_of(field, plan) for field in fields]
    indices = list(itertools.product(*(range(first.sizes[dim]) for dim in lead)))
    groups, coarse = plan.member_groups, range(len(plan.numbers) if plan.paired else 1)
    keys = [delayed.key for delayed in statics]
    token = tokenize([plane.name for plane in planes], keys, plan)
    prepare, members = f"prepare-{token}", f"downscale-{token}"
    parts = [(region, plan.of(region)) for region in plan.regions]
    tasks: dict[Any, Any] = {}
    for index in indices:
        place = place_of(first, dict(zip(lead, index, strict=True)), plan.labels)
        for (region, part), static in itertools.zip_longest(parts, keys):
            prepared = [(prepare, n, *index, *region.index) for n in coarse]
            for n in coarse:
                at = (n, *index) if plan.paired else index
                own = [(plane.name, *at, 0, 0) for plane in planes]
                tasks[prepared[n]] = (prepare_planes, own, static, part, place)
            for number, group in enumerate(groups):
                read = [prepared[n] for n in group] if plan.paired else prepared
                task = (sample_members, read, part, place, group)
                tasks[(members, 0, number, *index, *region.index)] = task
    chunks = [
        *((1,) * first.sizes[dim] for dim in lead),
        *(
            tuple(min(side, size - start) for start in range(0, size, side))
            for size, side in zip(plan.tiles.domain.shape, plan.region, strict=True)
        ),
    ]
    return lazy_targets({members: network_layer(tasks)}, [*planes, *statics], chunks, plan)


def prepare_planes(
    planes: list[np.ndarray],
    statics: dict[str, np.ndarray] | None,
    plan: FieldPlan,
    place: Place,
) -> Prepared:
    """Check, fill and scale the coarse planes, and run the task encoder on their windows."""
    with naming(place, _part(plan)), _turn(plan):
        return _prepared(planes, statics, plan, place)


def _prepared(
    planes: list[np.ndarray],
    statics: dict[str, np.ndarray] | None,
    plan: FieldPlan,
    place: Place,
) -> Prepared:
    where = " ".join(filter(None, (place.time, place.rest)))
    coarse = stored_planes(planes, plan, where)
    part = plan.part
    inside = ... if part is None else (..., slice(*part.rows), slice(*part.columns))
    missing = np.isnan(coarse[inside])
    coarse = fill_missing(coarse)[inside].astype(float)
    judge(coarse, plan, where)
    predictors = predictors_of(statics, plan, place)
    inputs = inputs_of(coarse, plan, predictors)
    fine_missing = _fine_missing(missing, plan) if missing.any() else None
    return Prepared(coarse, inputs, fine_missing, encode(inputs, plan, place))


def sample_members(
    prepared: list[Prepared], plan: FieldPlan, place: Place, members: tuple[int, ...]
) -> np.ndarray:
    """Sample some members of one time; (targets, members, 1, ..., y', x') in stored order."""
    with naming(place, _part(plan)), _turn(plan):
        return _sampled(prepared, plan, place, members)


def _sampled(
    prepared: list[Prepared], plan: FieldPlan, place: Place, members: tuple[int, ...]
) -> np.ndarray:
    fine = signed(sample(prepared, plan, place, members), plan.targets)
    for number, one in zip(range(len(members)), itertools.cycle(prepared)):
        _conserve(fine[number], one, plan)
        if one.missing is not None:
            fine[number][one.missing] = np.nan
    if plan.part is not None:
        rows, columns = plan.part.core
        fine = fine[..., slice(*rows), slice(*columns)]
    return block_of(fine, plan.grid.refined(plan.factor), plan)


def _conserve(fine: np.ndarray, prepared: Prepared, plan: FieldPlan) -> None:
    """Give one member (T, y', x') the block means of what it was made of, in place."""
    for number, target in enumerate(plan.targets):
        if target.conserve:
            assert target.base is not None
            means = _block_means(plan)
            correct = means.multiply if target.non_negative else means.add
            correct(fine[number], prepared.given[target.base])


@contextmanager
def _turn(plan: FieldPlan) -> Iterator[None]:
    """Work on few regions at once, which are large, and return the memory of one before the next.

    On a GPU passes take less time than what is done beside them, so others go on meanwhile.
    """
    if plan.part is None:
        yield
        return
    with _few if plan.device == "cpu" else nullcontext():
        yield
        return_memory()


def _part(plan: FieldPlan) -> str:
    """Say which part of the fine field a plan is of; nothing if of all."""
    if plan.part is None:
        return ""
    rows, columns = (
        f"{first + low} to {first + high}"
        for first, (low, high) in zip(plan.part.origin, plan.part.core, strict=True)
    )
    return f", rows {rows}, columns {columns}"


@lru_cache(maxsize=8)
def _block_means(plan: FieldPlan) -> BlockMeans:
    fine = plan.grid.refined(plan.factor)
    return BlockMeans(plan.coarse, plan.factor, fine.row_area)


def _fine_missing(missing: np.ndarray, plan: FieldPlan) -> np.ndarray:
    """Return fine cells (T, y', x') whose nearest coarse cell is missing.

    What counts is the input that a target adds to, else all inputs.
    """
    coarse = [missing.all(0) if t.base is None else missing[t.base] for t in plan.targets]
    marked = interpolate(np.stack(coarse).astype(float), plan.coarse, plan.factor, "nearest")
    return cast(np.ndarray, marked > 0)
