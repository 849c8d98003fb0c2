"""Open input lazily; write NetCDF files that are either complete or absent."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, cast

import xarray as xr
from zarr.abc.store import Store

from flexclim.cf.encodings import encodings
from flexclim.errors import FlexclimError, StoreError
from flexclim.execution.progress import progress_bar
from flexclim.files import PARTIAL, store_errors


def open_input(path: str | os.PathLike[str] | Store) -> xr.Dataset:
    """Open a NetCDF file or a Zarr store lazily.

    Parameters
    ----------
    path
        A path, the URL of a Zarr store that fsspec can open, or a store object of zarr's.

    Raises
    ------
    FlexclimError
        If there is no such file, or it is neither NetCDF nor Zarr.
    """
    remote = isinstance(path, Store) or "://" in str(path)
    if not remote:
        path = Path(cast(str, path))
        if not path.exists():
            raise FlexclimError(f"{path} does not exist. Give a NetCDF file or a Zarr store.")
    engine = "zarr" if remote or Path(cast(str, path)).is_dir() else None
    source = cast(Any, path)
    try:
        with warnings.catch_warnings():
            # Small coordinates are one chunk; an unfinished store has no consolidated metadata.
            warnings.filterwarnings("ignore", message="The specified chunks separate")
            warnings.filterwarnings("ignore", message="Failed to open Zarr store with consolidated")
            with xr.open_dataset(source, chunks=None, engine=engine) as opened:
                blocks = _blocks(opened)
            return xr.open_dataset(source, chunks=blocks, engine=engine)
    # Backends raise many types for a damaged file.
    except Exception as error:
        raise FlexclimError(
            f"{path} can't be opened as NetCDF or Zarr ({_reason(error)}). Give a complete "
            "NetCDF file or Zarr store; convert other formats, such as GRIB, first."
        ) from None


def _blocks(opened: xr.Dataset) -> dict[Any, int]:
    """Return the sizes of dask's chunks: the store's along time, whole shards along y and x.

    One dask chunk per small chunk of the store would be far too many. Empty where there are no
    shards: dask then uses the chunks of the file.
    """
    for field in opened.data_vars.values():
        if shards := field.encoding.get("shards"):
            lead = field.encoding["chunks"][:-2]
            return dict(zip(field.dims, (*lead, *shards[-2:]), strict=True))
    return {}


def _reason(error: Exception) -> str:
    """Return a backend's error in a few words."""
    if "installed IO backends" in str(error) or "valid IO backends" in str(error):
        return "it is neither"
    return shorten(" ".join(str(error).split()), 150, placeholder=" ...") or type(error).__name__


def write_netcdf_files(
    ds: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    split: Literal["member", "year"] | None = None,
    overwrite: bool = False,
    keep_bits: int | None = None,
) -> list[Path]:
    """Compute a dataset and write it to NetCDF files, each completely or not at all.

    Parameters
    ----------
    path
        With ``split``, ``fine.nc`` stands for ``fine_m000.nc`` ... (member) or ``fine_2018.nc``
        ... (year).
    split
        What each file holds; default: everything is in one file.
    keep_bits
        Mantissa bits to keep; default: all.

    Raises
    ------
    StoreError
        If a file exists and ``overwrite`` is False, or one can't be written.
    """
    parts = _parts(ds, Path(path), split)
    for file in parts:
        if file.exists() and not overwrite:
            raise StoreError(f"{file} exists. Give another name, or allow overwriting.")
    encoding = encodings(ds, "netcdf")
    for own in encoding.values():
        if keep_bits is not None and own.get("zlib"):
            own |= {"significant_digits": keep_bits, "quantize_mode": "BitRound"}
    partial = {file: file.with_name(file.name + PARTIAL) for file in parts}
    try:
        with progress_bar(), store_errors(path, ""):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            # In one computation: members in several files share tasks.
            xr.save_mfdataset(
                list(parts.values()), list(partial.values()), engine="netcdf4", encoding=encoding
            )
            for file, left in partial.items():
                with left.open("rb") as written:
                    os.fsync(written.fileno())
                left.replace(file)
    finally:
        for left in partial.values():
            left.unlink(missing_ok=True)
    return list(parts)


def _parts(ds: xr.Dataset, path: Path, split: str | None) -> dict[Path, xr.Dataset]:
    """Return the part of a dataset that each file holds."""
    if split == "member" and "realization" in ds.dims:
        members = ds["realization"].values
        return {
            path.with_stem(f"{path.stem}_m{member:03d}"): ds.isel(realization=[number])
            for number, member in enumerate(members)
        }
    if split == "year" and "time" in ds.dims:
        return {
            path.with_stem(f"{path.stem}_{int(cast(Any, year)):04d}"): part
            for year, part in ds.groupby("time.year")
        }
    if split is not None:
        raise StoreError(f"the field has no {'time' if split == 'year' else 'members'} to split.")
    return {path: ds}
