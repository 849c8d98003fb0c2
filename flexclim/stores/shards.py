"""Work items: shards, each written whole by one task.

A shard appears under its name only when it is whole, so an item is complete when its shard exists.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import uuid4

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from dask.highlevelgraph import HighLevelGraph
from dask.typing import DaskCollection, Key
from numcodecs import BitRound
from zarr.abc.store import Store
from zarr.core.metadata import ArrayV2Metadata

from flexclim.cf.encodings import FIELD_COMPRESSOR
from flexclim.files import store_errors
from flexclim.stores.place import Place, ZarrArray, write_file
from flexclim.stores.shard_encoding import encoded_shard

Index = tuple[int, ...]
Region = tuple[slice, ...]
# (number of a block, the part of it, its place in a region) along one dimension.
Overlap = tuple[int, slice, slice]
# zarr's configuration while existing shards are added to: how many chunks it compresses in one
# task. With one, the default, the single thread of its event loop has more to do.
ZARR_SETTINGS = {"codec_pipeline.batch_size": 8}
# How many existing shards a process adds to at once; more would compete for that thread.
_writing = threading.BoundedSemaphore(4)
ADVICE = " Make room and call again to continue."


@dataclass(frozen=True)
class Item:
    """One shard to write.

    Parameters
    ----------
    variable, index
        Of the shard.
    region
        The part of the array to write: the whole shard, or the times that were added to it.
    growing
        Whether the shard exists and keeps its other values.
    """

    variable: str
    index: Index
    region: Region
    growing: bool = False


@dataclass(frozen=True)
class Destination:
    """Where an item is written, and from which parts of dask's blocks.

    Parameters
    ----------
    store, name
        The store, and its name in errors.
    keep_bits
        Mantissa bits to keep; None: all.
    cuts
        For each block, the part that is taken and its place in the item's region.
    """

    store: Store = field(repr=False)
    name: str
    item: Item
    keep_bits: int | None
    cuts: tuple[tuple[Region, Region], ...]


@dataclass(frozen=True)
class Work:
    """A dask graph that writes items, and the item that each of its output keys writes."""

    graph: HighLevelGraph
    items: Mapping[Key, Item]

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys of the tasks that write an item each."""
        return tuple(self.items)


def write_item(destination: Destination, blocks: Sequence[np.ndarray]) -> Index:
    """Write one item; a repeated call has the same result.

    Parameters
    ----------
    blocks
        One for each of ``destination.cuts``.

    Returns
    -------
    tuple of int
        The index of the shard.
    """
    item = destination.item
    values = rounded(_values(blocks, destination), destination.keep_bits)
    with store_errors(destination.name, ADVICE):
        array = _open(destination.store, item.variable)
        if item.growing:
            with _writing:
                array[item.region] = values
            return item.index
        key = f"{item.variable}/{array.metadata.encode_chunk_key(item.index)}"
        write_file(destination.store, key, encoded_shard(array, item.region, values))
    return item.index


def _values(blocks: Sequence[np.ndarray], destination: Destination) -> np.ndarray:
    """Return the values of an item; a view where they are all of one block."""
    shape = tuple(part.stop - part.start for part in destination.item.region)
    if len(blocks) == 1:
        values = blocks[0][destination.cuts[0][0]]
        assert values.shape == shape, (destination.item, values.shape, shape)
        return values
    values, filled = np.empty(shape, blocks[0].dtype), 0
    for block, (take, put) in zip(blocks, destination.cuts, strict=True):
        values[put] = block[take]
        filled += values[put].size
    assert filled == values.size, (destination.item, filled, shape)
    return values


def rounded(values: np.ndarray, keep_bits: int | None) -> np.ndarray:
    """Round to ``keep_bits`` bits of the mantissa, so that values compress well; None: keep all.

    The relative error is at most ``2 ** -(keep_bits + 1)``.

    >>> rounded(np.array([273.15, np.nan], "float32"), 9)
    array([273., nan], dtype=float32)
    """
    if keep_bits is None:
        return values
    codec = BitRound(keepbits=keep_bits)
    return np.asarray(codec.decode(codec.encode(values))).view(values.dtype).reshape(values.shape)


def shards_of(array: ZarrArray) -> Iterable[tuple[str, Index]]:
    """Return the keys, from the root of the store, and indices of all shards of an array."""
    sides = array.shards or array.chunks
    counts = (-(-size // side) for size, side in zip(array.shape, sides, strict=True))
    for index in itertools.product(*map(range, counts)):
        yield f"{array.path}/{array.metadata.encode_chunk_key(index)}", index


def is_sharded(array: ZarrArray) -> bool:
    """Return whether an array is a field, written shard by shard.

    In format 2, which has no shards, such arrays have a compression of their own, and what is said
    of shards holds for their chunks.
    """
    if isinstance(array.metadata, ArrayV2Metadata):
        compressor = array.metadata.compressor
        return compressor is not None and compressor.get_config() == FIELD_COMPRESSOR
    return array.shards is not None


def region_of(array: ZarrArray, index: Index) -> Region:
    """Return the part of an array that a shard holds."""
    sides = array.shards or array.chunks
    return tuple(
        slice(i * side, min((i + 1) * side, size))
        for i, side, size in zip(index, sides, array.shape, strict=True)
    )


def plan_work(ds: xr.Dataset, place: Place, items: Iterable[Item], keep_bits: int | None) -> Work:
    """Return the graph that writes ``items`` of a lazy dataset."""
    tasks: dict[Key, object] = {}
    fields: dict[str, DaskCollection] = {}
    by_key: dict[Key, Item] = {}
    token = uuid4().hex  # a cluster takes tasks of equal names for the same
    for item in items:
        array: da.Array = ds[item.variable].data
        fields[item.variable] = ds[item.variable].data
        blocks, cuts = _blocks_of(array.chunks, item.region)
        destination = Destination(place.store, place.name, item, keep_bits, tuple(cuts))
        key: Key = (f"write-{item.variable}-{token}", *item.index)
        by_key[key] = item
        tasks[key] = (write_item, destination, [(array.name, *block) for block in blocks])
    graph = HighLevelGraph.from_collections(
        "write-items", tasks, dependencies=list(fields.values())
    )
    return Work(graph, by_key)


def _blocks_of(
    chunks: tuple[tuple[int, ...], ...], region: Region
) -> tuple[list[Index], list[tuple[Region, Region]]]:
    """Return the blocks that cover a region, and for each the part and its place in the region."""
    sides = [
        _overlaps(tuple(sizes), part.start, part.stop)
        for sizes, part in zip(chunks, region, strict=True)
    ]
    indices, cuts = [], []
    for overlaps in itertools.product(*sides):
        numbers, take, put = zip(*overlaps, strict=True)
        indices.append(numbers)
        cuts.append((take, put))
    return indices, cuts


@lru_cache(maxsize=4096)
def _overlaps(sizes: tuple[int, ...], start: int, stop: int) -> tuple[Overlap, ...]:
    """Return how blocks of some sizes overlap with ``start`` to ``stop`` along one dimension."""
    found = []
    for number, (size, end) in enumerate(zip(sizes, itertools.accumulate(sizes), strict=True)):
        low, high = max(start, end - size), min(stop, end)
        if low < high:
            take = slice(low - (end - size), high - (end - size))
            found.append((number, take, slice(low - start, high - start)))
    return tuple(found)


def _open(store: Store, variable: str) -> ZarrArray:
    # A shard of NaN must exist too, since a file marks its item as complete.
    array = zarr.open_array(store, path=variable, mode="r+")
    return array.with_config({"write_empty_chunks": True})
