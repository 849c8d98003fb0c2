"""Extend a store by members and later times.

Shards that were not full along time when the store was extended wait for the new times.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import xarray as xr
import zarr

from flexclim.errors import StoreError
from flexclim.stores.begun import BREAKS, plan_attributes
from flexclim.stores.faults import fault_of
from flexclim.stores.formats import format_of
from flexclim.stores.layout import (
    MEMBERS,
    Layout,
    lazy_names,
    time_coordinate,
    time_dimension,
)
from flexclim.stores.metadata import GROWING, array_of, set_attributes, small_files
from flexclim.stores.place import Place, ZarrArray
from flexclim.stores.shards import Index, Region, region_of, shards_of

# A shard that waits for times: its hash until it gets them, their axis, and where they start.
Waiting = tuple[str, int, int]


def update(ds: xr.Dataset, place: Place, plan: Mapping[str, object]) -> None:
    """Bring metadata and variables that are not lazy up to date: ``ds`` may have grown."""
    group, form = place.group(), format_of(place)
    arrays = {name: array_of(group, name) for name in lazy_names(ds)}
    layouts = {
        name: Layout(shards=array.shards, chunks=array.chunks) for name, array in arrays.items()
    }
    files = small_files(_with_known_attributes(ds, arrays), layouts, form.number)
    changed = {
        key: content
        for key, content in files.items()
        if key not in form.root and place.read(key) != content
    }
    if any(ds[name].shape != array.shape for name, array in arrays.items()):
        # The root is written once, without consolidated metadata: readers see the store grow.
        set_attributes(place, _growth_attributes(ds, place, group, arrays, plan))
    elif any(key.endswith(form.array) for key in changed):
        set_attributes(place, {})  # consolidated metadata are out of date
    for key, content in changed.items():
        place.write(key, content)


def _with_known_attributes(ds: xr.Dataset, arrays: Mapping[str, ZarrArray]) -> xr.Dataset:
    """Return a dataset with attributes that a store's variables have and a later input lost."""
    known = {name: array.attrs.asdict() for name, array in arrays.items()}
    own = {"coordinates", "_FillValue", "_ARRAY_DIMENSIONS"}  # xarray writes these
    return ds.assign(
        {
            name: ds[name].assign_attrs(
                {k: v for k, v in attributes.items() if k not in {*ds[name].attrs, *own}}
            )
            for name, attributes in known.items()
        }
    )


def _growth_attributes(
    ds: xr.Dataset,
    place: Place,
    group: zarr.Group,
    arrays: Mapping[str, ZarrArray],
    plan: Mapping[str, object],
) -> dict[str, str]:
    """Return the root's attributes while the store is extended."""
    known = group.attrs.asdict()
    waiting: dict[str, Waiting] = json.loads(str(known.get(GROWING, "{}")))
    waiting |= _partial_shards(ds, place, arrays, waiting)
    breaks = set(json.loads(str(known.get(BREAKS, "[]"))))
    breaks |= {_member_count(ds, arrays)} - {None, ds.sizes.get(MEMBERS)}
    history = [str(known.get("history", ""))]
    if not plan_attributes(plan).items() <= known.items():
        history.append(str(ds.attrs.get("history", "")).rpartition("\n")[2])
    return {
        GROWING: json.dumps(waiting),
        BREAKS: json.dumps(sorted(breaks)),
        "history": "\n".join(history),
    } | plan_attributes(plan)


def growing_shards(place: Place, group: zarr.Group) -> dict[str, tuple[int, int]]:
    """Return by key the shards that wait for times: along which axis, and from which index."""
    waiting: dict[str, Waiting] = json.loads(str(group.attrs.get(GROWING, "{}")))
    return {
        key: (axis, start)
        for key, (digest, axis, start) in waiting.items()
        if (content := place.read(key)) is not None and _sha256(content) == digest
    }


def held_region(
    array: ZarrArray, key: str, index: Index, growing: Mapping[str, tuple[int, int]]
) -> Region:
    """Return the part of an array that a shard holds now, which is less if it waits for times."""
    region = region_of(array, index)
    if key in growing:
        axis, stop = growing[key]
        return along(region, axis, slice(region[axis].start, stop))
    return region


def _partial_shards(
    ds: xr.Dataset,
    place: Place,
    arrays: Mapping[str, ZarrArray],
    waiting: Mapping[str, Waiting],
) -> dict[str, Waiting]:
    """Return by key the last shards along time that are to get more times.

    A shard whose hash differs from the one in ``waiting`` has got them.
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
                if waiting.get(key, ("",))[0] != digest:
                    found[key] = (digest, axis, stop)
    return found


def along(region: Region, axis: int, part: slice) -> Region:
    """Return a region with another part along one axis."""
    return (*region[:axis], part, *region[axis + 1 :])


def check_times(ds: xr.Dataset, place: Place) -> None:
    """Raise if the times of a store are not the first ones of ``ds``."""
    if (time := time_coordinate(ds)) is None or (known := _times(place, time)) is None:
        return
    if not np.array_equal(known, ds[time].values[: known.size]):
        raise StoreError(
            f"{place} has times from {known[0]} to {known[-1]}, and these times do not begin "
            "with them. Only later times extend a store: give those that it has, too."
        )


def check_arrays(ds: xr.Dataset, place: Place) -> None:
    """Raise if the arrays of a store are not those of ``ds`` or of an earlier part of it."""
    group, growing = place.group(), {MEMBERS, time_dimension(ds)}
    for name in lazy_names(ds):
        array, field = _readable(group, name), ds[name]
        if (
            array is None
            or array.ndim != field.ndim
            or any(
                size != now and not (size < now and dim in growing)
                for dim, size, now in zip(field.dims, array.shape, field.shape, strict=True)
            )
        ):
            raise StoreError(
                f"{place} lacks {name!r} or has it in another shape: {name}/"
                f"{format_of(place).array[0]} is damaged and can't be repaired. Give another name."
            )


def _times(place: Place, time: str) -> np.ndarray | None:
    """Return the times that a store has; None if they are damaged."""
    try:
        array = array_of(place.group(), time)
        if any(fault_of(place, array, key, index) for key, index in shards_of(array)):
            return None
        with xr.open_zarr(place.store, consolidated=False, chunks=None) as opened:
            return np.asarray(opened[time].values)
    except Exception:  # codecs and calendars raise many types; damaged times are rewritten
        return None


def _member_count(ds: xr.Dataset, arrays: Mapping[str, ZarrArray]) -> int | None:
    """Return how many members a store has."""
    for name, array in arrays.items():
        if MEMBERS in ds[name].dims:
            return int(array.shape[ds[name].dims.index(MEMBERS)])
    return None


def _readable(group: zarr.Group, name: str) -> ZarrArray | None:
    """Return an array of a group; None if there is none or its metadata can't be read."""
    try:
        found = group.get(name)
    except ValueError:  # not JSON, or not the metadata of an array
        return None
    return found if isinstance(found, zarr.Array) else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
