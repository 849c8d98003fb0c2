"""Write a lazy dataset into a Zarr store: create it, continue it, extend it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import dask
import numpy as np
import xarray as xr
import zarr
from dask.system import CPU_COUNT
from dask.typing import Key

from flexclim.errors import StoreError
from flexclim.execution import engine
from flexclim.execution.notes import Note, attributes_of, warn_of
from flexclim.execution.workers import GPU_THREADS, active_client
from flexclim.files import store_errors
from flexclim.stores.alterations import check_unaltered, first_shards
from flexclim.stores.begun import check_plan
from flexclim.stores.creation import create, is_new
from flexclim.stores.faults import fault_of, list_damage, listed_damage
from flexclim.stores.formats import check_holds, check_same
from flexclim.stores.growth import (
    along,
    check_arrays,
    check_times,
    growing_shards,
    held_region,
    update,
)
from flexclim.stores.layout import MEMBERS, lazy_names, time_dimension
from flexclim.stores.lock import locked
from flexclim.stores.metadata import (
    GROWING,
    array_of,
    consolidate,
    restore_metadata,
    set_attributes,
)
from flexclim.stores.place import Place, StoreLike
from flexclim.stores.shards import ZARR_SETTINGS, Item, Work, plan_work, region_of, shards_of

# The Zarr format of new stores, unless one is given.
NEW_FORMAT: Literal[2, 3] = 3
# Values that the blocks in progress hold at most, unless that allows fewer than MIN_THREADS.
VALUES_IN_PROGRESS, MIN_THREADS = 2**24, 4


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    """How the shards of a store are computed and written.

    Parameters
    ----------
    device
        The device that computes the lazy variables, such as "cpu" or "cuda".
    members_in_order
        Whether a block of members is completed before the next starts, as far as threads or
        workers are busy. In a forecast each member is a chain of tasks that holds all its states.
    keep_bits
        Mantissa bits to keep; default: all.
    zarr_format
        Version of the Zarr format; default: the existing store's, else 3.
    """

    device: str = "cpu"
    members_in_order: bool = False
    keep_bits: int | None = None
    zarr_format: Literal[2, 3] | None = None


def write_store(
    ds: xr.Dataset,
    store: StoreLike | Place,
    plan: Mapping[str, object],
    *,
    plan_so_far: Mapping[str, object] | None = None,
    options: WriteOptions | None = None,
) -> Place:
    """Write a lazy dataset into a Zarr store, or continue what an earlier call began.

    Parameters
    ----------
    ds
        Described by :func:`flexclim.cf.description.describe_fields`. Lazy variables are written
        shard by shard, all others at once.
    store
        A path, URL, zarr store or icechunk repository. It must not exist, or have been begun with
        the same plan. A lock next to it keeps out a second writer. What is written to a repository
        is committed at the end, or not at all.
    plan
        Everything that determines the values, by name: numbers, strings, lists and dicts of
        them. It is kept in the attributes of the store.
    plan_so_far
        The plan for the members and times that the store already holds, if ``ds`` has more;
        default: ``plan``.
    options
        How shards are computed and written.

    Returns
    -------
    Place
        The store, complete.

    Raises
    ------
    StoreError
        If the store has another plan or is not flexclim's, another process writes to it, or it
        can't be written.
    """
    place = store if isinstance(store, Place) else Place(store)
    if place.repository is not None and active_client() is not None:
        raise StoreError(
            f"{place} takes writes of one process. Close the dask cluster, or write a Zarr store."
        )
    options = options or WriteOptions()
    check_holds(place, options.zarr_format)
    new_plan, old_plan = (json.loads(json.dumps(p)) for p in (plan, plan_so_far or plan))
    with locked(place):
        ds = _with_coordinates_computed(ds)
        with store_errors(place.name, ""):
            if is_new(place):
                create(ds, place, new_plan, options.zarr_format or NEW_FORMAT)
            else:
                check_plan(place, old_plan)
                check_same(place, options.zarr_format)
                place.sweep()
                restore_metadata(place)
                check_times(ds, place)
                check_unaltered(ds, place)
                check_arrays(ds, place)
                update(ds, place, new_plan)
            items = missing_items(ds, place)
        if items:
            _write_items(ds, place, items, options)
        with store_errors(place.name, ""):
            _finish(place)
            place.commit(f"flexclim: {', '.join(f'{n} {dim}' for dim, n in ds.sizes.items())}")
            list_damage(place, {})
    return place


def _write_items(ds: xr.Dataset, place: Place, items: list[Item], options: WriteOptions) -> None:
    work = plan_work(ds, place, items, options.keep_bits)
    with zarr.config.set(ZARR_SETTINGS):
        engine.run(
            work.graph,
            work.keys,
            label=partial(_label, ds, work),
            noun="shards",
            on_notes=partial(_keep_notes, ds, place),
            round_of=partial(_member_block, ds, work)
            if options.members_in_order
            else lambda key: 0,
            threads=threads_for(ds, options.device),
        )


def threads_for(ds: xr.Dataset, device: str) -> int:
    """Return how many threads of this process compute a dataset: fewer where blocks are large.

    Forward passes run on threads of their own, which a few large blocks keep busy. A GPU needs
    more threads to stay busy, since its forward passes take less time than the host-side work.
    """
    chunks = [array.chunks for array in ds.variables.values() if array.chunks]
    largest = max((math.prod(map(max, of_array)) for of_array in chunks), default=1)
    cores: int = dask.config.get("num_workers", None) or CPU_COUNT
    threads = min(cores, max(MIN_THREADS, VALUES_IN_PROGRESS // largest))
    return max(threads, GPU_THREADS) if device.startswith("cuda") else threads


def _member_block(ds: xr.Dataset, work: Work, key: Key) -> int:
    """Return the number of the block of members that a shard is computed from."""
    item = work.items[key]
    if MEMBERS not in ds[item.variable].dims:
        return 0
    axis = ds[item.variable].dims.index(MEMBERS)
    ends = np.cumsum(ds[item.variable].variable.chunksizes[MEMBERS])
    return int(np.searchsorted(ends, item.region[axis].start, side="right"))


def _label(ds: xr.Dataset, work: Work, key: Key) -> str:
    """Return the variable, member and times of a shard, and which part of the plane it holds."""
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
    """Return the shards of lazy variables that are missing, damaged, or wait for times."""
    group, items = place.group(), []
    growing, listed = growing_shards(place, group), listed_damage(place)
    for name in lazy_names(ds):
        array = array_of(group, name)
        there = place.keys(f"{name}/")
        for key, index in shards_of(array):
            region, held = region_of(array, index), held_region(array, key, index, growing)
            damaged = key in there and key in listed and fault_of(place, array, key, index, held)
            if key in there and not damaged:
                if key not in growing:
                    continue
                axis, stop = growing[key]
                region = along(region, axis, slice(stop, region[axis].stop))
            items.append(Item(name, index, region, growing=key in there and not damaged))
    return items


def _keep_notes(ds: xr.Dataset, place: Place, notes: list[Note]) -> None:
    """Add notes to the store's attributes, and warn of each text."""
    known = place.group().attrs.asdict()
    attributes = attributes_of(notes, ds, known)
    if attributes != {name: known.get(name) for name in attributes}:
        set_attributes(place, attributes)
    warn_of(notes)


def _finish(place: Place) -> None:
    """Mark a store as complete."""
    group = place.group("r+")
    if GROWING in group.attrs:  # BREAKS stay: a repaired member is computed with the same others
        del group.attrs[GROWING]
    known, hashes = group.attrs.asdict(), first_shards(place)
    if hashes != {name: known.get(name) for name in hashes}:
        set_attributes(place, hashes)  # before metadata are consolidated, which marks the end
    consolidate(place)


def _with_coordinates_computed(ds: xr.Dataset) -> xr.Dataset:
    """Compute lazy coordinates, which are written at once."""
    return ds.assign_coords({name: coord.compute() for name, coord in ds.coords.items()})
