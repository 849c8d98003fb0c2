"""Lazy fields of the fine grid averaged to a target, plane by plane and part by part.

Legend: M members, y x a part of the fine plane, m the targets of a block.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from dask.typing import DaskCollection, Key

from flexclim.cf.coordinates import completed_positions
from flexclim.cf.description import describe_on_target
from flexclim.errors import warn
from flexclim.grids.regridding.plane_weights import PartWeights
from flexclim.grids.regridding.sparse_weights import masked_means
from flexclim.grids.regridding.targets import Target
from flexclim.planning.output_target import NAN_THRESHOLD, OutputTarget
from flexclim.planning.plan import Attributes
from flexclim.resampling.field_methods import empty_text, with_cell_method
from flexclim.sampling.planned_ensemble import TILES, PlannedEnsemble

# Weighted sums (M, m), those of weights, and whether any value is known.
Sums = tuple[np.ndarray, np.ndarray, bool]

# Runs and variables with a warning already.
_warned: set[tuple[str, str]] = set()
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True, eq=False)
class EmptyWarning:
    """Warns, once per call and variable, of points or regions over missing cells.

    Of cells nothing is said: ``target`` is None.
    """

    target: Target | None
    name: str
    run: str

    def __call__(self, empty: np.ndarray, among: slice) -> None:
        """Warn where ``empty`` is true among some targets."""
        if self.target is None or not empty.any():
            return
        with _lock:
            if (self.run, self.name) in _warned:
                return
            _warned.add((self.run, self.name))
        warn(empty_text(empty, self.target, self.name, among))


def on_target(
    planned: PlannedEnsemble, output: OutputTarget, changes: Mapping[str, Delayed]
) -> PlannedEnsemble:
    """Return a planned ensemble whose fields lie on a target.

    Parameters
    ----------
    planned
        Fields on the fine grid.
    changes
        (m,) values that are added to fields on the target, by name.
    """
    fine, target = planned.fields, output.target
    run = planned.plans[-1].sampling.run
    results = {}
    for name in planned.returned:
        array = averaged(fine[name].data, output, changes.get(name), name, run)
        results[name] = xr.Variable((*fine[name].dims[: -len(output.plane)], *target.dims), array)
    described = describe_on_target(
        results,
        fine,
        dims=output.plane,
        coordinates=completed_positions(target.coordinates),
        grid_mapping=target.grid_mapping,
        action=f"to {target.text}",
        attributes=_ours(fine) | output.attributes(),
    )
    for name in results:
        described[name].attrs |= _ours(fine[name])
        if target.kind != "points":
            described[name].attrs = with_cell_method(described[name].attrs, "area: mean")
    return replace(planned, fields=described, output=output)


def _ours(obj: xr.Dataset | xr.DataArray) -> Attributes:
    """Return what records how fields were made; tiles are those of the fine plane."""
    return {k: v for k, v in obj.attrs.items() if k.startswith("flexclim_") and k != TILES}


def averaged(
    array: da.Array, output: OutputTarget, change: Delayed | None, name: str, run: str
) -> da.Array:
    """Return the means (M, ..., *target) of a lazy field (M, ..., *plane).

    A slice of the targets computes only those parts of planes that it needs.
    """
    target, lead = output.target, array.ndim - len(output.plane)
    added = None if change is None else change.key
    token = tokenize(array.name, target.fingerprint, added)
    means, sums, weights = (f"{step}-{token}" for step in ("target", "sums", "weights"))
    places = None if target.kind == "cells" else target
    kept: dict[Key, object] = {(weights, -1): EmptyWarning(target=places, name=name, run=run)}
    tasks: dict[Key, object] = {}
    width, inner = math.prod(target.shape[1:]), (0,) * (len(target.shape) - 1)
    parts = [*itertools.product(*map(range, array.numblocks[lead:]))]
    for number, rows in enumerate(output.blocks):
        found = dict(enumerate(one.of(rows) for one in output.weights))
        used = {part: one for part, one in found.items() if not one.empty}
        kept |= {(weights, number, part): one for part, one in used.items()}
        among = slice(rows.start * width, rows.stop * width)
        for index in itertools.product(*map(range, array.numblocks[:lead])):
            read: dict[Key, object] = {
                (sums, *index, number, part): (
                    weighted_sums,
                    (array.name, *index, *parts[part]),
                    (weights, number, part),
                )
                for part in used
            }
            sizes = (chunks[i] for chunks, i in zip(array.chunks[:lead], index, strict=True))
            shape = (*sizes, rows.stop - rows.start, *target.shape[1:])
            options = shape, array.dtype, among, added, (weights, -1)
            tasks |= read | {(means, *index, number, *inner): (target_means, [*read], *options)}
    blocks = tuple(rows.stop - rows.start for rows in output.blocks)
    chunks = (*array.chunks[:lead], blocks, *((size,) for size in target.shape[1:]))
    graph = _graph({means: tasks, weights: kept}, [array] if change is None else [array, change])
    return da.Array(graph, means, chunks, dtype=array.dtype)


def _graph(
    layers: Mapping[str, dict[Key, object]], read: Sequence[da.Array | Delayed]
) -> HighLevelGraph:
    """Return the graph of two layers: tasks that read collections, and what they share."""
    (name, tasks), (shared, kept) = layers.items()
    dependencies = cast(Sequence[DaskCollection], read)
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=dependencies)
    needed = {**graph.dependencies, shared: set(), name: graph.dependencies[name] | {shared}}
    return HighLevelGraph({**graph.layers, shared: kept}, needed)


def weighted_sums(block: np.ndarray, weights: PartWeights) -> Sums:
    """Return the weighted sums of a block (M, 1, ..., *part)."""
    planes = block.reshape(-1, *weights.shape)
    total, share = zip(*map(weights.sums, planes), strict=True)
    return np.stack(total), np.stack(share), not bool(np.isnan(planes).all())


def target_means(
    parts: Sequence[Sums],
    shape: tuple[int, ...],
    dtype: np.dtype,
    among: slice,
    change: np.ndarray | None,
    warning: EmptyWarning,
) -> np.ndarray:
    """Return the means (M, 1, ..., *targets) of some targets from sums over their parts."""
    if not parts:
        return np.full(shape, np.nan, dtype)
    total, share = (np.sum(each, axis=0) for each in list(zip(*parts, strict=True))[:2])
    means = masked_means(total, share, NAN_THRESHOLD)
    if any(known for *_, known in parts):
        warning(np.isnan(means).all(axis=0), among)
    if change is not None:
        means += change[among]
    return means.reshape(shape).astype(dtype)
