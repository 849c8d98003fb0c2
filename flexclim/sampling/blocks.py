"""Planes as blocks of dask arrays: cut from inputs, and assembled into outputs.

Legend: I inputs, T targets, M members, y x an input plane, Y X the sampled plane.
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
    """Return a field as a dask array with one chunk per plane."""
    field = field.transpose(*([REALIZATION] if plan.paired else []), *plan.dims)
    data = field.data if isinstance(field.data, da.Array) else da.from_array(field.data, name=False)
    chunked: da.Array = data.rechunk({**dict.fromkeys(range(data.ndim - 2), 1), -2: -1, -1: -1})
    return chunked


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


def block_of(fields: np.ndarray, grid: Grid, plan: SamplingPlan) -> np.ndarray:
    """Return fields (M, T, Y, X) of a canonical grid as a block in stored order."""
    stored = grid.restore(fields.swapaxes(0, 1))
    shape = *stored.shape[:2], *(1,) * len(plan.dims[:-2]), *stored.shape[-2:]
    return cast(np.ndarray, stored.reshape(shape).astype(_dtype_of(plan)))


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
        Tasks of the last layer return blocks (T, M, 1, ..., Y, X) by key ``(name, 0, group number,
        ...)``.
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
    both = (len(plan.targets),), groups, *chunks
    together = da.Array(graph, name, both, dtype=_dtype_of(plan))
    return {
        target.name: together[number].astype(target.dtype)
        for number, target in enumerate(plan.targets)
    }


def _dtype_of(plan: SamplingPlan) -> np.dtype:
    """Return the common dtype of all targets."""
    return np.result_type(*(target.dtype for target in plan.targets))
