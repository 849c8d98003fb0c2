"""Work items: shards, each written whole by one task.

An item is done when its shard is there: shards appear under their names only when they are whole.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import uuid4

import numpy as np
import xarray as xr
import zarr
from dask.highlevelgraph import HighLevelGraph
from numcodecs import BitRound
from zarr.abc.store import Store
from zarr.core.sync import sync

from flexclim.files import store_errors
from flexclim.stores.place import Place

Index = tuple[int, ...]
Region = tuple[slice, ...]
# Chunks that zarr compresses as one piece of work: one by one, its default, keeps the thread that
# all its work goes through busier.
BATCHES = {"codec_pipeline.batch_size": 8}
# Shards that a process writes at once; all others wait, and leave zarr's one thread to these.
_few = threading.BoundedSemaphore(4)
AGAIN = " Make room and call again to continue."


@dataclass(frozen=True)
class Item:
    """One shard: of a variable, at an index, and the part of the array that is to be written.

    The part is all of the shard that lies in the array, or the times that were added to it.
    ``damaged``: what is there can't be read.
    """

    variable: str
    index: Index
    region: Region
    damaged: bool = False


@dataclass(frozen=True)
class Writing:
    """What :func:`write_item` needs beside the blocks: where to, and what of each block.

    ``cuts`` pairs the part of each block with its place in the item's region.
    """

    store: Store = field(repr=False)
    name: str
    item: Item
    keep_bits: int | None
    cuts: tuple[tuple[Region, Region], ...]


@dataclass(frozen=True)
class Work:
    """A dask graph with one task an item, by key; other tasks make their blocks."""

    graph: HighLevelGraph
    items: Mapping[Any, Item]

    @property
    def keys(self) -> tuple[Any, ...]:
        """The tasks that write an item each."""
        return tuple(self.items)


def write_item(writing: Writing, blocks: list[np.ndarray]) -> Index:
    """Write one item; again with the same result.

    Parameters
    ----------
    writing
        Where it goes.
    blocks
        One for each of ``writing.cuts``.

    Returns
    -------
    tuple of int
        The index of the shard.
    """
    item = writing.item
    whole = _together(blocks, writing)
    with _few, store_errors(writing.name, AGAIN):
        array = _target(writing.store, item.variable)
        if item.damaged:
            key = f"{item.variable}/{array.metadata.encode_chunk_key(item.index)}"
            sync(writing.store.delete(key))
        array[item.region] = rounded(whole, writing.keep_bits)
    return item.index


def _together(blocks: list[np.ndarray], writing: Writing) -> np.ndarray:
    """Return what an item holds; where it is all of one block, that is not copied."""
    shape = tuple(part.stop - part.start for part in writing.item.region)
    if len(blocks) == 1:
        whole = blocks[0][writing.cuts[0][0]]
        assert whole.shape == shape, (writing.item, whole.shape, shape)
        return whole
    whole, filled = np.empty(shape, blocks[0].dtype), 0
    for block, (take, put) in zip(blocks, writing.cuts, strict=True):
        whole[put] = block[take]
        filled += whole[put].size
    assert filled == whole.size, (writing.item, filled, shape)
    return whole


def rounded(values: np.ndarray, keep_bits: int | None) -> np.ndarray:
    """Round to some bits of the mantissa, so that values compress well; None: not at all.

    The relative error is at most ``2 ** -(keep_bits + 1)``.

    >>> rounded(np.array([273.15, np.nan], "float32"), 9)
    array([273., nan], dtype=float32)
    """
    if keep_bits is None:
        return values
    codec = BitRound(keepbits=keep_bits)
    return np.asarray(codec.decode(codec.encode(values))).view(values.dtype).reshape(values.shape)


def shards_of(array: zarr.Array) -> Iterable[tuple[str, Index]]:
    """Return the keys, from the root of the store, and indices of all shards of an array."""
    sides = array.shards or array.chunks
    counts = (-(-size // side) for size, side in zip(array.shape, sides, strict=True))
    for index in itertools.product(*map(range, counts)):
        yield f"{array.path}/{array.metadata.encode_chunk_key(index)}", index


def region_of(array: zarr.Array, index: Index) -> Region:
    """Return the part of an array that a shard holds."""
    sides = array.shards or array.chunks
    return tuple(
        slice(i * side, min((i + 1) * side, size))
        for i, side, size in zip(index, sides, array.shape, strict=True)
    )


def plan_work(ds: xr.Dataset, place: Place, items: Iterable[Item], keep_bits: int | None) -> Work:
    """Return the graph that writes ``items`` of a lazy dataset."""
    tasks: dict[Any, Any] = {}
    arrays: dict[str, Any] = {}
    named: dict[Any, Item] = {}
    run = uuid4().hex  # a cluster takes tasks of equal names for the same
    for item in items:
        array = arrays.setdefault(item.variable, ds[item.variable].data)
        found, cuts = _blocks_of(array.chunks, item.region)
        writing = Writing(place.store, place.name, item, keep_bits, tuple(cuts))
        key = (f"write-{item.variable}-{run}", *item.index)
        named[key] = item
        tasks[key] = (write_item, writing, [(array.name, *block) for block in found])
    layer = "write-items"
    graph = HighLevelGraph.from_collections(layer, tasks, dependencies=list(arrays.values()))
    return Work(graph, named)


def _blocks_of(
    chunks: tuple[tuple[int, ...], ...], region: Region
) -> tuple[list[Index], list[tuple[Region, Region]]]:
    """Return the blocks that cover a region, and what each gives to which place in it."""
    sides = [_overlaps(sizes, part) for sizes, part in zip(chunks, region, strict=True)]
    indices, cuts = [], []
    for along in itertools.product(*sides):
        number, take, put = zip(*along, strict=True)
        indices.append(number)
        cuts.append((take, put))
    return indices, cuts


@lru_cache(maxsize=4096)
def _cached_overlaps(sizes: tuple[int, ...], start: int, stop: int) -> tuple[Any, ...]:
    found = []
    ends = list(itertools.accumulate(sizes))
    for number, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        low, high = max(start, end - size), min(stop, end)
        if low < high:
            take = slice(low - (end - size), high - (end - size))
            found.append((number, take, slice(low - start, high - start)))
    return tuple(found)


def _overlaps(sizes: tuple[int, ...], part: slice) -> tuple[Any, ...]:
    """Return (number of a block, part of it, place in the region) along one dimension."""
    return _cached_overlaps(tuple(sizes), part.start, part.stop)


def _target(store: Store, variable: str) -> zarr.Array:
    # A shard of NaN must leave a file too: the file says that it is done.
    array = zarr.open_array(store, path=variable, mode="r+")
    return array.with_config({"write_empty_chunks": True})
