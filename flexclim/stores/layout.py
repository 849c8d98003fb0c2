"""Sizes of shards, which are written at once, and of chunks, which are read at once.

A shard is one file (or object) and one work item: one member, some times, the whole plane. It is
divided into chunks of a few times and a small square, so that neither a map nor a time series at a
point reads much more than it needs; ``docs/reports/store-robustness-and-reading.md`` has figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import xarray as xr

from flexclim.cf.time_coordinates import find_times
from flexclim.cf.times import is_time

MEMBERS = "realization"
# Times of a chunk and of a shard, and the fine cells of a chunk along y and x.
CHUNK_TIMES, SHARD_TIMES, CHUNK_SIDE = 4, 16, 128
# Small planes, several of which are sampled together, have more times: those of as many tasks, of
# as many cells as a shard or chunk of larger planes has.
SHARD_CELLS, CHUNK_CELLS = SHARD_TIMES * 256**2, CHUNK_TIMES * CHUNK_SIDE**2
# Points or regions of a chunk, which holds SHARD_TIMES or, of fewer of them, more.
CHUNK_PLACES = CHUNK_SIDE**2
# Zarr format 2 has no shards. Its chunks, each a file, are of up to SHARD_CELLS values (4 MiB of
# float32): CHUNK_TIMES times of such a square or SHARD_TIMES of such a list, or more times of less.
FILE_SIDE, FILE_PLACES = 512, SHARD_CELLS // SHARD_TIMES
# The longest side of a chunk: of planes and of lists, by format.
LARGEST = {2: (FILE_SIDE, FILE_PLACES), 3: (CHUNK_SIDE, CHUNK_PLACES)}
# Bytes that the blocks of members sampled together may hold until they are written; twice as many
# where that gives whole chunks.
HELD_BYTES = 2**26


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Sizes of shards, and of the chunks in them, along each dimension of an array.

    There are no shards in Zarr format 2: each chunk is a file.
    """

    shards: tuple[int, ...] | None
    chunks: tuple[int, ...]

    @property
    def files(self) -> tuple[int, ...]:
        """Sizes of the part of the array that one file holds."""
        return self.shards or self.chunks


def choose_layout(field: xr.DataArray, time: str | None, zarr_format: Literal[2, 3] = 3) -> Layout:
    """Choose shards and chunks for a lazy field.

    Parameters
    ----------
    field
        (realization, ..., y, x) or, of a list of cells, points or regions, (realization, ..., n),
        lazy. Where its blocks divide the plane, shards do so too.
    time
        The name of the time dimension; None if there is none.
    zarr_format
        Version of the Zarr format.

    Examples
    --------
    >>> import dask.array as da
    >>> dims = "realization", "time", "lat", "lon"
    >>> for members in (1, 4, 8):
    ...     blocks = da.zeros((8, 40, 724, 1440), chunks=(members, 1, -1, -1), dtype="float32")
    ...     choose_layout(xr.DataArray(blocks, dims=dims), "time")
    Layout(shards=(1, 8, 768, 1536), chunks=(1, 4, 128, 128))
    Layout(shards=(1, 4, 768, 1536), chunks=(1, 4, 128, 128))
    Layout(shards=(1, 1, 768, 1536), chunks=(1, 1, 128, 128))
    >>> small = da.zeros((8, 365, 96, 128), chunks=(8, 4, -1, -1), dtype="float32")
    >>> choose_layout(xr.DataArray(small, dims=dims), "time")
    Layout(shards=(1, 64, 96, 128), chunks=(1, 4, 96, 128))
    >>> choose_layout(xr.DataArray(blocks, dims=dims), "time", 2)
    Layout(shards=None, chunks=(1, 4, 362, 480))
    """
    dims = [*map(str, field.dims)]
    listed = dims[-2] in (MEMBERS, time)
    lead, plane = (dims[:-1], dims[-1:]) if listed else (dims[:-2], dims[-2:])
    together = max(field.variable.chunksizes[MEMBERS]) if MEMBERS in lead else 1
    largest = LARGEST[zarr_format][listed]
    divide = _even_sides if zarr_format == 2 else _sides
    sides = [divide(field.variable.chunksizes[dim], largest) for dim in plane]
    cells, read_cells = (math.prod(each) for each in zip(*sides, strict=True))
    room = HELD_BYTES // (together * cells * field.dtype.itemsize)
    whole = CHUNK_TIMES if room < CHUNK_TIMES <= 2 * room else room
    blocks = max(field.variable.chunksizes[time]) if time in lead else 1
    most = min(blocks * SHARD_TIMES, max(SHARD_TIMES, SHARD_CELLS // cells))
    times = _power_of_two(min(most, whole))
    if zarr_format == 2:
        times = min(times, _power_of_two(SHARD_CELLS // read_cells))
        before = [times if dim == time else 1 for dim in lead]
        return Layout(shards=None, chunks=(*before, *(chunk for _, chunk in sides)))
    fewest = SHARD_TIMES if listed else CHUNK_TIMES
    read = min(times, max(fewest, _power_of_two(CHUNK_CELLS // read_cells)))
    pairs = [(times, read) if dim == time else (1, 1) for dim in lead]
    shards, chunks = zip(*pairs, *sides, strict=True)
    return Layout(shards=shards, chunks=chunks)


def time_dimension(ds: xr.Dataset) -> str | None:
    """Return the dimension along which dates lie; None if there is none."""
    name = time_coordinate(ds)
    return None if name is None else str(ds[name].dims[0])


def time_coordinate(ds: xr.Dataset) -> str | None:
    """Return the coordinate of dates along a dimension: its own, else that of valid times."""
    for dim in map(str, ds.dims):
        if dim in ds.coords and is_time(ds[dim]):
            return dim
    valid = find_times(ds).valid
    return valid if valid is not None and ds[valid].ndim == 1 else None


def _sides(blocks: Sequence[int], largest: int) -> tuple[int, int]:
    """Return the side of a shard and of its chunks for blocks along one side of the plane."""
    size = blocks[0]
    if len(blocks) == 1:
        # Edge chunks may reach beyond the array.
        chunk = min(size, largest)
        return -(-size // chunk) * chunk, chunk
    # A shard that reached into a neighbour's block would have two writers.
    return size, max(n for n in range(1, largest + 1) if size % n == 0)


def _even_sides(blocks: Sequence[int], largest: int) -> tuple[int, int]:
    """Return a block and the side of chunks without shards, which are about equal."""
    size = blocks[0]
    if len(blocks) == 1:
        return size, -(-size // -(-size // largest))
    return _sides(blocks, largest)


def _power_of_two(times: int) -> int:
    return 1 << max(0, times.bit_length() - 1)


def lazy_names(ds: xr.Dataset) -> list[str]:
    """Return the variables that are lazy, and so written shard by shard."""
    return [str(name) for name, field in ds.data_vars.items() if field.chunks]
