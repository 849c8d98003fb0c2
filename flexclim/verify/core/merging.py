"""Summaries of points that merge, for statistics that are no weighted sums, in one pass.

A summary has a bounded size and, apart from rounding, does not depend on how the points are divided
among blocks. So each block of points is read once and released.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xarray as xr

from flexclim.verify.core import kernel
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.sums import block_arguments, block_fields, kept_index, labelled

if TYPE_CHECKING:
    from dask.array import Array

SPLIT_EVERY = 4


class Summary(Protocol):
    """What is known of the points of some cells: the places along the kept dimensions."""

    def merge(self, other: Any) -> Any:
        """Return the summary of both groups of points, of the same cells."""


# (members (M, n), truth (n), weight (n), cell (n), number of cells) -> summary
Summarise = Callable[..., Summary]
# (summary, extra...) -> (cells, length)
Finish = Callable[..., np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Merger:
    """How blocks of points are summarised and merged.

    Parameters
    ----------
    summarise
        Called with the values, weights and cells of the points that count (the truth and all
        members have a value and the weight is above 0), and the number of cells.
    finish
        Called with the summary of all points of some cells and what else it needs.
    over
        Axes of the truth along which blocks are merged.
    length
        Numbers that ``finish`` returns for each cell.
    """

    summarise: Summarise
    finish: Finish
    over: tuple[int, ...]
    length: int

    def read(self, members: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> Group:
        """Summarise arrays in memory, block by block."""
        summaries: list[Summary] = []
        for cells in self._cells(truth.shape):
            parts = [
                self._summary(members[(slice(None), *slab)], truth[slab], _part(weight, slab))
                for slab in self._slabs(cells, truth.shape)
            ]
            summaries.append(_merge_all(parts))
        return Group(shape=truth.shape, summaries=summaries)

    def write(self, group: Group, *extra: np.ndarray) -> np.ndarray:
        """Return the numbers of all cells, (kept..., length)."""
        kept = [size for axis, size in enumerate(group.shape) if axis not in self.over]
        result = np.empty((*kept, self.length))
        for cells, summary in zip(self._cells(group.shape), group.summaries, strict=True):
            place = tuple(part for axis, part in enumerate(cells) if axis not in self.over)
            result[place] = self.finish(summary, *extra).reshape(result[place].shape)
        return result

    def _summary(self, members: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> Summary:
        index, count = kept_index(truth.shape, self.over)
        known = ~np.isnan(truth) & (weight > 0)
        for one in members:
            known &= ~np.isnan(one)
        light, cell = (np.broadcast_to(array, truth.shape)[known] for array in (weight, index))
        return self.summarise(members[:, known], truth[known], light, cell, count)

    def _cells(self, shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
        """Divide the kept cells into ranges; the axes ``over`` have length 1."""
        return kernel.slabs([1 if axis in self.over else n for axis, n in enumerate(shape)])

    def _slabs(
        self, cells: tuple[slice, ...], shape: tuple[int, ...]
    ) -> Iterator[tuple[slice, ...]]:
        """Divide the points of a range of cells into blocks."""
        count = int(np.prod([part.stop - part.start for part in cells]))
        rest = [n if axis in self.over else 1 for axis, n in enumerate(shape)]
        for slab in kernel.slabs(rest, max(1, kernel.BLOCK // count)):
            yield tuple(slab[a] if a in self.over else part for a, part in enumerate(cells))


@dataclass(frozen=True, kw_only=True)
class Group:
    """Summaries of all cells of a chunk: one for each of :meth:`Merger._cells`."""

    shape: tuple[int, ...]
    summaries: list[Summary]

    def merge(self, other: Group) -> Group:
        """Return the summaries of the points of both chunks."""
        pairs = zip(self.summaries, other.summaries, strict=True)
        return Group(shape=self.shape, summaries=[one.merge(two) for one, two in pairs])


def merge_blocks(
    pair: Pair,
    summarise: Summarise,
    finish: Finish,
    label: tuple[str, Sequence[Hashable]],
    *,
    weights: Weights,
    dim: Dims,
    extra: xr.DataArray | None = None,
) -> xr.DataArray:
    """Summarise blocks of points, merge the summaries, and compute numbers from them.

    Parameters
    ----------
    summarise, finish
        As in :class:`Merger`.
    label
        Name and coordinate of the dimension that ``finish`` appends.
    extra
        A number for ``finish``, which gets an array of it; may be lazy.

    Returns
    -------
    DataArray
        (kept dimensions..., label), float64; lazy if a field is.
    """
    fields = block_fields(pair, weights)
    over = tuple(map(pair.truth.dims.index, pair.reduced_dims(dim)))
    merger = Merger(summarise=summarise, finish=finish, over=over, length=len(label[1]))
    more = [] if extra is None else [extra.data.reshape(1)]
    total: np.ndarray | Array
    if pair.lazy or fields[-1].chunks is not None:
        total = _dask_merged(merger, fields, more)
    else:
        total = merger.write(merger.read(*(field.values for field in fields)), *more)
    return labelled(total, pair.truth, over, label)


def _part(weight: np.ndarray, slab: tuple[slice, ...]) -> np.ndarray:
    """Return the weights of a block; axes of length 1 hold for all points."""
    whole = slice(0, 1)
    return weight[tuple(s if n > 1 else whole for s, n in zip(slab, weight.shape, strict=True))]


def _merge_all(parts: Sequence[Any]) -> Any:
    return reduce(lambda one, two: one.merge(two), parts)


def _dask_merged(
    merger: Merger, fields: tuple[xr.DataArray, ...], more: Sequence[np.ndarray | Array]
) -> Array:
    """Summarise each chunk, merge the summaries along a tree, and write the numbers."""
    import dask.array as da

    count = fields[1].ndim
    axes = tuple(range(count))
    arguments = block_arguments(fields)
    empty = np.empty((0,) * count, object)
    groups: Array = da.blockwise(
        lambda *arrays: boxed(merger.read(*arrays), count),
        axes,
        *arguments,
        adjust_chunks=dict.fromkeys(axes, lambda size: 1),
        concatenate=True,
        dtype=object,
        meta=empty,
    )
    if merger.over:
        groups = merge_boxes(groups, merger.over)
    kept = [axis for axis in axes if axis not in merger.over]
    # Blocks without an axis get lost when dask fuses blockwise operations.
    extra = [part for array in more for part in (da.asarray(array), (count + 2,))]
    numbers: Array = da.blockwise(
        lambda boxes, *numbers: merger.write(boxes.item(), *numbers),
        (*kept, count),
        groups,
        axes,
        *extra,
        new_axes={count: merger.length},
        adjust_chunks={axis: arguments[2].chunks[axis] for axis in kept},
        concatenate=True,
        dtype=float,
        meta=np.empty((0,) * (len(kept) + 1)),
    )
    return numbers


def boxed(item: object, ndim: int) -> np.ndarray:
    """Return an array of objects with one item."""
    box = np.empty((1,) * ndim, object)
    box[(0,) * ndim] = item
    return box


def merge_boxes(boxes: Array, axes: tuple[int, ...]) -> Array:
    """Merge the items of a dask array of boxes, one a chunk, along a tree; axes are kept."""
    import dask.array as da

    def merged(parts: Any, axis: object, keepdims: bool) -> np.ndarray:
        each = flatten(parts) if isinstance(parts, list) else [parts]
        return boxed(_merge_all([box.item() for box in each]), boxes.ndim)

    result: Array = da.reduction(
        boxes,
        chunk=lambda box, axis, keepdims: box,
        combine=merged,
        aggregate=merged,
        axis=axes,
        keepdims=True,
        concatenate=False,
        split_every=SPLIT_EVERY,
        dtype=object,
        meta=np.empty((0,) * boxes.ndim, object),
    )
    return result


def flatten(nested: list[Any]) -> Iterator[Any]:
    """Yield the items of nested lists."""
    for item in nested:
        if isinstance(item, list):
            yield from flatten(item)
        else:
            yield item
