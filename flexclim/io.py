"""Open fields lazily; write NetCDF files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import shorten
from typing import Any, cast

import xarray as xr
from zarr.abc.store import Store

from flexclim.cf import encodings
from flexclim.errors import FlexclimError, StoreError
from flexclim.files import PARTIAL, store_errors
from flexclim.progress import progress_bar


def open_input(path: str | os.PathLike[str] | Store) -> xr.Dataset:
    """Open a NetCDF file or a Zarr store; values are read when they are needed.

    Parameters
    ----------
    path
        A path, the URL of a Zarr store that fsspec knows, or a store of zarr's own.

    Raises
    ------
    FlexclimError
        If there is no such file, or it is neither.
    """
    remote = isinstance(path, Store) or "://" in str(path)
    if not remote:
        path = Path(cast(str, path))
        if not path.exists():
            raise FlexclimError(f"{path} does not exist. Give a NetCDF file or a Zarr store.")
    engine = "zarr" if remote or Path(cast(str, path)).is_dir() else None
    source = cast(Any, path)
    try:
        opened = xr.open_dataset(source, chunks=None, engine=engine)
        return xr.open_dataset(source, chunks=_blocks(opened), engine=engine)
    # Backends raise many kinds for a damaged file.
    except Exception as error:
        raise FlexclimError(
            f"{path} can't be opened as NetCDF or Zarr ({_reason(error)}). Give a complete "
            "NetCDF file or Zarr store; convert other formats, such as GRIB, first."
        ) from None


def _blocks(opened: xr.Dataset) -> dict[Any, int]:
    """Return sizes of dask's blocks: chunks along time, whole shards in the plane.

    One block for each small chunk would be many times too many. Empty: as they are stored.
    """
    for field in opened.data_vars.values():
        if shards := field.encoding.get("shards"):
            lead = field.encoding["chunks"][:-2]
            return dict(zip(field.dims, (*lead, *shards[-2:]), strict=True))
    return {}


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
        with progress_bar(), store_errors(path, ""):
            ds.to_netcdf(partial, engine="netcdf4", encoding=encodings(ds, "netcdf"))
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
