"""Find out whether another program altered a store, or wrote it as a copy of one of flexclim's.

Attributes travel with copies: with a part of a store, a reordered one, or one whose values were
changed. Such a copy must not be continued as what its attributes say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import xarray as xr
import zarr

from flexclim.cf.times import durations_of, has_duration_units
from flexclim.errors import StoreError
from flexclim.stores.faults import fault_of, listed_damage
from flexclim.stores.layout import MEMBERS, lazy_names, time_dimension
from flexclim.stores.metadata import array_of, is_finished
from flexclim.stores.place import Place
from flexclim.stores.shards import is_sharded, shards_of

# Attribute of the root: hashes of the first shard of each variable, when the store was complete.
FIRST_SHARDS = "flexclim_first_shards"
# Relative distance within which coordinates are the same.
CLOSE = 1e-6
ADVICE = (
    "Another program altered the store or wrote it as a copy, or the request is another one: give "
    "another name."
)


def first_shards(place: Place) -> dict[str, str]:
    """Return as an attribute the hashes of the first shard of each variable, by key."""
    group, hashes = place.group(), {}
    for name in sorted(place.array_names()):
        array = group.get(name)
        if isinstance(array, zarr.Array) and is_sharded(array):
            key, _ = next(iter(shards_of(array)))
            if (content := place.read(key)) is not None:
                hashes[key] = hashlib.sha256(content).hexdigest()
    return {FIRST_SHARDS: json.dumps(hashes)}


def check_unaltered(ds: xr.Dataset, place: Place) -> None:
    """Raise if a store is not as flexclim left it, as far as its first shards and coordinates tell.

    Raises
    ------
    StoreError
        If first shards of a complete store or coordinates that ``ds`` has, too, differ.
    """
    group = place.group()
    _check_coordinates(ds, place, group)
    if is_finished(place):
        known: Mapping[str, str] = json.loads(str(group.attrs.get(FIRST_SHARDS, "{}")))
        damaged = listed_damage(place)
        for key, digest in known.items():
            content = place.read(key)
            if content and key not in damaged and hashlib.sha256(content).hexdigest() != digest:
                raise StoreError(
                    f"{place} has another {key} than flexclim wrote. If check_store (flexclim "
                    f"check at the shell) finds it damaged, repeat this call to repair it. {ADVICE}"
                )


def _check_coordinates(ds: xr.Dataset, place: Place, group: zarr.Group) -> None:
    """Compare the coordinates of a store with those of ``ds``, as far as both have them."""
    time = time_dimension(ds)
    skipped, growing = {*lazy_names(ds), time}, {MEMBERS, time}
    try:
        opened = xr.open_zarr(place.store, consolidated=False, chunks=None, decode_timedelta=False)
    except Exception:  # damaged times or metadata, which are rewritten
        return
    with opened:
        names = {str(name): ds[name].ndim for name in ds.variables if name not in skipped}
        for name in sorted(names, key=names.__getitem__):
            if name not in opened.variables or _is_damaged(place, group, name):
                continue
            found, wanted = opened[name].variable, ds[name].variable
            if found.dims != wanted.dims:
                continue
            wanted = wanted.isel({d: slice(n) for d, n in found.sizes.items() if d in growing})
            if wanted.dtype.kind == "m":
                if not has_duration_units(found):
                    continue
                found, wanted = durations_of(found), durations_of(wanted)
            if not _alike(found.values, wanted.values):
                raise StoreError(
                    f"{place} has {_span(name, found)}, and this request {_span(name, wanted)}. "
                    f"{ADVICE}"
                )


def _is_damaged(place: Place, group: zarr.Group, name: str) -> bool:
    array = array_of(group, name)
    return any(fault_of(place, array, key, index) for key, index in shards_of(array))


def _alike(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Return whether values are equal, but for rounding."""
    if found.shape != wanted.shape:
        return False
    kinds = {found.dtype.kind, wanted.dtype.kind}
    if not kinds <= {*"fiu"}:
        return bool(np.array_equal(found, wanted, equal_nan=kinds <= {*"mM"}))
    scale = float(
        np.abs(wanted, where=np.isfinite(wanted), out=np.zeros(wanted.shape)).max(initial=0)
    )
    return np.allclose(found, wanted, rtol=0, atol=CLOSE * scale, equal_nan=True)


def _span(name: str, values: xr.Variable) -> str:
    """Return a coordinate's size, first and last value in words."""
    flat = values.values.ravel()
    if flat.size < 2:
        return f"{name} {flat[0] if flat.size else 'without values'}"
    return f"{name} from {flat[0]} to {flat[-1]} ({flat.size} values)"
