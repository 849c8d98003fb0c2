"""Planes as blocks of dask arrays: cut from inputs, and assembled into outputs.

Legend: I inputs, T targets, M members, P planes of a task, y x an input plane, Y X the sampled
plane.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import cast

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from dask.typing import DaskCollection, Key

from flexclim.cf.ensembles import REALIZATION
from flexclim.cf.missing_values import decoded
from flexclim.grids.grid import Grid
from flexclim.planning.plan import SamplingPlan
from flexclim.sampling.network_inputs import stacked


def planes_of(field: xr.DataArray, plan: SamplingPlan) -> da.Array:
    """Return a field as a dask array with one chunk for the planes of each task."""
    field = field.transpose(*([REALIZATION] if plan.paired else []), *plan.dims)
    data = field.data if isinstance(field.data, da.Array) else da.from_array(field.data, name=False)
    members = [(1,) * field.sizes[REALIZATION]] if plan.paired else []
    planes = [*members, *plane_chunks(field, plan), -1, -1]
    chunked: da.Array = data.rechunk(dict(enumerate(planes)))
    return chunked


def plane_chunks(field: xr.DataArray, plan: SamplingPlan) -> list[tuple[int, ...]]:
    """Return how many positions along each dimension before (y, x) each task computes."""
    groups = (plan.plane_groups(dim, field.sizes[dim]) for dim in plan.dims[:-2])
    return [tuple(part.stop - part.start for part in parts) for parts in groups]


def canonical_planes(planes: Sequence[np.ndarray], plan: SamplingPlan, where: str) -> np.ndarray:
    """Decode and check planes as they are stored; return them in canonical order, (I, y, x)."""
    turned = [plane.reshape(plane.shape[-2:]) for plane in planes]
    known = itertools.cycle(zip(plan.inputs, plan.properties, strict=True))
    return stacked(
        [
            plan.grid.canonical(decoded(plane, properties.missing, name, where))
            for plane, (name, properties) in zip(turned, known, strict=False)
        ]
    )


def block_of(
    fields: np.ndarray, grid: Grid, plan: SamplingPlan, sizes: Sequence[int]
) -> np.ndarray:
    """Return fields (M, P, T, Y, X) of a canonical grid as a block in stored order.

    ``sizes`` are those of the block along dimensions between members and plane, P together.
    """
    stored = grid.restore(np.moveaxis(fields, 2, 0))
    shape = *stored.shape[:2], *sizes, *stored.shape[-2:]
    block = stored.reshape(shape).astype(_dtype_of(plan))
    return cast(np.ndarray, block[0] if len(plan.targets) == 1 else block)


def block_key(name: str, plan: SamplingPlan, *index: int) -> Key:
    """Return the key of a block: its targets together, then ``index``, the group of members first.

    A single target has no index of its own, which saves a task for each block.
    """
    return cast(Key, (name, *((0,) if len(plan.targets) > 1 else ()), *index))


def lazy_targets(
    layers: Mapping[str, Mapping[Key, object]],
    dependencies: Sequence[da.Array | Delayed],
    chunks: Sequence[tuple[int, ...]],
    plan: SamplingPlan,
) -> dict[str, da.Array]:
    """Return the dask array (M, ..., Y, X) of each target.

    Parameters
    ----------
    layers
        Tasks by the name of their graph layer, each of which may depend on the ones before it.
        Tasks of the last layer return blocks (T, M, ..., Y, X), of a single target (M, ..., Y, X),
        by :func:`block_key`.
    dependencies
        The dask collections that the tasks read.
    chunks
        Sizes of the blocks along (..., Y, X).
    """
    (first, tasks), *others = layers.items()
    graph = HighLevelGraph.from_collections(
        first, tasks, dependencies=cast(Sequence[DaskCollection], dependencies)
    )
    read = graph.dependencies[first] | {first}
    for name, tasks in others:
        graph = HighLevelGraph({**graph.layers, name: tasks}, {**graph.dependencies, name: read})
        read = read | {name}
    name = [*layers][-1]
    groups = tuple(len(group) for group in plan.member_groups)
    if len(plan.targets) == 1:
        alone = da.Array(graph, name, (groups, *chunks), dtype=_dtype_of(plan))
        return {plan.targets[0].name: alone}
    both = (len(plan.targets),), groups, *chunks
    together = da.Array(graph, name, both, dtype=_dtype_of(plan))
    return {
        target.name: together[number].astype(target.dtype)
        for number, target in enumerate(plan.targets)
    }


def _dtype_of(plan: SamplingPlan) -> np.dtype:
    """Return the common dtype of all targets."""
    return np.result_type(*(target.dtype for target in plan.targets))
