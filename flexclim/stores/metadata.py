"""Metadata of a store: written from a dataset, consolidated, restored where damaged."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, cast

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
import zarr
from zarr.abc.buffer import Buffer
from zarr.storage import MemoryStore

from flexclim.cf.custom_indexes import pandas_indexes
from flexclim.cf.encodings import FIELD_COMPRESSOR, encodings, zarr2_codec
from flexclim.errors import StoreError
from flexclim.stores.formats import CONSOLIDATED, ZARR2, format_of
from flexclim.stores.layout import Layout
from flexclim.stores.place import Place, ZarrArray

# Attribute of the root group while the store is extended.
GROWING = "flexclim_growing"


def small_files(
    ds: xr.Dataset, layouts: Mapping[str, Layout], zarr_format: Literal[2, 3]
) -> dict[str, bytes]:
    """Return by key the files of a store that hold metadata or variables that are not lazy.

    Parameters
    ----------
    layouts
        Shards and chunks of the lazy variables.
    """
    check_names(ds)
    ds = with_fixed_texts(ds) if zarr_format == 2 else ds
    encoding = encodings(ds, "zarr" if zarr_format == 3 else "zarr2")
    empty = {}
    for name, layout in layouts.items():
        field = ds[name]
        encoding[name] |= {"chunks": layout.chunks}
        encoding[name] |= (
            {"compressors": zarr2_codec(FIELD_COMPRESSOR)}
            if layout.shards is None
            else {"shards": layout.shards}
        )
        blocks = da.zeros(field.shape, chunks=layout.files, dtype=field.dtype)
        empty[name] = field.variable.copy(data=blocks)
    memory: dict[str, Buffer] = {}
    try:
        with allow_texts():
            ds.assign(empty).to_zarr(
                MemoryStore(memory),
                mode="w-",
                compute=False,
                encoding=encoding,
                zarr_format=zarr_format,
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


def check_names(ds: xr.Dataset) -> None:
    """Raise StoreError if a variable or dimension has a name that is a path in a file or store."""
    for name in {**ds.variables, **ds.sizes}:
        if "/" in str(name):
            raise StoreError(
                f"{name!r} can't be a name in a file or store, where '/' separates groups. "
                f"Rename it with .rename({{{name!r}: ...}})."
            )


def with_fixed_texts(ds: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose texts of variable length, such as those of pandas, have a fixed one.

    In Zarr format 2 the others need a filter, which few libraries know.
    """
    texts = {
        name: variable.astype(str)
        for name, variable in ds.variables.items()
        if variable.dtype == object
        and pd.api.types.infer_dtype(variable.values.ravel(), skipna=False) == "string"
    }
    return ds.assign(texts).set_coords([name for name in texts if name in ds.coords])


def _unwritable(ds: xr.Dataset, error: Exception) -> str:
    """Return which coordinate or attribute can't be written to a store, and what to do."""
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
    owners = {"the dataset": ds.attrs} | {repr(n): one.attrs for n, one in ds.variables.items()}
    for owner, attributes in owners.items():
        for key, value in attributes.items():
            plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
            try:
                json.dumps(plain)
            except TypeError:
                return (
                    f"the attribute {key!r} of {owner} is a {type(plain).__name__}, which a store "
                    "can't hold. Drop it, or convert it to text or numbers."
                )
    return f"the output can't be written to a store: {error}."


def array_of(group: zarr.Group, name: str) -> ZarrArray:
    """Return an array that is known to be in a group."""
    array = group[name]
    assert isinstance(array, zarr.Array), name
    return array


def consolidate(place: Place) -> None:
    """Consolidate the metadata, which marks a store as complete; a snapshot always is."""
    if place.has_snapshots or is_finished(place):
        return
    with allow_texts():
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(place.store, zarr_format=format_of(place).number)


def set_attributes(place: Place, attributes: Mapping[str, Any]) -> None:
    """Set attributes of the root, whose metadata are consolidated no more.

    They are in one file with the attributes in format 3, and go first in format 2: readers find
    the store as it is.
    """
    if format_of(place) is ZARR2:
        place.delete(CONSOLIDATED)
    place.group("r+").update_attributes(dict(attributes))


def is_finished(place: Place) -> bool:
    """Return whether the last call that wrote a store came to its end."""
    if place.has_snapshots:  # in a session, that of a call that failed may be uncommitted
        return GROWING not in place.group().attrs
    return bool(_consolidated(place))


def restore_metadata(place: Place) -> None:
    """Rewrite metadata of arrays that differ from their consolidated copy."""
    for key, metadata in _consolidated(place).items():
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
    consolidated, files = _consolidated(place), format_of(place).array
    keys = {f"{name}/{file}" for name in place.array_names() for file in files}
    faults = {}
    for key in keys | consolidated.keys():
        content = place.read(key)
        try:
            metadata = None if content is None else json.loads(content)
        except ValueError:
            metadata = None
        if metadata is None or metadata != consolidated.get(key, metadata):
            faults[key] = "missing" if content is None else "unreadable"
    if place.read(CONSOLIDATED) is not None and not consolidated:
        faults[CONSOLIDATED] = "unreadable"
    return faults


def has_own_codecs(place: Place) -> bool:
    """Return whether an array is encoded as flexclim does it, or none can be read.

    Shards tell that in format 3, and the compression in format 2, which are not other programs'
    defaults.
    """
    known, file = _consolidated(place), format_of(place).array[0]
    readable = False
    names = {key.partition("/")[0] for key in known} or place.array_names()
    for key in sorted(f"{name}/{file}" for name in names):
        try:
            metadata = cast(Any, known.get(key) or json.loads(place.read(key) or b""))
            own = (
                metadata["compressor"] == FIELD_COMPRESSOR
                if metadata["zarr_format"] == 2
                else "sharding_indexed" in [codec["name"] for codec in metadata["codecs"]]
            )
        except (ValueError, KeyError, TypeError):
            continue
        readable = True
        if own:
            return True
    return not readable


def _consolidated(place: Place) -> dict[str, object]:
    """Return the consolidated metadata of arrays by the key of their file; empty if there are none.

    So it is if the file of format 2 is damaged.
    """
    form = format_of(place)
    if form is ZARR2:
        try:
            copies = dict(json.loads(place.read(CONSOLIDATED) or b"{}").get("metadata", {}))
        except (AttributeError, TypeError, ValueError):
            return {}
        return {key: content for key, content in copies.items() if "/" in key}
    root = json.loads(place.read(form.attributes) or b"{}")
    copies = (root.get("consolidated_metadata") or {}).get("metadata", {})
    return {f"{name}/{form.array[0]}": content for name, content in copies.items()}
