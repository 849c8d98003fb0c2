"""What can be wrong with one file of a store, and the list of what was found."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import zarr

from flexclim.stores.place import Place
from flexclim.stores.shards import Index, Region, region_of

DAMAGE = "damage"


def fault_of(
    place: Place, array: zarr.Array, key: str, index: Index, region: Region | None = None
) -> str | None:
    """Return what is wrong with a shard or chunk, in a few words; None: nothing.

    Everything in it is read and held against its checksums. ``region`` is the part of the array
    that it should hold; None: all that its index stands for.
    """
    region = region or region_of(array, index)
    content = place.read(key)
    if content is None:
        return "missing"
    if not content:
        return "empty"
    if array.shards is not None:
        lengths = _lengths(content, array)
        if lengths is None:
            return "truncated"
        counts = tuple(
            -(-(part.stop - part.start) // side)
            for part, side in zip(region, array.chunks, strict=True)
        )
        if not lengths[tuple(slice(count) for count in counts)].all():
            return "chunks missing"
    try:
        array[region]
    except Exception as error:  # codecs raise many kinds
        return "checksum" if "checksum" in str(error).lower() else "unreadable"
    return None


def listed_damage(place: Place) -> dict[str, str]:
    """Return what an earlier check found, by key."""
    try:
        return dict(json.loads(place.read_beside(DAMAGE) or b"{}"))
    except ValueError:
        return {}


def list_damage(place: Place, found: dict[str, str]) -> None:
    """Keep what a check found, for the run that repairs it; nothing found ends the list."""
    if found:
        place.write_beside(DAMAGE, json.dumps(found, indent=1).encode())
    elif place.read_beside(DAMAGE) is not None:
        place.delete_beside(DAMAGE)


def _lengths(content: bytes, array: zarr.Array) -> np.ndarray | None:
    """Return the lengths of the chunks in a shard, 0 where there is none.

    The table at the end of a shard holds offset and length of each chunk, and its own checksum.
    """
    assert array.shards is not None
    counts = [s // c for s, c in zip(array.shards, array.chunks, strict=True)]
    size = 16 * math.prod(counts) + 4
    if len(content) < size:
        return None
    table: Any = np.frombuffer(content[-size:-4], "<u8").reshape(*counts, 2)
    return np.where(table[..., 0] == np.iinfo("u8").max, 0, table[..., 1])
