"""Open input lazily; write NetCDF files that are either complete or absent."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, TypeAlias, cast

import dask
import xarray as xr
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from dask.system import CPU_COUNT
from dask.threaded import ContextAwareThreadPoolExecutor
from zarr.abc.store import Store
from zarr.storage import LocalStore

from flexclim.cf.encodings import encodings
from flexclim.errors import FlexclimError, FlexclimWarning, StoreError
from flexclim.execution.network_tasks import passes_in, runs_of
from flexclim.execution.notes import attributes_of, collecting, warn_of
from flexclim.execution.progress import progress_bar
from flexclim.execution.workers import active_client
from flexclim.files import PARTIAL, replaced_folder, store_errors
from flexclim.stores.grib import ONE_DATASET, grib_options, is_grib
from flexclim.stores.layout import time_coordinate
from flexclim.stores.metadata import allow_texts, check_names, with_fixed_texts
from flexclim.stores.place import Place

# Attribute of an output: mantissa bits that its values keep, if they were rounded.
KEEP_BITS = "flexclim_keep_bits"
# One of them is in the folder of each Zarr store.
ZARR_FILES = "zarr.json", ".zgroup", ".zmetadata", ".zattrs"
Opening: TypeAlias = Callable[..., xr.Dataset]
# Encodings that describe how a file is divided.
CHUNKS = "chunks", "shards", "preferred_chunks", "chunksizes", "contiguous"


def open_input(path: str | os.PathLike[str] | Store) -> xr.Dataset:
    """Open a NetCDF or GRIB file or a Zarr store lazily.

    Chunks of the file are not kept in encodings, so that ``to_zarr`` works without options.

    Parameters
    ----------
    path
        A path, the URL of a Zarr store that fsspec can open, or a store object of zarr's.

    Raises
    ------
    FlexclimError
        If there is no such file, it can't be reached, or it is neither NetCDF, GRIB nor Zarr.

    Warns
    -----
    FlexclimWarning
        If times have units that no calendar knows, such as months: they stay numbers.
    """
    remote = isinstance(path, Store) or "://" in str(path)
    if remote:
        Place(path)  # raises if the server does not answer
    elif not (path := Path(cast(str, path))).exists():
        raise FlexclimError(f"{path} does not exist. Give a NetCDF file or a Zarr store.")
    elif path.is_dir() and not any((path / name).exists() for name in ZARR_FILES):
        raise FlexclimError(f"{path} is a folder, but no Zarr store. Give a file or store in it.")
    grib = not remote and is_grib(cast(str, path))
    options: dict[str, Any] = {}
    if grib:
        options = grib_options(cast(str, path))
    elif remote or Path(cast(str, path)).is_dir():
        options = {"engine": "zarr"}
    opening = partial(xr.open_dataset, cast(Any, path), **options)
    try:
        return _opened(opening)
    # Backends raise many types for a damaged file.
    except Exception as error:
        advice = (
            "Give the URL of a Zarr store; download other formats first."
            if remote
            else "Give a complete NetCDF or GRIB file or Zarr store; convert other formats first."
        )
        if type(error).__name__ == "DatasetBuildError":  # cfgrib's
            raise FlexclimError(f"{path} can't be opened. {ONE_DATASET}.") from None
        raise FlexclimError(
            f"{path} can't be opened as {'GRIB' if grib else 'NetCDF or Zarr'} "
            f"({_reason(error)}). {advice}"
        ) from None


def _opened(opening: Opening) -> xr.Dataset:
    with warnings.catch_warnings():
        # Small coordinates are one chunk; an unfinished store has no consolidated metadata.
        warnings.filterwarnings("ignore", message="The specified chunks separate")
        warnings.filterwarnings("ignore", message="Failed to open Zarr store with consolidated")
        undecodable: dict[str, str] = {}
        try:
            opened = opening(chunks=None)
        except ValueError:
            if not (undecodable := undecodable_times(opening)):
                raise
            opening = partial(opening, decode_times=dict.fromkeys(undecodable, False))
            opened = opening(chunks=None)
        with opened:
            blocks = _blocks(opened)
        result = opening(chunks=blocks)
    for name, units in undecodable.items():
        warnings.warn(
            f"{name!r} is in {units!r}, which can't be decoded to dates, so it stays a number. "
            "Assign dates with .assign_coords where dates matter.",
            FlexclimWarning,
            stacklevel=3,
        )
    for variable in result.variables.values():
        for key in CHUNKS:
            variable.encoding.pop(key, None)
    return result


def undecodable_times(opening: Opening) -> dict[str, str]:
    """Return the units of variables that look like times but can't be decoded, by name."""
    found = {}
    with opening(decode_times=False, chunks=None) as raw:
        for name, variable in raw.variables.items():
            units = str(variable.attrs.get("units", ""))
            if " since " in units:
                try:
                    xr.decode_cf(xr.Dataset({name: variable}))
                except ValueError:
                    found[str(name)] = units
    return found


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


def write_dataset(
    ds: xr.Dataset, path: str, *, overwrite: bool = False, zarr_format: Literal[2, 3] = 3
) -> str:
    """Compute a dataset and write it to a NetCDF file, or to a Zarr store; return its path.

    It is written completely or not at all: a computation that fails leaves what was there before.

    Raises
    ------
    StoreError
        If there is one and ``overwrite`` is False or it is on a server, or it can't be written.
    """
    if not path.rstrip("/").endswith(".zarr"):
        return str(write_netcdf_files(ds, path, overwrite=overwrite)[0])
    check_names(ds)
    place = Place(path)
    if place.path is not None and place.path.is_file():
        raise StoreError(f"{path} is a file, not a store. Give another name.")
    if place.keys():
        if not overwrite:
            raise StoreError(f"{path} exists. Give another name, or allow overwriting.")
        if place.path is None:
            raise StoreError(
                f"{path} exists, and a store on a server can't be replaced in one step. Give "
                "another name, or delete it first."
            )
    with store_errors(path, ""), progress_bar(), allow_texts():
        ds = with_fixed_texts(ds) if zarr_format == 2 else ds
        encoding = encodings(ds, "zarr" if zarr_format == 3 else "zarr2")
        form: Any = {"zarr_format": zarr_format, "consolidated": zarr_format == 2}
        with _whole_store(place) as store:
            _write(ds.to_zarr(store, mode="w", encoding=encoding, compute=False, **form))
    return path


@contextmanager
def _whole_store(place: Place) -> Iterator[Store]:
    """Yield the store to write to; what is written is at the place once it is complete."""
    if place.path is not None:
        with replaced_folder(place.path) as partial:
            yield LocalStore(partial)
        return
    try:
        yield place.store
    except BaseException:
        for key in sorted(place.keys()):
            place.delete(key)
        raise


def _write(writing: Delayed) -> None:
    """Compute; where dask's own threads do it, none of them writes on after an error elsewhere."""
    configured = any(dask.config.get(name, None) for name in ("pool", "scheduler", "num_workers"))
    if configured or active_client() is not None:
        writing.compute()
        return
    with ContextAwareThreadPoolExecutor(CPU_COUNT) as pool:
        writing.compute(pool=pool)


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
    check_names(ds)
    parts = _parts(ds, Path(path), split)
    for file in parts:
        if file.exists() and not overwrite:
            raise StoreError(f"{file} exists. Give another name, or allow overwriting.")
    encoding = encodings(ds, "netcdf")
    if keep_bits is not None:
        for own in encoding.values():
            if own.get("zlib"):
                own |= {"significant_digits": keep_bits, "quantize_mode": "BitRound"}
        parts = {file: p.assign_attrs({KEEP_BITS: keep_bits}) for file, p in parts.items()}
    # Where a file is a link, what it points to is replaced; modes stay.
    places = {file: file.resolve() for file in parts}
    partial = {file: place.with_name(place.name + PARTIAL) for file, place in places.items()}
    try:
        with store_errors(path, ""):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            _save(ds, list(parts.values()), list(partial.values()), encoding)
            for file, left in partial.items():
                with left.open("rb") as written:
                    os.fsync(written.fileno())
                if places[file].exists():
                    shutil.copymode(places[file], left)
                left.replace(places[file])
    finally:
        for left in partial.values():
            left.unlink(missing_ok=True)
    return list(parts)


def _save(
    ds: xr.Dataset,
    parts: list[xr.Dataset],
    paths: list[Path],
    encoding: dict[str, dict[str, object]],
) -> None:
    """Write the parts of a Dataset in one computation: members in several files share tasks."""
    graph = ds.__dask_graph__()
    graph = graph if isinstance(graph, HighLevelGraph) else HighLevelGraph({}, {})
    runs = runs_of(graph)
    client = active_client()
    with (
        progress_bar(partial(passes_in, graph), here=client is None),
        collecting(runs, client) as notes,
    ):
        xr.save_mfdataset(parts, paths, engine="netcdf4", encoding=encoding)
        left = notes()
    if runs and (attributes := attributes_of(left, ds)):
        import netCDF4

        for path in paths:
            with netCDF4.Dataset(path, "a") as file:
                file.setncatts(attributes)
    warn_of(left)


def _parts(ds: xr.Dataset, path: Path, split: str | None) -> dict[Path, xr.Dataset]:
    """Return the part of a dataset that each file holds."""
    if split == "member" and "realization" in ds.dims:
        members = ds["realization"].values
        return {
            path.with_stem(f"{path.stem}_m{member:03d}"): ds.isel(realization=[number])
            for number, member in enumerate(members)
        }
    time = time_coordinate(ds)
    if split == "year" and time is not None:
        if ds[time].isnull().any():
            raise StoreError(f"{time!r} has missing values, which belong to no year. Drop them.")
        return {
            path.with_stem(f"{path.stem}_{int(cast(Any, year)):04d}"): part
            for year, part in ds.groupby(f"{time}.year")
        }
    if split is not None:
        lacking = "dimension of times" if split == "year" else "members"
        raise StoreError(f"the field has no {lacking} to split by {split}. Leave split out.")
    return {path: ds}
