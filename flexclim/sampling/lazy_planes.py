"""Large planes as lazy arrays in chunks, of which slices are computed alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph
from dask.typing import DaskCollection

from flexclim.execution.cropped_arrays import CroppedArray, Span
from flexclim.planning.block_sizes import Sizes
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.sampling.blocks import planes_of
from flexclim.sampling.member_layers import ChunkLayer, LazyPlanes
from flexclim.sampling.part_readers import Reader
from flexclim.sampling.plane_identity import PlaneIdentities


def lazy_planes(
    fields: Sequence[xr.DataArray],
    plan: DownscalingPlan,
    statics: Reader | None = None,
    means: Reader | None = None,
) -> dict[str, da.Array]:
    """Return the dask array (realization, ..., y', x') of all members of each target.

    A slice of rows and columns evaluates the windows that it depends on, no others.

    Parameters
    ----------
    fields
        The plan's inputs; an ensemble if members are paired.
    statics, means
        Return the static fields, and the block means of curvilinear cells, of a part of the plan;
        None: there are none.
    """
    shared, first = plan.sampling, fields[0]
    arrays = [planes_of(field, shared) for field in fields]
    lead = {dim: first.sizes[dim] for dim in shared.dims[:-2]}
    planes = LazyPlanes(
        names=[array.name for array in arrays],
        lead=lead,
        plan=plan,
        identities=PlaneIdentities(first, shared),
        statics=statics,
        means=means,
        token=tokenize([array.name for array in arrays], plan, statics, means),
    )
    height, width = plan.sampling.tiles.domain.shape
    return {
        target.name: _array(planes, arrays, number, (0, height), (0, width))
        for number, target in enumerate(shared.targets)
    }


def _array(
    planes: LazyPlanes, arrays: Sequence[da.Array], number: int, rows: Span, columns: Span
) -> da.Array:
    """Return the lazy members (realization, ..., y', x') of a target in some rows and columns."""
    shared = planes.plan.sampling
    assert planes.plan.blocks is not None
    sizes = _within(planes.plan.blocks, rows, columns)
    name = f"{shared.targets[number].name}-{tokenize(planes.token, number, rows, columns)}"
    layer = ChunkLayer(name, planes, number, sizes, (rows[0], columns[0]))
    read = cast(Sequence[DaskCollection], arrays)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=read)
    groups = tuple(len(group) for group in shared.member_groups)
    chunks = (groups, *((1,) * size for size in planes.lead.values()), *sizes)
    array = da.Array(graph, name, chunks, dtype=shared.targets[number].dtype)

    def crop(y: Span, x: Span) -> da.Array:
        inner = ((first + a, first + b) for first, (a, b) in ((rows[0], y), (columns[0], x)))
        return _array(planes, arrays, number, *inner)

    return CroppedArray.of(array, crop)


def _within(blocks: tuple[Sizes, Sizes], *spans: Span) -> tuple[Sizes, Sizes]:
    """Return the sizes of the parts of chunks within rows and columns; one if these are few."""
    if all(high - low <= max(sizes) for sizes, (low, high) in zip(blocks, spans, strict=True)):
        rows, columns = ((high - low,) for low, high in spans)
        return rows, columns
    rows, columns = (
        tuple(np.diff(np.unique(np.clip([0, *np.cumsum(sizes)], *span))).tolist())
        for sizes, span in zip(blocks, spans, strict=True)
    )
    return rows, columns
