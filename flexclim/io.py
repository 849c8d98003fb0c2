"""Open fields lazily; write ensembles chunk by chunk, so that an interrupted run can go on.

A work item is one chunk of one variable, written whole by one task. Metadata is written once. An
item is done when its file is there: files appear under their names only when they are complete.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any, cast

import dask
import numpy as np
import xarray as xr
import zarr
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from filelock import FileLock, Timeout
from zarr.storage import LocalStore

from flexclim.cf import encodings
from flexclim.errors import FlexclimError, StoreError
from flexclim.files import PARTIAL
from flexclim.progress import progress_bar

PLAN, PLAN_SHA256 = "flexclim_plan", "flexclim_plan_sha256"
AGAIN = " Make room and call again to continue."
Index = tuple[int, ...]


def open_input(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a NetCDF file or a Zarr store; values are read when they are needed.

    Raises
    ------
    FlexclimError
        If there is no such file, or it is neither.
    """
    path = Path(path)
    if not path.exists():
        raise FlexclimError(f"{path} does not exist. Give a NetCDF file or a Zarr store.")
    try:
        return xr.open_dataset(path, chunks={}, engine="zarr" if path.is_dir() else None)
    # Backends raise many kinds for a damaged file.
    except Exception as error:
        raise FlexclimError(
            f"{path} can't be opened as NetCDF or Zarr ({_reason(error)}). Give a complete "
            "NetCDF file or Zarr store; convert other formats, such as GRIB, first."
        ) from None


def _reason(error: Exception) -> str:
    """Return a backend's complaint in a few words."""
    if "installed IO backends" in str(error) or "valid IO backends" in str(error):
        return "it is neither"
    return shorten(" ".join(str(error).split()), 150, placeholder=" ...") or type(error).__name__


def write_netcdf(ds: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a NetCDF file, all of it or nothing, computing what is lazy.

    Raises
    ------
    StoreError
        If the file exists and ``overwrite`` is False, or it can't be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise StoreError(f"{path} exists. Give another name, or say that it may be overwritten.")
    partial = path.with_name(path.name + PARTIAL)
    try:
        with progress_bar(), _as_store_errors(path, ""):
            ds.to_netcdf(partial, engine="netcdf4", encoding=encodings(ds, "netcdf"))
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def write_store(ds: xr.Dataset, store: str | os.PathLike[str], plan: Mapping[str, Any]) -> Path:
    """Write a lazy dataset into a Zarr store, or go on with what an earlier call left.

    Parameters
    ----------
    ds
        Described by :func:`flexclim.cf.describe`. The dask chunks of its variables are the work
        items; what is not lazy is written at once.
    store
        A folder. It must not exist, or have been begun by the same plan. ``STORE.lock`` beside it
        keeps out a second writer.
    plan
        All that decides the values, by name; numbers, texts, lists and dicts of them. It is kept
        in the attributes of the store.

    Returns
    -------
    Path
        The store, complete.

    Raises
    ------
    StoreError
        If the store is of another plan, of somebody else, being written, or can't be written.
    """
    path = Path(store).absolute()
    wanted: dict[str, Any] = json.loads(json.dumps(plan))
    ds = _with_small_parts_loaded(ds)
    with _locked(path):
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            _check_same(ds, path, wanted)
            _sweep(path)
        else:
            with _as_store_errors(path, ""):
                _create(ds, path, wanted)
        if writes := _missing_writes(ds, path):
            with progress_bar():
                dask.compute(*writes)
        _consolidate(path)
    return path


def missing_items(ds: xr.Dataset, store: Path) -> dict[str, list[Index]]:
    """Return the chunks that are not in the store yet, by variable."""
    missing = {}
    for name in _lazy_names(ds):
        array = zarr.open_array(store, path=name, mode="r")
        missing[name] = [
            index
            for index in itertools.product(*map(range, ds[name].data.numblocks))
            if not (store / name / array.metadata.encode_chunk_key(index)).exists()
        ]
    return missing


def write_chunk(block: np.ndarray, target: zarr.Array, index: Index) -> None:
    """Write one whole chunk."""
    region = tuple(
        slice(i * side, min((i + 1) * side, size))
        for i, side, size in zip(index, target.chunks, target.shape, strict=True)
    )
    # Two tasks that share a chunk would lose data silently.
    assert block.shape == tuple(part.stop - part.start for part in region), (block.shape, region)
    with _as_store_errors(cast(LocalStore, target.store).root, AGAIN):
        target[region] = block


def _missing_writes(ds: xr.Dataset, path: Path) -> list[Delayed]:
    """Return one lazy write a variable, of the chunks that are not there."""
    writes = []
    for name, indices in missing_items(ds, path).items():
        if not indices:
            continue
        array = ds[name].data
        # A chunk of NaN must leave a file too: the file says that it is done.
        target = zarr.open_array(path, path=name, mode="r+").with_config(
            {"write_empty_chunks": True}
        )
        key = f"write-{array.name}"
        tasks: dict[Any, Any] = {
            (key, *index): (write_chunk, (array.name, *index), target, index) for index in indices
        }
        done = f"written-{array.name}"
        tasks[done] = (len, list(tasks))
        graph = HighLevelGraph.from_collections(done, tasks, dependencies=[array])
        writes.append(Delayed(done, graph))
    return writes


def _create(ds: xr.Dataset, path: Path, plan: dict[str, Any]) -> None:
    """Write metadata and all that is not lazy, under another name first."""
    encoding = encodings(ds, "zarr")
    for name in _lazy_names(ds):
        sides = ds[name].data.chunks
        regular = all(len(set(s[:-1])) <= 1 and s[-1] <= s[0] for s in sides)
        assert regular, f"{name} has chunks of different sizes: {sides}"
        encoding[name]["chunks"] = tuple(s[0] for s in sides)
    partial = path.with_name(path.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    ds = ds.assign_attrs({PLAN: json.dumps(plan, sort_keys=True), PLAN_SHA256: _digest(plan)})
    try:
        ds.to_zarr(
            partial,
            mode="w-",
            compute=False,
            encoding=encoding,
            zarr_format=3,
            consolidated=False,
            write_empty_chunks=True,
        )
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_same(ds: xr.Dataset, path: Path, plan: dict[str, Any]) -> None:
    """Refuse a store that this plan did not begin."""
    try:
        group = zarr.open_group(path, mode="r", use_consolidated=False)
        begun = json.loads(str(group.attrs[PLAN]))
    except Exception:  # zarr raises many kinds for a folder that is no store
        raise StoreError(
            f"{path} exists and flexclim did not begin it. Give another name."
        ) from None
    if differing := sorted(
        key for key in begun.keys() | plan.keys() if begun.get(key) != plan.get(key)
    ):
        told = "; ".join(
            f"{key} {_short(begun.get(key))}, not {_short(plan.get(key))}" for key in differing[:4]
        )
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise StoreError(
            f"{path} was begun with {told}{more}. Ask for the same to continue, or give another "
            "name."
        )
    for name in _lazy_names(ds):
        array = group.get(name)
        if not isinstance(array, zarr.Array) or array.shape != ds[name].shape:
            raise StoreError(f"{path} lacks {name!r} or has it in another shape; it is damaged.")


def _consolidate(path: Path) -> None:
    group = zarr.open_group(path, mode="r")
    if group.metadata.consolidated_metadata is None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            zarr.consolidate_metadata(path)


def _sweep(path: Path) -> None:
    """Remove what killed writers left."""
    for left in path.rglob(f"*{PARTIAL}"):
        left.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(f"{path}.lock")
    with _as_store_errors(path, ""):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(f"{path} is being written by another process. Wait for it.") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _as_store_errors(path: Path, advice: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror or error}.{advice}") from error


def _lazy_names(ds: xr.Dataset) -> list[str]:
    return [str(name) for name, field in ds.data_vars.items() if field.chunks]


def _with_small_parts_loaded(ds: xr.Dataset) -> xr.Dataset:
    """Compute lazy coordinates; they are written at once."""
    return ds.assign_coords({name: coord.compute() for name, coord in ds.coords.items()})


def _digest(plan: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
