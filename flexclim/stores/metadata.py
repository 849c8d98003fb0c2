"""Metadata of a store: written from a dataset, consolidated, restored where damaged."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import dask.array as da
import pandas as pd
import xarray as xr
import zarr
from zarr.abc.buffer import Buffer
from zarr.storage import MemoryStore

from flexclim.cf.custom_indexes import pandas_indexes
from flexclim.cf.encodings import encodings
from flexclim.errors import StoreError
from flexclim.stores.layout import Layout
from flexclim.stores.place import Place, ZarrArray

# The file of metadata of a group or an array.
METADATA = "zarr.json"
# Attribute of the root group while the store is extended.
GROWING = "flexclim_growing"


def small_files(ds: xr.Dataset, layouts: Mapping[str, Layout]) -> dict[str, bytes]:
    """Return by key the files of a store that hold metadata or variables that are not lazy.

    Parameters
    ----------
    layouts
        Shards and chunks of the lazy variables.
    """
    encoding = encodings(ds, "zarr")
    empty = {}
    for name, layout in layouts.items():
        field = ds[name]
        encoding[name] |= {"chunks": layout.chunks, "shards": layout.shards}
        blocks = da.zeros(field.shape, chunks=layout.shards, dtype=field.dtype)
        empty[name] = field.copy(data=blocks)
    memory: dict[str, Buffer] = {}
    try:
        with allow_texts():
            ds.assign(empty).to_zarr(
                MemoryStore(memory),
                mode="w-",
                compute=False,
                encoding=encoding,
                zarr_format=3,
                consolidated=False,
                write_empty_chunks=True,
            )
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        raise StoreError(_unwritable(ds, error)) from error
    return {key: buffer.to_bytes() for key, buffer in memory.items()}


@contextmanager
def allow_texts() -> Iterator[None]:
    """Write texts of fixed length, such as names of stations, without zarr's warning.

    Zarr registers their type as an extension (``fixed_length_utf32``). Those of variable length
    come back as NumPy's StringDType, which NetCDF can't hold.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"The data type \(FixedLengthUTF32")
        yield


def _unwritable(ds: xr.Dataset, error: Exception) -> str:
    """Return which coordinate can't be written to a store, and what to do."""
    for name, coordinate in ds.coords.items():
        if isinstance(pandas_indexes(ds).get(name), pd.MultiIndex):
            return (
                f"{name!r} has a MultiIndex, which a store can't hold. "
                f"Use .reset_index({name!r}) or .unstack({name!r}) first."
            )
        try:
            alone = coordinate.variable.to_base_variable()
            xr.Dataset({"x": alone}).to_zarr(MemoryStore(), compute=False, consolidated=False)
        except (AttributeError, NotImplementedError, TypeError, ValueError) as why:
            return (
                f"coordinate {name!r} ({coordinate.dtype}) can't be written to a store: {why}. "
                f"Leave it out with .drop_vars({name!r}), or convert it."
            )
    return f"the output can't be written to a store: {error}."


def array_of(group: zarr.Group, name: str) -> ZarrArray:
    """Return an array that is known to be in a group."""
    array = group[name]
    assert isinstance(array, zarr.Array), name
    return array


def consolidate(place: Place) -> None:
    """Consolidate the metadata, which marks a store as complete; a snapshot always is."""
    if place.has_snapshots:
        return
    if zarr.open_group(place.store, mode="r").metadata.consolidated_metadata is None:
        with allow_texts():
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            zarr.consolidate_metadata(place.store)


def is_finished(place: Place) -> bool:
    """Return whether the last call that wrote a store came to its end."""
    if place.has_snapshots:  # in a session, that of a call that failed may be uncommitted
        return GROWING not in place.group().attrs
    return zarr.open_group(place.store, mode="r").metadata.consolidated_metadata is not None


def restore_metadata(place: Place) -> None:
    """Rewrite metadata of arrays that differ from their consolidated copy."""
    for name, metadata in _consolidated(place).items():
        key = f"{name}/{METADATA}"
        try:
            intact = json.loads(place.read(key) or b"") == metadata
        except ValueError:
            intact = False
        if not intact:
            place.write(key, json.dumps(metadata, indent=2).encode())


def metadata_faults(place: Place) -> dict[str, str]:
    """Return by key what is wrong with the metadata of arrays: missing or unreadable.

    Metadata that differ from their consolidated copy count as unreadable.
    """
    consolidated = _consolidated(place)
    faults = {}
    for name in place.array_names() | consolidated.keys():
        key = f"{name}/{METADATA}"
        content = place.read(key)
        try:
            metadata = None if content is None else json.loads(content)
        except ValueError:
            metadata = None
        if metadata is None or metadata != consolidated.get(name, metadata):
            faults[key] = "missing" if content is None else "unreadable"
    return faults


def has_shards(place: Place) -> bool:
    """Return whether an array is divided into shards, or none can be read."""
    known = _consolidated(place)
    readable = False
    for name in sorted(known or place.array_names()):
        try:
            metadata = known.get(name) or json.loads(place.read(f"{name}/{METADATA}") or b"")
            codecs = [codec["name"] for codec in cast(Any, metadata)["codecs"]]
        except (ValueError, KeyError, TypeError):
            continue
        readable = True
        if "sharding_indexed" in codecs:
            return True
    return not readable


def _consolidated(place: Place) -> dict[str, object]:
    """Return the consolidated metadata of each array; empty if there are none."""
    root = json.loads(place.read(METADATA) or b"{}")
    return dict((root.get("consolidated_metadata") or {}).get("metadata", {}))
