"""The files, stores and URLs of a source, opened lazily as datasets."""

from __future__ import annotations

import glob
import re
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.stores.datasets import undecodable_times
from flexclim.stores.grib import grib_options, is_grib
from flexclim.train.data.turbulence import simulate
from flexclim.train.recipes.source_settings import Bare, Reading


def open_datasets(reading: Reading, folder: str) -> dict[str, xr.Dataset]:
    """Open all files of a source, by name, without dask, as windows are read one by one.

    Simulates the flows of a source of turbulence.

    Parameters
    ----------
    reading
        Its ``path`` may be one file, store or URL, a glob, or a list of them.
    folder
        Folder that relative paths start from.

    Raises
    ------
    RecipeError
        If one does not exist, cannot be read, or is listed twice.
    """
    if reading.turbulence:
        return {reading.title: simulate(reading.turbulence)}
    given = (reading.path,) if isinstance(reading.path, str) else reading.path
    paths = [path for part in given for path in _expanded(part, folder, reading.storage)]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise RecipeError(f"{twice[0]} is listed twice; list each file once.")
    names = [path.rstrip("/").rpartition("/")[2] for path in paths]
    if len(set(names)) < len(names):
        names = paths
    if len(paths) == 1:
        names = [reading.title]
    return {name: open_dataset(path, reading) for name, path in zip(names, paths, strict=True)}


def open_dataset(path: str, reading: Reading) -> xr.Dataset:
    """Open one NetCDF or HDF5 file or Zarr store, by path or URL."""
    remote = _is_url(path)
    if not remote and not Path(path).exists():
        raise RecipeError(
            f"{path} is not there; set data.folder (or FLEXCLIM_DATA) to the folder that holds it."
        )
    try:
        if _is_zarr(path):
            options = reading.storage if remote else None
            opening = partial(xr.open_zarr, path, storage_options=options, decode_timedelta=False)
        else:
            file = _local(path, reading.storage)
            options = grib_options(file) if is_grib(file) else {}
            opening = partial(xr.open_dataset, file, decode_timedelta=False, **options)
        dataset = _opened(opening)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300].partition(". Consider")[0]
        raise RecipeError(f"{path} can't be opened: {reason}") from None
    if reading.bare:
        dataset = _labelled(dataset, reading.bare, path)
    return dataset


def _opened(opening: Callable[..., xr.Dataset]) -> xr.Dataset:
    """Open without dask; times in units that no calendar knows, such as months, stay numbers."""
    with warnings.catch_warnings():
        # Stores without consolidated metadata only take longer to open.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            return opening(chunks=None)
        except ValueError:
            if not (undecodable := undecodable_times(opening)):
                raise
            return opening(chunks=None, decode_times=dict.fromkeys(undecodable, False))


def _expanded(path: str, folder: str, storage: Mapping[str, object]) -> list[str]:
    """Return the sorted paths or URLs that match a path or glob."""
    wild = any(sign in path for sign in "*?[")
    if not _is_url(path):
        whole = Path(folder) / path
        pattern = str(Path(glob.escape(folder)) / path)
        found = sorted(glob.glob(pattern)) if wild and not whole.exists() else [str(whole)]
        path = str(whole)
    elif wild:
        import fsspec

        system, inner = fsspec.core.url_to_fs(path, **storage)
        found = sorted(system.unstrip_protocol(part) for part in system.glob(inner))
    else:
        found = [path]
    if not found:
        raise RecipeError(
            f"no file matches {path}; set data.folder (or FLEXCLIM_DATA) to the folder that "
            "holds them."
        )
    return found


def _is_url(path: str) -> bool:
    return "://" in path or "::" in path


def _is_zarr(path: str) -> bool:
    places = [PurePosixPath(link) for link in path.split("::")]
    parts = [part for place in places for part in (place, *place.parents)]
    if any(re.search(r"\.zarr(-\w+|\.zip)?$", part.name) for part in parts):
        return True
    return any((Path(path) / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def _local(path: str, storage: Mapping[str, object]) -> str:
    """Return a local path of a file; a remote file is downloaded once."""
    if not _is_url(path):
        return path
    import fsspec

    protocol = path.partition("://")[0]
    return str(fsspec.open_local(f"simplecache::{path}", **{protocol: storage}))


def _labelled(dataset: xr.Dataset, bare: Bare, path: str) -> xr.Dataset:
    """Add names and coordinates to a bare array (time, [channel,] y, x)."""
    if bare.dataset not in dataset:
        known = ", ".join(map(str, dataset.data_vars)) or "none"
        raise RecipeError(f"{path} has no array {bare.dataset!r}; it has {known}.")
    array = dataset[bare.dataset].variable
    if array.ndim not in (3, 4):
        raise RecipeError(
            f"{bare.dataset!r} in {path} has shape {array.shape}; it should be (time, y, x) or "
            "(time, channel, y, x)."
        )
    count = array.shape[1] if array.ndim == 4 else 1
    if count != len(bare.channels):
        raise RecipeError(
            f"{bare.dataset!r} in {path} has {count} channels; bare.channels names "
            f"{len(bare.channels)}."
        )
    names = ("latitude", "longitude") if bare.latitude else ("y", "x")
    fields = {}
    for index, name in enumerate(bare.channels):
        field = array[:, index] if array.ndim == 4 else array
        # HDF5 axes of equal length share one unnamed dimension, so `rename` fails, and `.data`
        # would read the whole array.
        fields[name] = xr.Variable(("time", *names), field._data)
    times, height, width = fields[bare.channels[0]].shape
    coordinates: dict[str, np.ndarray | pd.DatetimeIndex] = dict(
        zip(names, _plane(bare, height, width), strict=True),
    )
    if bare.start:
        coordinates["time"] = pd.date_range(bare.start, periods=times, freq=bare.every)
    return xr.Dataset(fields, coordinates)


def _plane(bare: Bare, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    if bare.latitude and bare.longitude:
        return np.linspace(*bare.latitude, height), np.linspace(*bare.longitude, width)
    # Rows are stored from the top down.
    return -np.arange(float(height)), np.arange(float(width))
