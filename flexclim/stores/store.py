"""Begin a store, go on with it, extend it."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
import zarr
from dask.system import CPU_COUNT
from zarr.storage import MemoryStore

from flexclim.cf.encodings import encodings
from flexclim.errors import FlexclimWarning, StoreError
from flexclim.execution import engine
from flexclim.files import PARTIAL, store_errors
from flexclim.stores.begun import BREAKS, check_plan, plan_attributes
from flexclim.stores.faults import fault_of, list_damage, listed_damage
from flexclim.stores.growth import GROWING, along, growing_shards, held_region, ragged_shards
from flexclim.stores.identity import STEPS
from flexclim.stores.layout import MEMBERS, Layout, choose_layout, time_dimension
from flexclim.stores.lock import locked
from flexclim.stores.place import Place, StoreLike
from flexclim.stores.shards import BATCHES, Item, Work, plan_work, region_of, shards_of

# Attribute of the root group while the store is being created.
CREATING = "flexclim_creating"
# What the user should know of the run that wrote it.
NOTES = "flexclim_notes"
ROOT = "zarr.json"
# Values of the blocks that are made at once, as far as few blocks do not hold more.
AT_ONCE, FEWEST = 2**24, 4


def write_store(
    ds: xr.Dataset,
    store: StoreLike | Place,
    plan: Mapping[str, Any],
    *,
    plan_so_far: Mapping[str, Any] | None = None,
    keep_bits: int | None = None,
) -> Place:
    """Write a lazy dataset into a Zarr store, or go on with what an earlier call left.

    Parameters
    ----------
    ds
        Described by :func:`flexclim.cf.description.describe_fields`. What is lazy is written shard
        by shard, the rest at once.
    store
        A path, URL or zarr store. It must not exist, or have been begun by the same plan. A lock
        beside it keeps out a second writer.
    plan
        All that decides the values, by name; numbers, texts, lists and dicts of them. It is kept
        in the attributes of the store.
    plan_so_far
        What the plan would be for the members and times that the store holds already, if ``ds``
        has more of them; None: the same.
    keep_bits
        Bits of the mantissa that are kept; None: all.

    Returns
    -------
    Place
        The store, complete.

    Raises
    ------
    StoreError
        If the store is of another plan, of somebody else, being written, or can't be written.
    """
    place = store if isinstance(store, Place) else Place(store)
    wanted, so_far = (json.loads(json.dumps(p)) for p in (plan, plan_so_far or plan))
    with locked(place):
        ds = _with_small_parts_loaded(ds)
        with store_errors(place.name, ""):
            if _is_new(place):
                _create(ds, place, wanted)
            else:
                check_plan(place, so_far)
                place.sweep()
                _restore_metadata(place)
                _check_arrays(ds, place)
                _update(ds, place, wanted)
            items = missing_items(ds, place)
        if items:
            work = plan_work(ds, place, items, keep_bits)
            tell = partial(_note, place)
            name, turn = partial(_name, ds, work), partial(_turn, ds, work)
            with zarr.config.set(BATCHES):
                engine.run(work.graph, work.keys, name, "shards", tell, turn, _threads(ds))
        with store_errors(place.name, ""):
            _finish(place)
    return place


def _threads(ds: xr.Dataset) -> int:
    """Return how many threads of this process work at once: fewer where blocks are large.

    Passes run on threads of their own, and few large blocks keep these busy. A GPU is kept busy by
    more, since its passes take less time than what is done beside them.
    """
    chunks = [array.chunks for array in ds.variables.values() if array.chunks]
    largest = max((math.prod(map(max, of_array)) for of_array in chunks), default=1)
    cores = dask.config.get("num_workers", None) or CPU_COUNT
    few = min(cores, max(FEWEST, AT_ONCE // largest))
    on_gpu = str(ds.attrs.get("flexclim_device")).startswith("cuda")
    return max(few, engine.GPU_THREADS) if on_gpu else few


def _turn(ds: xr.Dataset, work: Work, key: Any) -> int:
    """Say when a shard is written: members of a forecast are rolled out one block after another."""
    if STEPS not in ds.attrs:
        return 0
    item = work.items[key]
    axis = ds[item.variable].dims.index(MEMBERS)
    ends = np.cumsum(ds[item.variable].chunksizes[MEMBERS])
    return int(np.searchsorted(ends, item.region[axis].start, side="right"))


def _name(ds: xr.Dataset, work: Work, key: Any) -> str:
    """Say which variable, member and times a shard holds, and which part of the plane."""
    item = work.items[key]
    field, parts = ds[item.variable], []
    for dim, part in zip(map(str, field.dims), item.region, strict=True):
        if part == slice(0, field.sizes[dim]) and dim not in (MEMBERS, time_dimension(ds)):
            continue
        values = ds[dim].values if dim in ds.coords else np.arange(field.sizes[dim])
        ends = [str(values[i]).removesuffix(".000000000") for i in (part.start, part.stop - 1)]
        parts.append(f"{dim} {' to '.join(dict.fromkeys(ends))}")
    return ", ".join([item.variable, *parts])


def missing_items(ds: xr.Dataset, place: Place) -> list[Item]:
    """Return the shards of lazy variables that are not there, not whole or not long enough."""
    group, items = place.group(), []
    growing, listed = growing_shards(place, group), listed_damage(place)
    for name in lazy_names(ds):
        array = _array(group, name)
        there = place.keys(f"{name}/c/")
        for key, index in shards_of(array):
            region, held = region_of(array, index), held_region(array, key, index, growing)
            wrong = key in there and key in listed and fault_of(place, array, key, index, held)
            if key in there and not wrong:
                if key not in growing:
                    continue
                axis, stop = growing[key]
                region = along(region, axis, slice(stop, region[axis].stop))
            items.append(Item(name, index, region, bool(wrong)))
    return items


def lazy_names(ds: xr.Dataset) -> list[str]:
    """Return the variables that are written shard by shard."""
    return [str(name) for name, field in ds.data_vars.items() if field.chunks]


def _is_new(place: Place) -> bool:
    """Return whether nothing is there, or only what a killed creation left."""
    if place.path is not None and not place.path.is_dir():
        return not place.path.exists()
    content = place.read(ROOT)
    if content is None:
        # A writer that was killed at once leaves a root that was not renamed yet.
        return all(
            key.startswith(".flexclim") or (key.startswith("zarr.") and key.endswith(PARTIAL))
            for key in place.keys("")
        )
    try:
        return bool(json.loads(content)["attributes"].get(CREATING))
    except (ValueError, KeyError, AttributeError):
        return False


def _create(ds: xr.Dataset, place: Place, plan: dict[str, Any]) -> None:
    """Write metadata and all that is not lazy; the root's comes last."""
    layouts = {name: choose_layout(ds[name], time_dimension(ds)) for name in lazy_names(ds)}
    files = _small_files(ds, layouts)
    root = json.loads(files.pop(ROOT))
    marked = root | {"attributes": {CREATING: True}}
    place.write(ROOT, json.dumps(marked).encode())
    place.sweep()
    for left in place.keys("") - files.keys() - {ROOT}:  # of a creation that was killed
        if not left.startswith(".flexclim"):
            place.delete(left)
    for key, content in files.items():
        place.write(key, content)
    root["attributes"] |= plan_attributes(plan)
    place.write(ROOT, json.dumps(root, indent=2).encode())


def _update(ds: xr.Dataset, place: Place, plan: dict[str, Any]) -> None:
    """Bring metadata and all that is not lazy to what ``ds`` has: it may have grown."""
    group = place.group("r+")
    begun_already = plan_attributes(plan).items() <= group.attrs.asdict().items()
    arrays = {name: _array(group, name) for name in lazy_names(ds)}
    layouts = {
        name: Layout(shards=array.shards or array.chunks, chunks=array.chunks)
        for name, array in arrays.items()
    }
    files = _small_files(ds, layouts)
    del files[ROOT]
    changed = {key: content for key, content in files.items() if place.read(key) != content}
    if any(ds[name].shape != array.shape for name, array in arrays.items()):
        growing = json.loads(str(group.attrs.get(GROWING, "{}")))
        growing |= ragged_shards(ds, place, arrays, growing)
        breaks = json.loads(str(group.attrs.get(BREAKS, "[]")))
        breaks += {_members(ds, arrays)} - {None, *breaks, ds.sizes.get(MEMBERS)}
        history = [str(group.attrs.get("history", ""))]
        if not begun_already:
            history.append(str(ds.attrs.get("history", "")).rpartition("\n")[2])
        # The root is written once, without what was consolidated: readers see the store grow.
        group.update_attributes(
            {
                GROWING: json.dumps(growing),
                BREAKS: json.dumps(sorted(breaks)),
                "history": "\n".join(history),
            }
            | plan_attributes(plan)
        )
    elif any(key.endswith(ROOT) for key in changed):
        group.update_attributes({})  # what was consolidated does not hold any more
    for key, content in changed.items():
        place.write(key, content)


def _restore_metadata(place: Place) -> None:
    """Write damaged metadata of arrays anew, as they were consolidated."""
    root = json.loads(place.read(ROOT) or b"{}")
    known = (root.get("consolidated_metadata") or {}).get("metadata", {})
    for name, metadata in known.items():
        key = f"{name}/{ROOT}"
        try:
            same = json.loads(place.read(key) or b"") == metadata
        except ValueError:
            same = False
        if not same:
            place.write(key, json.dumps(metadata, indent=2).encode())


def _members(ds: xr.Dataset, arrays: dict[str, zarr.Array]) -> int | None:
    """Return how many members a store has."""
    for name, array in arrays.items():
        if MEMBERS in ds[name].dims:
            return int(array.shape[ds[name].dims.index(MEMBERS)])
    return None


def _small_files(ds: xr.Dataset, layouts: Mapping[str, Layout]) -> dict[str, bytes]:
    """Return by key the metadata of a store for ``ds``, and the chunks of what is not lazy."""
    encoding = encodings(ds, "zarr")
    empty = {}
    for name, layout in layouts.items():
        field = ds[name]
        encoding[name] |= {"chunks": layout.chunks, "shards": layout.shards}
        blocks = da.zeros(field.shape, chunks=layout.shards, dtype=field.dtype)
        empty[name] = field.copy(data=blocks)
    memory: dict[str, Any] = {}
    ds.assign(empty).to_zarr(
        MemoryStore(memory),
        mode="w-",
        compute=False,
        encoding=encoding,
        zarr_format=3,
        consolidated=False,
        write_empty_chunks=True,
    )
    return {key: buffer.to_bytes() for key, buffer in memory.items()}


def _check_arrays(ds: xr.Dataset, place: Place) -> None:
    """Refuse arrays of a size that ``ds`` does not have, or does not grow from."""
    group, time = place.group(), time_dimension(ds)
    if time is not None:
        known = _times(place, time)
        if known is not None and not np.array_equal(known, ds[time].values[: known.size]):
            raise StoreError(
                f"{place} has times from {known[0]} to {known[-1]} that these do not begin with. "
                "Only later times extend a store: give those that it has, too."
            )
    growing = {MEMBERS, time}
    for name in lazy_names(ds):
        array, field = _readable(group, name), ds[name]
        if (
            not isinstance(array, zarr.Array)
            or array.ndim != field.ndim
            or any(
                size != now and not (size < now and dim in growing)
                for dim, size, now in zip(field.dims, array.shape, field.shape, strict=True)
            )
        ):
            raise StoreError(
                f"{place} lacks {name!r} or has it in another shape: {name}/{ROOT} is damaged and "
                "can't be mended. Give another name."
            )


def _times(place: Place, time: str) -> np.ndarray | None:
    """Return the times that a store has; None if they are damaged."""
    try:
        array = _array(place.group(), time)
        if any(fault_of(place, array, key, index) for key, index in shards_of(array)):
            return None
        with xr.open_zarr(place.store, consolidated=False, chunks=None) as opened:
            return np.asarray(opened[time].values)
    except Exception:  # codecs and calendars raise many kinds; what is damaged is written anew
        return None


def _note(place: Place, facts: list[str]) -> None:
    """Keep in the store, and tell, what tasks told of their run."""
    if not facts:
        return
    group = place.group("r+")
    kept = str(group.attrs.get(NOTES, "")).splitlines()
    group.attrs[NOTES] = "\n".join(dict.fromkeys([*kept, *facts]))
    for fact in facts:
        warnings.warn(fact, FlexclimWarning, stacklevel=2)


def _finish(place: Place) -> None:
    """Consolidate: that marks a store as complete."""
    group = place.group("r+")
    if GROWING in group.attrs:  # BREAKS stay: what is mended later is made in the same groups
        del group.attrs[GROWING]
    if zarr.open_group(place.store, mode="r").metadata.consolidated_metadata is None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            zarr.consolidate_metadata(place.store)
    list_damage(place, {})


def _readable(group: zarr.Group, name: str) -> Any:
    try:
        return group.get(name)
    except ValueError:  # no JSON, or other metadata than an array's
        return None


def _array(group: zarr.Group, name: str) -> zarr.Array:
    array = group[name]
    assert isinstance(array, zarr.Array), name
    return array


def _with_small_parts_loaded(ds: xr.Dataset) -> xr.Dataset:
    """Compute lazy coordinates; they are written at once."""
    return ds.assign_coords({name: coord.compute() for name, coord in ds.coords.items()})
