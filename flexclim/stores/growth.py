"""Shards that were not full along time when the store was extended, and wait for what is new."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import xarray as xr
import zarr

from flexclim.stores.layout import time_dimension
from flexclim.stores.place import Place
from flexclim.stores.shards import Index, Region, region_of, shards_of

# Attribute of the root group while the store is extended.
GROWING = "flexclim_growing"


def growing_shards(place: Place, group: zarr.Group) -> dict[str, tuple[int, int]]:
    """Return, by key, the shards that wait for more times: along which axis, from which on."""
    return {
        key: (axis, stop)
        for key, (digest, axis, stop) in json.loads(str(group.attrs.get(GROWING, "{}"))).items()
        if (content := place.read(key)) is not None and _sha256(content) == digest
    }


def held_region(
    array: zarr.Array, key: str, index: Index, growing: Mapping[str, tuple[int, int]]
) -> Region:
    """Return the part of an array that a shard holds now: one that waits for times has fewer."""
    region = region_of(array, index)
    if key in growing:
        axis, stop = growing[key]
        return along(region, axis, slice(region[axis].start, stop))
    return region


def ragged_shards(
    ds: xr.Dataset, place: Place, arrays: dict[str, Any], growing: dict[str, Any]
) -> dict[str, tuple[str, int, int]]:
    """Return, by key, the last shards that get more times: their hash, the axis and its end.

    A shard whose hash is no longer that has got them.
    """
    found = {}
    time = time_dimension(ds)
    for name, array in arrays.items():
        if time not in ds[name].dims:
            continue
        axis = ds[name].dims.index(time)
        stop, side = array.shape[axis], (array.shards or array.chunks)[axis]
        if stop == ds[name].shape[axis] or stop % side == 0:
            continue
        for key, index in shards_of(array):
            content = place.read(key) if index[axis] == stop // side else None
            if content is not None:
                digest = _sha256(content)
                if growing.get(key, ("",))[0] != digest:
                    found[key] = (digest, axis, stop)
    return found


def along(region: Region, axis: int, part: slice) -> Region:
    """Return a region with another part along one axis."""
    return (*region[:axis], part, *region[axis + 1 :])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
