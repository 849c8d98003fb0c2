"""Faults of single files of a store, and the list of those that a check found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np

from flexclim.stores.place import Place, ZarrArray
from flexclim.stores.shards import Index, Region, region_of

DAMAGE = "damage"


def fault_of(
    place: Place, array: ZarrArray, key: str, index: Index, region: Region | None = None
) -> str | None:
    """Read a shard or chunk, compare it with its checksums, and return its fault, if any.

    Parameters
    ----------
    key, index
        Of the shard or chunk.
    region
        The part of the array that it should hold; default: the whole shard.

    Returns
    -------
    str
        missing, empty, truncated, chunks missing, checksum or unreadable; None: no fault.
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
    except Exception as error:  # codecs raise many types
        told = str(error).lower()
        # zlib, which compresses in format 2, says "incorrect data check".
        return "checksum" if "checksum" in told or "data check" in told else "unreadable"
    return None


def listed_damage(place: Place) -> dict[str, str]:
    """Return by key the faults that an earlier check found."""
    try:
        return dict(json.loads(place.read_own(DAMAGE) or b"{}"))
    except ValueError:
        return {}


def list_damage(place: Place, faults: Mapping[str, str]) -> None:
    """Save the faults that a check found, for the run that repairs them; none ends the list."""
    if faults:
        place.write_own(DAMAGE, json.dumps(faults, indent=1).encode())
    elif place.read_own(DAMAGE) is not None:
        place.delete_own(DAMAGE)


def _lengths(content: bytes, array: ZarrArray) -> np.ndarray | None:
    """Return the lengths of the chunks in a shard, 0 where one is missing; None if it is truncated.

    The index at the end of a shard holds the offset and length of each chunk, and a checksum.
    """
    assert array.shards is not None
    counts = [s // c for s, c in zip(array.shards, array.chunks, strict=True)]
    size = 16 * math.prod(counts) + 4
    if len(content) < size:
        return None
    table = np.frombuffer(content[-size:-4], "<u8").reshape(*counts, 2)
    return np.where(table[..., 0] == np.iinfo("u8").max, 0, table[..., 1])
