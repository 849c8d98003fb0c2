"""Sources of training data: variables of one or several files on one grid, split by time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse

from flexclim.cf.times import seconds_of
from flexclim.errors import RecipeError
from flexclim.grids.axes import find_axes
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Kind
from flexclim.grids.grid import Grid
from flexclim.grids.operators import axis_blocks
from flexclim.train.data import series as kinds
from flexclim.train.data.opening import open_datasets
from flexclim.train.data.series import (
    Averaged,
    Computed,
    Difference,
    Joined,
    Limited,
    Memory,
    Plain,
    Series,
)
from flexclim.train.recipes.data_settings import Derived, Reading

SMALL = 1e8  # values of a variable that are read once; of more, windows are read as they come

YEAR = r"\d{4}"


@dataclass(frozen=True)
class Fields:
    """Variables on one grid.

    Parameters
    ----------
    title
        Their path, for messages.
    series
        By name.
    template
        (y, x) field with the coordinates of the grid and no values of use.
    attributes
        Attributes of each variable, by name.
    times
        (time,) values of the time coordinate, or whole numbers where there is none.
    """

    title: str
    series: dict[str, Series]
    template: xr.DataArray
    attributes: dict[str, dict[str, object]]
    times: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """(time,) whether all variables can be read."""
        known: np.ndarray = np.logical_and.reduce([part.usable for part in self.series.values()])
        return known

    def grid(self, kind: Kind | None = None) -> Grid:
        """Return the grid, found from the coordinates."""
        return find_grid(self.template, kind)

    def named(self, name: str) -> xr.DataArray:
        """Return a field without values that has a variable's name and attributes."""
        return xr.DataArray(0.0, name=name, attrs=self.attributes[name])


def open_fields(reading: Reading, folder: str, names: Sequence[str]) -> Fields:
    """Open the named variables of a source; only coordinates are read.

    Raises
    ------
    RecipeError
        If a file can't be read, a variable is missing, or they do not fit together.
    """
    title = reading.title
    datasets = [_prepared(dataset, reading, title) for dataset in open_datasets(reading, folder)]
    stored = list(dict.fromkeys(part for name in names for part in _needed(name, reading)))
    templates, times = [], []
    parts: dict[str, list[Series]] = {name: [] for name in stored}
    for dataset in datasets:
        for name in stored:
            plain, template, stamps = _plain(dataset, name, title, reading)
            parts[name].append(plain)
            templates.append(template)
        times.append(stamps)
    _check_grids(templates, title)
    joined = np.concatenate(times) if len(datasets) > 1 else times[0]
    if len(datasets) > 1 and joined.dtype.kind == "i":
        joined = np.arange(joined.size)
    attributes = {name: dict(datasets[0][name].attrs) for name in stored}
    series: dict[str, Series] = {}
    for name in stored:
        one = parts[name][0] if len(datasets) == 1 else Joined(parts[name])
        series[name] = _repaired(one, name, reading, joined, title)
    for name in names:
        if name in reading.derive:
            series[name], attributes[name] = _derived(reading.derive[name], series)
            series[name] = _limited(series[name], reading.largest_of(name))
    chosen = {name: series[name] for name in names}
    template = templates[0]
    if reading.coarsen > 1:
        template, rows, columns = _averaged(template, reading.coarsen, title)
        chosen = {n: Averaged(one, rows, columns) for n, one in chosen.items()}
    return Fields(title, chosen, template, attributes, joined)


def in_memory(fields: Fields, times: np.ndarray) -> tuple[dict[str, Series], np.ndarray]:
    """Read small variables once.

    Returns
    -------
    series, times
        To read from, and the indices there that stand for ``times``.
    """
    if times.size * fields.template.size >= SMALL:
        return fields.series, times
    loaded: dict[str, Series] = {
        name: Memory(part.read_all(times)) for name, part in fields.series.items()
    }
    return loaded, np.arange(times.size)


def select_times(
    times: np.ndarray, usable: np.ndarray, period: tuple[str, str], title: str
) -> np.ndarray:
    """Return the indices of the times of a period, both ends included.

    Parameters
    ----------
    period
        Dates or parts of dates such as ``2018-10``, or counts of times. Two whole numbers are
        counts, but where a source has dates two of four digits are years (``01000`` is a count).

    Raises
    ------
    RecipeError
        If there is none.
    """
    hint = ""
    if _are_counts(period, times, title):
        first, last = map(int, period)
        chosen = np.arange(times.size)[first : last + 1 or None]
    else:
        if all(re.fullmatch(YEAR, part) for part in period):
            hint = f" Four digits are a year; 0{period[0]} is a count."
        order = np.argsort(times, kind="stable")
        counts = xr.DataArray(order, dims="time", coords={"time": times[order]})
        try:
            chosen = np.sort(counts.sel(time=slice(*period)).values)
        except (KeyError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise RecipeError(f"{period[0]} to {period[1]} is no period: {reason}{hint}") from None
    chosen = chosen[usable[chosen]]
    if chosen.size == 0:
        raise RecipeError(
            f"{title} has no time from {period[0]} to {period[1]}; it runs from {times.min()} "
            f"to {times.max()}, {times.size} times in all.{hint}"
        )
    return chosen


def _are_counts(period: tuple[str, str], times: np.ndarray, title: str) -> bool:
    """Say whether a period counts times rather than dating them."""
    counts = [re.fullmatch(r"-?\d+", part) is not None for part in period]
    if times.dtype.kind == "i":
        if all(counts):
            return True
        raise RecipeError(
            f"{title} has no times; give splits as counts, such as ['0', '{times.size - 1}']."
        )
    years = [re.fullmatch(YEAR, part) is not None for part in period]
    if all(counts):
        return not all(years)
    for part, count, year in zip(period, counts, years, strict=True):
        if count and not year:
            raise RecipeError(
                f"{period[0]} to {period[1]} is no period of {title}: {part} is a count and the "
                "other a date; give two dates or two counts."
            )
    return False


def apart(times: np.ndarray, training: np.ndarray, other: np.ndarray, gap: str) -> np.ndarray:
    """Return the training times that lie more than ``gap`` away from all ``other`` ones.

    Parameters
    ----------
    times
        (time,) of the source.
    training, other
        Indices into them.
    gap
        A duration; where times are counted, only shared ones are left out.
    """
    if times.dtype.kind == "i":
        return training[~np.isin(training, other)]
    try:
        width = pd.Timedelta(gap)
    except ValueError:
        raise RecipeError(f"data.gap = {gap!r} is no duration such as 6h or 2D.") from None
    seconds = seconds_of(times)
    reference = np.sort(seconds[other])
    right = np.searchsorted(reference, seconds[training])
    near = np.full(training.size, np.inf)
    for side in (right - 1, right):
        found = reference[np.clip(side, 0, reference.size - 1)]
        near = np.minimum(near, np.abs(found - seconds[training]))
    return training[near > width.total_seconds()]


def _prepared(dataset: xr.Dataset, reading: Reading, title: str) -> xr.Dataset:
    """Rename and select."""
    if absent := [name for name in reading.rename if name not in dataset.variables]:
        raise _missing(absent[0], dataset, title)
    dataset = dataset.rename(reading.rename)
    for dim, value in reading.select.items():
        if dim not in dataset.dims:
            known = ", ".join(map(str, dataset.dims))
            raise RecipeError(f"{title} has no dimension {dim!r} to select from; it has {known}.")
        try:
            dataset = dataset.sel({dim: value})
        except (KeyError, ValueError):
            known = ", ".join(map(str, dataset[dim].values[:12]))
            raise RecipeError(f"{title} has no {dim} {value}; it has {known}.") from None
    return dataset


def _needed(name: str, reading: Reading) -> tuple[str, ...]:
    """Return the stored variables that a name is made of."""
    derived = reading.derive.get(name)
    if derived is None:
        return (name,)
    return derived.wind_speed or derived.kinetic_energy or ()


def _plain(
    dataset: xr.Dataset, name: str, title: str, reading: Reading
) -> tuple[Plain, xr.DataArray, np.ndarray]:
    """Return a variable as (time, y, x), a template of its grid, and its times."""
    if name not in dataset.variables:
        raise _missing(name, dataset, title, reading)
    field = _once_around(dataset[name])
    grid = find_grid(field)
    rest = [dim for dim in field.dims if dim not in (grid.y, grid.x)]
    long = [dim for dim in rest if field.sizes[dim] > 1]
    time = next((dim for dim in rest if str(dim) in ("time", "valid_time")), None)
    if time is None:
        time = long[0] if long else rest[0] if rest else None
    if further := [str(dim) for dim in long if dim != time]:
        raise RecipeError(
            f"{name!r} in {title} has a dimension {further[0]!r} of {field.sizes[further[0]]}; "
            f"choose one value with select: {{{further[0]}: ...}}."
        )
    field = field.isel({dim: 0 for dim in rest if dim != time})
    dims = ("time" if time is None else time, grid.y, grid.x)
    variable = (field.expand_dims("time") if time is None else field).variable.transpose(*dims)
    coordinate = field.coords.get(time) if time is not None else None
    times = np.arange(variable.shape[0]) if coordinate is None else coordinate.values
    if times.dtype.kind not in "MO":
        times = np.arange(variable.shape[0])
    # One value stands for all: coordinates are what counts.
    shape = variable.shape[1:]
    positions = {
        key: part.variable
        for key, part in field.coords.items()
        if part.ndim and set(part.dims) <= {grid.y, grid.x}
    }
    template = xr.DataArray(
        np.broadcast_to(np.float32(0), shape), positions, (grid.y, grid.x), name=name
    )
    return Plain(variable, name, title), template, times


def _once_around(field: xr.DataArray) -> xr.DataArray:
    """Leave out a last column that repeats the first one, 360 degrees on."""
    axes = find_axes(field)
    if not (axes.geographic and axes.x_name) or field[axes.x_name].dtype.kind not in "fi":
        return field
    first, last = field[axes.x_name].values[[0, -1]]
    return field.isel({axes.x: slice(-1)}) if abs(abs(last - first) - 360) < 1e-3 else field


def _repaired(series: Series, name: str, reading: Reading, times: np.ndarray, title: str) -> Series:
    if name in reading.accumulated:
        if times.dtype.kind != "M":
            raise RecipeError(f"{name!r} in {title} accumulates, but its times are no dates.")
        series = Difference.of(series, times)
    return _limited(series, reading.largest_of(name))


def _limited(series: Series, largest: float | None) -> Series:
    return series if largest is None else Limited(series, largest)


def _derived(derived: Derived, series: dict[str, Series]) -> tuple[Series, dict[str, object]]:
    if derived.wind_speed:
        function, parts = kinds.wind_speed, derived.wind_speed
        attributes = {"standard_name": "wind_speed", "units": "m s-1"}
    else:
        assert derived.kinetic_energy is not None
        function, parts = kinds.kinetic_energy, derived.kinetic_energy
        attributes = {"long_name": "specific kinetic energy of wind", "units": "m2 s-2"}
    return Computed(function, [series[part] for part in parts]), dict(attributes)


def _averaged(
    template: xr.DataArray, side: int, title: str
) -> tuple[xr.DataArray, sparse.csr_array, sparse.csr_array]:
    """Return the template of block means, and the shares of stored rows and columns in them.

    Blocks of points are centred on every ``side``-th point. What a side leaves over at the ends
    is cut off.
    """
    domain = find_grid(template).domain
    kind, point = domain.kind, domain.kind == "point"
    ends = int(point), int(point and not domain.wrap)
    blocks = [(size - end) // side for size, end in zip(template.shape, ends, strict=True)]
    if min(blocks) < 1:
        raise RecipeError(f"{title} has {template.shape} {kind}s, too few to coarsen by {side}.")
    height, width = (count * side + end for count, end in zip(blocks, ends, strict=True))
    template = template[:height, :width]
    grid = find_grid(template, kind)
    area = np.ones(height) if grid.row_area is None else grid.row_area
    stored = area[::-1] if grid.flip_y else area
    rows = axis_blocks(height, side, point=point, wrap=False)
    columns = axis_blocks(width, side, point=point, wrap=grid.domain.wrap)
    if point:
        coarse = template[::side, ::side]
    else:
        means: Any = template.coarsen(dict.fromkeys(template.dims, side))
        coarse = means.mean()
    return coarse, rows @ sparse.diags_array(stored), columns


def _check_grids(templates: list[xr.DataArray], title: str) -> None:
    first = templates[0]
    for other in templates[1:]:
        same = other.sizes == first.sizes and all(
            np.allclose(first[name], other[name])
            for name in first.coords
            if name in other.coords and first[name].ndim == 1
        )
        if not same:
            raise RecipeError(
                f"{first.name!r} and {other.name!r} of {title} lie on different grids, "
                f"{dict(first.sizes)} and {dict(other.sizes)}; give them as sources of their own."
            )


def _missing(
    name: str, dataset: xr.Dataset, title: str, reading: Reading | None = None
) -> RecipeError:
    known = [str(key) for key in dataset.data_vars]
    known += list(reading.derive) if reading else []
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known[:12])}."
    return RecipeError(f"{title} has no variable {name!r}; {hint}")
