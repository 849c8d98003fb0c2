"""Training data of recipes as one small archive: only what training reads, as 16-bit integers.

Of each file, the times of the training and validation splits and the variables that recipes name
are kept. A field is rounded to a step that is an eighth (by default) of the standard deviation of
differences between neighbouring cells, so that rounding adds 3.6 % of that; static fields to a
quarter of that step. Files that are packed in coarser steps keep theirs. The archive is a `.tar.xz`
of NetCDF files with the names of the originals, so recipes need no change but the folder.
"""

from __future__ import annotations

import lzma
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.train.data.source_fields import open_fields
from flexclim.train.data.source_files import open_dataset
from flexclim.train.data.splits import YEAR, select_times
from flexclim.train.data.time_axis import has_dates
from flexclim.train.recipes.recipe import Recipe
from flexclim.train.recipes.source_settings import Reading, SourceSettings

ARCHIVE = "data.tar.xz"
SMALL = 50_000  # values of a variable that is always kept, as it is
LARGEST, MISSING = 32766, -32768
# Differences of 16-bit integers compress best.
FILTERS: list[dict[str, int]] = [
    {"id": lzma.FILTER_DELTA, "dist": 2},
    {"id": lzma.FILTER_LZMA2, "preset": 6},
]


@dataclass
class Need:
    """What recipes read of one file: variables by name, and all times or (time,) some."""

    reading: Reading
    names: set[str] = field(default_factory=set)
    whole: bool = False
    times: np.ndarray | None = None


def pack(recipes: Sequence[Recipe], folder: Path, precision: float) -> dict[str, tuple[int, int]]:
    """Write the archive of all files that recipes read.

    Parameters
    ----------
    precision
        Steps in the standard deviation of differences between neighbouring cells.

    Returns
    -------
    dict
        Bytes before and after packing, not yet compressed, by file.
    """
    sizes = {}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        for path, (need, origin) in needs(recipes).items():
            packed = Path(place) / path
            packed.parent.mkdir(parents=True, exist_ok=True)
            if need.reading.bare:
                shutil.copy(origin, packed)
            else:
                write(packed, open_dataset(str(origin), need.reading), need, precision)
            sizes[path] = origin.stat().st_size, packed.stat().st_size
        with (
            lzma.open(folder / ARCHIVE, "wb", filters=FILTERS) as stream,
            tarfile.open(fileobj=stream, mode="w") as archive,
        ):
            archive.add(place, arcname=".")
    return sizes


def unpack(folder: Path, into: Path) -> None:
    """Extract the archive, unless that was done before."""
    if not into.is_dir():
        partial = into.with_name(f".{into.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        with tarfile.open(folder / ARCHIVE, "r:xz") as archive:
            archive.extractall(partial, filter="data")
        partial.rename(into)


def needs(recipes: Sequence[Recipe]) -> dict[str, tuple[Need, Path]]:
    """Return what is needed of each file, and where it lies, by its path in the data folder.

    Raises
    ------
    RecipeError
        If a source is no file in the data folder.
    """
    found: dict[str, tuple[Need, Path]] = {}
    for recipe in recipes:
        words, folder = set(words_of(recipe.data.model_dump())), Path(recipe.data.folder)
        statics = {recipe.data.static_file, *(one.static_file for one in recipe.data.sources)}
        for path in sorted(statics - {""}):
            need, _ = found.setdefault(path, (Need(Reading(path=path)), folder / path))
            need.names |= words
            need.whole = True
        for source in recipe.data.sources:
            for reading in filter(None, (source, source.coarse)):
                for path, origin in files_of(reading, folder):
                    need, _ = found.setdefault(path, (Need(reading), origin))
                    need.names |= words
                    add_times(need, reading, source, recipe)
    return found


def files_of(reading: Reading, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a source, each with its path in the data folder."""
    patterns = (reading.path,) if isinstance(reading.path, str) else reading.path
    for pattern in filter(None, patterns):
        paths = [] if "://" in pattern or Path(pattern).is_absolute() else folder.glob(pattern)
        origins = sorted(path for path in paths if path.is_file())
        if not origins:
            raise RecipeError(f"{pattern} is no file in {folder}; only such files are packed.")
        for origin in origins:
            yield str(origin.relative_to(folder)), origin


def words_of(values: Any) -> Iterator[str]:
    """Yield all texts in nested settings, names of variables among them."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict):
        for key, value in values.items():
            yield from words_of(key)
            yield from words_of(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from words_of(value)


def add_times(need: Need, reading: Reading, source: SourceSettings, recipe: Recipe) -> None:
    """Add the times of both splits of a source; all where other times may be read with them."""
    data = recipe.data
    names = source.variables or tuple(part.name for part in (*data.inputs, *data.all_targets))
    periods = [period for period in (source.train, source.validate_) if period]
    several = not isinstance(reading.path, str) or "*" in reading.path
    from_the_end = any(part.startswith("-") for period in periods for part in period)
    linked = source.coarse or reading.accumulated or reading.bare
    if need.whole or several or from_the_end or linked:
        need.whole = True
        return
    times = open_fields(reading, data.folder, names[:1]).times
    usable = np.ones(times.size, bool)
    if need.times is None:
        need.times = ~usable
    for period in periods:
        chosen = select_times(times, usable, period, reading.title)
        # Where a split is of indices, all times up to it are kept, so that they stay the same.
        need.times[chosen if dated(period, times) else slice(chosen.max() + 1)] = True


def dated(period: tuple[str, str], times: np.ndarray) -> bool:
    """Return whether a split is of dates; two whole numbers are indices, of four digits years."""
    whole = all(re.fullmatch(r"-?\d+", part) for part in period)
    return has_dates(times) and (not whole or all(re.fullmatch(YEAR, part) for part in period))


def write(path: Path, dataset: xr.Dataset, need: Need, precision: float) -> None:
    """Write the needed part of a dataset as NetCDF-3, large fields as 16-bit integers."""
    large = {name for name, one in dataset.variables.items() if one.size > SMALL}
    dataset = dataset.drop_vars(
        [name for name in large if name in dataset.data_vars and name not in need.names]
    )
    chosen = None if need.whole else need.times
    fields = [name for name in dataset.data_vars if name in large]
    if chosen is not None and fields:
        dims = dataset[fields[0]].dims
        time = next(dim for dim in dims if dataset.sizes[dim] == chosen.size)
        dataset = dataset.isel({time: np.flatnonzero(chosen)})
    encoding: dict[str, dict[str, Any]] = {}
    for name, one in dataset.variables.items():
        times = {key: one.encoding[key] for key in ("units", "calendar") if key in one.encoding}
        encoding[str(name)] = times
    for name in fields:
        own, static = dataset[name], dataset[name].ndim < 3
        step = step_of(own, 4 * precision if static else precision)
        encoding[str(name)] = {"dtype": "int16", "scale_factor": step, "_FillValue": MISSING}
    for one in dataset.variables.values():
        one.encoding = {}
    dataset.encoding = {}
    dataset.to_netcdf(path, engine="scipy", format="NETCDF3_64BIT", encoding=encoding)


def step_of(values: xr.DataArray, precision: float) -> np.float32:
    """Return the step to which a field (time, ..., y, x) or (y, x) is rounded."""
    planes = values if values.ndim > 2 else values.expand_dims("plane")
    sample = np.asarray(planes[:: max(1, len(planes) // 8)].values, float)
    step = float(np.nanstd(np.diff(sample, axis=-1))) / precision
    own = float(values.encoding.get("scale_factor", 0.0))
    if step < own and not values.encoding.get("add_offset"):
        step = own
    largest = max(float(np.nanmax(np.abs(plane.values), initial=0.0)) for plane in planes)
    return np.float32(max(step, largest / LARGEST * (1 + 1e-6))) or np.float32(1)
