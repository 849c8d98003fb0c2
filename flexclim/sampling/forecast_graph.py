"""A forecast as lazy arrays: one task advances a group of members by one time step.

Tasks depend on the states before them, so a chain of tasks is a roll-out: the first steps can be
computed without later ones, and members without each other.

Legend: K input snapshots, T targets, M members, Y X the plane.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.delayed import Delayed
from dask.typing import Key

from flexclim.cf.physical_bounds import Limits
from flexclim.execution.network_tasks import network_layer
from flexclim.planning.forecast_plan import ForecastPlan
from flexclim.planning.leads import later
from flexclim.planning.pass_counts import passes_of
from flexclim.sampling.blocks import (
    block_key,
    block_of,
    canonical_planes,
    lazy_targets,
    planes_of,
)
from flexclim.sampling.local_scaling import fill_missing
from flexclim.sampling.plane_identity import (
    PlaneIdentities,
    PlaneIdentity,
    planes_named_in_errors,
    time_text,
)
from flexclim.sampling.planes import (
    Prepared,
    encode,
    inputs_of,
    keep_within,
    limits_of,
    predictors_of,
    sample,
)
from flexclim.sampling.training_range import warn_if_far
from flexclim.stores.identity import rolled_out


class Past(NamedTuple):
    """Planes (K, T, Y, X) with gaps filled, where the last are missing, and targets' limits."""

    planes: np.ndarray
    missing: np.ndarray | None
    limits: tuple[Limits, ...]


Tasks = dict[Key, object]  # by key


def lazy_rollout(
    fields: Sequence[xr.DataArray], plan: ForecastPlan, statics: Delayed | None = None
) -> dict[str, da.Array]:
    """Return the dask array (realization, ..., Y, X) of all members of each target.

    Parameters
    ----------
    fields
        The plan's inputs, at the last ``plan.past`` times.
    statics
        From :func:`flexclim.sampling.statics.static_fields`; None: the model takes none.
    """
    shared, first = plan.sampling, fields[0]
    lead = shared.dims[:-2]
    planes = [planes_of(field, shared) for field in fields]
    static = None if statics is None else statics.key
    token = tokenize([plane.name for plane in planes], static, plan)
    names = [f"{name}-{token}" for name in ("past", "prepare", "forecast", "ahead")]
    sizes = [len(plan.kept) if dim == plan.time else first.sizes[dim] for dim in lead]
    others = [range(1) if dim == plan.time else range(first.sizes[dim]) for dim in lead]
    reading, network, blocks = Tasks(), Tasks(), Tasks()
    identities = PlaneIdentities(first, shared)
    for index in itertools.product(*others):
        at = dict(zip(lead, index, strict=True)) | {plan.time: plan.past - 1}
        last = identities.at(at)
        parts = _tasks([plane.name for plane in planes], static, plan, last, index, names)
        for layer, part in zip((reading, network, blocks), parts, strict=True):
            layer.update(part)
    past, _, state, output = names
    passes = passes_of(shared).network * plan.kept[-1] * math.prod(map(len, others))
    layers = {past: reading, state: network_layer(network, shared.run, passes), output: blocks}
    dependencies: list[da.Array | Delayed] = [*planes, *([] if statics is None else [statics])]
    chunks = [*((1,) * size for size in sizes), *((side,) for side in shared.grid.domain.shape)]
    arrays = lazy_targets(layers, dependencies, chunks, shared)
    return {name: rolled_out(array) for name, array in arrays.items()}


def _tasks(
    planes: Sequence[str],
    static: Key | None,
    plan: ForecastPlan,
    last: PlaneIdentity,
    index: tuple[int, ...],
    names: Sequence[str],
) -> tuple[Tasks, Tasks, Tasks]:
    """Return the tasks of one roll-out at one ``index`` of other dimensions, in three layers.

    The layers read the past, run the network, and return blocks of the output. ``names`` are the
    names of tasks that read the past, prepare the first step, take a step, and return a block.
    """
    past, start, state, output = names
    sampling = plan.sampling
    along = sampling.dims.index(plan.time)
    times = range(max(plan.past, len(plan.kept)))
    at = [(*index[:along], time, *index[along + 1 :]) for time in times]
    places = [identity_at(last, step, plan) for step in range(plan.kept[-1] + 1)]
    reading, network, blocks = Tasks(), Tasks(), Tasks()
    for n in range(len(sampling.member_numbers) if sampling.paired else 1):
        where = [(n,) * sampling.paired + at[k] for k in range(plan.past)]
        own = [(plane, *one, 0, 0) for one in where for plane in planes]
        reading[_key(past, n, *index)] = (read_past, own, plan, last)
        first = (prepare_past, (past, n, *index), static, plan, places[1])
        network[_key(start, n, *index)] = first
    for number, group in enumerate(sampling.member_groups):
        states = [_key(state, step, number, *index) for step in range(plan.kept[-1] + 1)]
        pasts = group if sampling.paired else (0,)
        read = [(past, n, *index) for n in pasts]
        shared = [(start, n, *index) for n in pasts]
        network[states[1]] = (first_states, shared, read, plan, places[1], group)
        for step in range(2, plan.kept[-1] + 1):
            before = states[max(1, step - plan.past) : step]
            task = (next_states, read, before, static, plan, places[step], group)
            network[states[step]] = task
        for position, step in enumerate(plan.kept):
            block = block_key(output, sampling, number, *at[position], 0, 0)
            blocks[block] = (kept_states, states[step], read, plan)
    return reading, network, blocks


def _key(name: str, *index: int) -> Key:
    return cast(Key, (name, *index))


def identity_at(last: PlaneIdentity, step: int, plan: ForecastPlan) -> PlaneIdentity:
    """Return the identity of a step's plane.

    Its noise is keyed by the valid time and the time of the last past snapshot; the network is
    conditioned on the time of the snapshot before, as in training.
    """
    valid, before = (later(last.when, plan.lead * n) for n in (step, step - 1))
    valid_text, start = (time_text(time)[0] for time in (valid, last.when))
    return replace(last, time=f"{valid_text} from {start}", when=before, moments=())


def read_past(planes: list[np.ndarray], plan: ForecastPlan, identity: PlaneIdentity) -> Past:
    """Check and fill past planes, and warn if they are far from the training data."""
    with planes_named_in_errors([identity]):
        where = f"times up to {identity}"
        found = canonical_planes(planes, plan.sampling, where)
        past = found.reshape(plan.past, -1, *found.shape[-2:])
        missing = np.isnan(past[-1])
        limits = limits_of(past, plan.sampling, where)
        past = fill_missing(past).astype(float)
        for snapshot in past:
            warn_if_far(snapshot, plan.sampling, where)
        return Past(past, missing if missing.any() else None, limits)


def prepare_past(
    past: Past, statics: dict[str, np.ndarray] | None, plan: ForecastPlan, identity: PlaneIdentity
) -> Prepared:
    """Return the inputs of the first step, which members share, with their encoded features."""
    with planes_named_in_errors([identity]):
        planes = past.planes[None]
        inputs = inputs_of(planes, plan, predictors_of(statics, plan.sampling, [identity]))
        return Prepared(planes, inputs, None, (past.limits,), encode(inputs, plan, [identity]))


def first_states(
    prepared: list[Prepared],
    pasts: list[Past],
    plan: ForecastPlan,
    identity: PlaneIdentity,
    members: tuple[int, ...],
) -> np.ndarray:
    """Advance members by their first step; (M, T, Y, X) float64, canonical."""
    with planes_named_in_errors([identity]):
        return _states(prepared, pasts, plan, identity, members)


def next_states(
    pasts: list[Past],
    states: list[np.ndarray],
    statics: dict[str, np.ndarray] | None,
    plan: ForecastPlan,
    identity: PlaneIdentity,
    members: tuple[int, ...],
) -> np.ndarray:
    """Advance members by a step, each from its own last states in chronological order.

    ``pasts``, one in all or one per member, precede them while there are fewer than
    the model reads.
    """
    with planes_named_in_errors([identity]):
        prepared = []
        for member, history in enumerate(np.stack(states, 1)):
            past = pasts[member % len(pasts)]
            if len(states) < plan.past:
                history = np.concatenate([past.planes[len(states) - plan.past :], history])
            given = history[None]
            inputs = inputs_of(given, plan, predictors_of(statics, plan.sampling, [identity]))
            prepared.append(Prepared(given, inputs, None, (past.limits,), None))
        return _states(prepared, pasts, plan, identity, members)


def _states(
    prepared: list[Prepared],
    pasts: list[Past],
    plan: ForecastPlan,
    identity: PlaneIdentity,
    members: tuple[int, ...],
) -> np.ndarray:
    """Sample members, and fill cells missing in the past: the network was not trained on gaps."""
    states = sample(prepared, plan, [identity], members)[:, 0]
    for member, own in enumerate(states):
        missing, limits = pasts[member % len(pasts)][1:]
        keep_within(own, limits)
        if missing is not None:
            own[:] = fill_missing(np.where(missing, np.nan, own))
    return states


def kept_states(states: np.ndarray, pasts: list[Past], plan: ForecastPlan) -> np.ndarray:
    """Return states as a block of the output in stored order; see :func:`block_of`."""
    states = states.copy()
    for member, own in enumerate(states):
        missing = pasts[member % len(pasts)].missing
        if missing is not None:
            own[missing] = np.nan
    sizes = (1,) * len(plan.sampling.dims[:-2])
    return block_of(states[:, None], plan.sampling.grid, plan.sampling, sizes)
