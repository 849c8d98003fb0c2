"""Variables on one grid, from one file or several that follow each other in time."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import sparse

from flexclim.cf.auxiliary_variables import auxiliary_variables
from flexclim.cf.conversion import conversion
from flexclim.cf.fields import check_field
from flexclim.cf.missing_values import IMPOSSIBLE, LARGEST
from flexclim.cf.quantities import FieldProperties
from flexclim.cf.units import cf_units
from flexclim.errors import RecipeError
from flexclim.grids.axes import find_axes
from flexclim.grids.candidates import is_position, plane
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Kind
from flexclim.grids.grid import Grid
from flexclim.grids.operators import axis_blocks, row_blocks
from flexclim.train.data.common_units import Attributes, in_units, join_units
from flexclim.train.data.corrected_series import Checked, Limited
from flexclim.train.data.series import (
    Averaged,
    Computed,
    Difference,
    Joined,
    Memory,
    Series,
    Stored,
    kinetic_energy,
    wind_speed,
)
from flexclim.train.data.source_files import open_datasets
from flexclim.train.data.time_axis import has_dates, join_times, time_dimension, times_of
from flexclim.train.recipes.source_settings import Derived, Reading

IN_MEMORY = 1e8  # variables with fewer values are read once; of others, windows as needed


@dataclass(frozen=True)
class Fields:
    """Variables on one grid.

    Parameters
    ----------
    title
        Path, for messages.
    series
        Values of each variable, by name.
    template
        (y, x) field with the coordinates of the grid; its values are zeros.
    attributes
        Attributes of each variable, by name.
    times
        (time,) values of the time coordinate, or whole numbers where there is none.
    """

    title: str
    series: dict[str, Series]
    template: xr.DataArray
    attributes: dict[str, Attributes]
    times: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """(time,) whether all variables can be read."""
        return np.asarray(np.logical_and.reduce([part.usable for part in self.series.values()]))

    def grid(self, kind: Kind | None = None) -> Grid:
        """Find the grid from the coordinates."""
        return find_grid(self.template, kind)

    def named(self, name: str) -> xr.DataArray:
        """Return a scalar with a variable's name and attributes."""
        return xr.DataArray(0.0, name=name, attrs=self.attributes[name])


def open_fields(reading: Reading, folder: str, names: Sequence[str]) -> Fields:
    """Open the named variables of a source; only coordinates are read.

    Raises
    ------
    RecipeError
        If a file cannot be read, a variable is missing, or grids differ.
    """
    title = reading.title
    datasets = {
        file: _prepared(dataset, reading, file)
        for file, dataset in open_datasets(reading, folder).items()
    }
    stored = list(dict.fromkeys(part for name in names for part in _needed(name, reading)))
    series, attributes, template, times = _stored_series(datasets, stored, reading)
    for name in names:
        if name in reading.derive:
            parts = [(series[part], attributes[part], part) for part in _needed(name, reading)]
            series[name], attributes[name] = _derived(reading.derive[name], parts, title)
            series[name] = _limited(series[name], reading.largest_of(name))
    chosen = {name: series[name] for name in names}
    if reading.coarsen > 1:
        template, rows, columns = _averaged(template, reading.coarsen, title)
        chosen = {n: Averaged(one, rows, columns) for n, one in chosen.items()}
    return Fields(title, chosen, template, attributes, times)


def in_memory(fields: Fields, times: np.ndarray) -> tuple[dict[str, Series], np.ndarray]:
    """Load the given times of small variables; leave large ones on disk.

    Returns
    -------
    series, times
        Series to read from, and the indices of ``times`` in them.
    """
    if times.size * fields.template.size >= IN_MEMORY:
        return fields.series, times
    loaded: dict[str, Series] = {
        name: Memory(part.read_all(times)) for name, part in fields.series.items()
    }
    return loaded, np.arange(times.size)


def _prepared(dataset: xr.Dataset, reading: Reading, title: str) -> xr.Dataset:
    """Rename variables, select from further dimensions, and make positions coordinates."""
    if absent := [name for name in reading.rename if name not in dataset.variables]:
        raise _missing(absent[0], dataset, title)
    dataset = dataset.rename(reading.rename)
    for dim, value in reading.select.items():
        if dim not in dataset.dims:
            known = ", ".join(map(str, dataset.dims))
            raise RecipeError(f"{title} has no dimension {dim!r} to select from; it has {known}.")
        dataset = _selected(dataset, dim, value, title)
    return _with_positions(dataset)


def _selected(dataset: xr.Dataset, dim: str, value: float | str, title: str) -> xr.Dataset:
    """Select a value along a dimension; a number within the rounding of the coordinate's type."""
    coordinate = dataset[dim]
    try:
        if coordinate.dtype.kind == "f" and isinstance(value, float):
            (found,) = np.flatnonzero(np.isclose(coordinate, value, rtol=1e-6, atol=0))
            return dataset.isel({dim: int(found)})
        return dataset.sel({dim: value})
    except (KeyError, ValueError, TypeError):
        known = ", ".join(map(str, coordinate.values[:12]))
        raise RecipeError(
            f"{title} has no single {dim} {value} to select; it has {known}."
        ) from None


def _with_positions(dataset: xr.Dataset) -> xr.Dataset:
    """Make data variables that hold latitudes and longitudes coordinates, at their first time."""
    dataset = dataset.set_coords([n for n, one in dataset.data_vars.items() if is_position(one)])
    moving = {n: one for n, one in dataset.coords.items() if one.ndim > 2 and is_position(one)}
    if moving:
        find_grid(dataset)  # raises an error where positions change
    return dataset.assign_coords({name: plane(one) for name, one in moving.items()})


def _needed(name: str, reading: Reading) -> tuple[str, ...]:
    """Return the stored variables that a variable is computed from, or its own name."""
    derived = reading.derive.get(name)
    if derived is None:
        return (name,)
    return derived.wind_speed or derived.kinetic_energy or ()


def _stored_series(
    datasets: Mapping[str, xr.Dataset], names: Sequence[str], reading: Reading
) -> tuple[dict[str, Series], dict[str, Attributes], xr.DataArray, np.ndarray]:
    """Return stored variables joined in time, attributes, a template of the grid, all times."""
    templates: list[xr.DataArray] = []
    times: dict[str, np.ndarray] = {}
    parts: dict[str, dict[str, tuple[Series, Attributes]]] = {name: {} for name in names}
    for file, dataset in datasets.items():
        for name in names:
            stored, template, stamps = _stored(dataset, name, file, reading)
            _check_same_times(times.setdefault(file, stamps), stamps, names[0], name, file)
            parts[name][file] = stored, dict(dataset[name].attrs)
            templates.append(template)
    _check_grids(templates, reading.title)
    joined = join_times(times)
    series: dict[str, Series] = {}
    attributes: dict[str, Attributes] = {}
    for name in names:
        own, attributes[name] = join_units(parts[name], name)
        one = own[0] if len(own) == 1 else Joined(own)
        one = _repaired(one, name, reading, joined, reading.title)
        units = cf_units(str(attributes[name].get("units") or ""))
        series[name] = Checked(one, name, reading.title, IMPOSSIBLE.get(units, LARGEST))
    return series, attributes, templates[0], joined


def _check_same_times(
    first: np.ndarray, other: np.ndarray, first_name: str, name: str, file: str
) -> None:
    if first.size != other.size or not (first == other).all():
        raise RecipeError(
            f"{first_name!r} and {name!r} in {file} have different times, {first.size} and "
            f"{other.size} of them; write the times that they share to a file."
        )


def _stored(
    dataset: xr.Dataset, name: str, title: str, reading: Reading
) -> tuple[Stored, xr.DataArray, np.ndarray]:
    """Return a variable as (time, y, x), a template of its grid, and its times."""
    if name not in dataset.variables:
        raise _missing(name, dataset, title, reading)
    if name in auxiliary_variables(dataset) or name in dataset.dims:
        raise RecipeError(
            f"{name!r} in {title} describes other variables, as bounds, positions, cell measures "
            f"or flags do, and is no field; {_known(name, dataset, reading)}"
        )
    if dataset[name].dtype.kind not in "fiub":
        raise RecipeError(f"{name!r} in {title} holds {dataset[name].dtype}, not numbers.")
    check_field(dataset[name])
    properties = FieldProperties.of(dataset[name])
    _check_continuous(properties, name, title)
    field = _without_repeated_column(dataset[name])
    grid = find_grid(field)
    rest = [str(dim) for dim in field.dims if dim not in (grid.y, grid.x)]
    time = time_dimension(field, rest)
    if further := [dim for dim in rest if field.sizes[dim] > 1 and dim != time]:
        raise RecipeError(
            f"{name!r} in {title} has a dimension {further[0]!r} of {field.sizes[further[0]]}; "
            f"choose one value with select: {{{further[0]}: ...}}."
        )
    field = field.isel({dim: 0 for dim in rest if dim != time})
    dims = ("time" if time is None else time, grid.y, grid.x)
    variable = (field.expand_dims("time") if time is None else field).variable.transpose(*dims)
    positions = {
        key: part.variable
        for key, part in field.coords.items()
        if part.ndim and set(part.dims) <= {grid.y, grid.x}
    }
    template = xr.DataArray(
        np.broadcast_to(np.float32(0), variable.shape[1:]), positions, (grid.y, grid.x), name=name
    )
    return Stored(variable, name, title, properties.missing), template, times_of(field, time, title)


def _check_continuous(properties: FieldProperties, name: str, title: str) -> None:
    """Check that averages of a variable have a meaning."""
    if properties.category:
        raise RecipeError(
            f"{name!r} in {title} holds categories or flags, which have no averages; train on the "
            "fraction of a category instead."
        )
    if properties.period is not None:
        raise RecipeError(
            f"{name!r} in {title} holds directions, which have no averages as numbers; train on "
            "the eastward and northward components instead."
        )


def _without_repeated_column(field: xr.DataArray) -> xr.DataArray:
    """Drop a last column that repeats the first one, 360 degrees east."""
    axes = find_axes(field)
    if not (axes.geographic and axes.x_name) or field[axes.x_name].dtype.kind not in "fi":
        return field
    first, last = field[axes.x_name].values[[0, -1]]
    return field.isel({axes.x: slice(-1)}) if abs(abs(last - first) - 360) < 1e-3 else field


def _repaired(series: Series, name: str, reading: Reading, times: np.ndarray, title: str) -> Series:
    if name in reading.accumulated:
        if not has_dates(times):
            raise RecipeError(
                f"{name!r} in {title} is accumulated, but its times are not dates; give it a time "
                "coordinate with dates, or take it out of accumulated."
            )
        series = Difference.of(series, times)
    return _limited(series, reading.largest_of(name))


def _limited(series: Series, largest: float | None) -> Series:
    return series if largest is None else Limited(series, largest)


def _derived(
    derived: Derived, parts: Sequence[tuple[Series, Attributes, str]], title: str
) -> tuple[Series, Attributes]:
    """Compute a variable from components in the same units: m s-1, or of a speed their own."""
    function = wind_speed if derived.wind_speed else kinetic_energy
    stated = [(str(own["units"]), name) for _, own, name in parts if own.get("units")]
    units, reference = stated[0] if stated and derived.wind_speed else ("m s-1", title)
    same = [in_units(series, own, units, title, reference, name)[0] for series, own, name in parts]
    if (found := conversion(units, "m s-1")) is not None and found.changes_nothing:
        units = "m s-1"
    attributes = {"standard_name": "wind_speed", "units": units}
    if derived.kinetic_energy:
        attributes = {"long_name": "specific kinetic energy of wind", "units": "m2 s-2"}
    return Computed(function, same), dict(attributes)


def _averaged(
    template: xr.DataArray, side: int, title: str
) -> tuple[xr.DataArray, sparse.csr_array, sparse.csr_array]:
    """Return the template of block means, and the weights of stored rows and columns in them.

    Blocks of points are centred on every ``side``-th point. Cells left over at the ends are
    dropped.
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
    sines = grid.row_sines
    if sines is not None and grid.flip_y:
        sines = sines[::-1, ::-1]
    rows = row_blocks(height, side, point=point, row_sines=sines)
    columns = axis_blocks(width, side, point=point, wrap=grid.domain.wrap)
    if point:
        coarse = template[::side, ::side]
    else:
        coarse = template.coarsen(dict.fromkeys(template.dims, side)).mean()
    return coarse, rows, columns


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
    return RecipeError(f"{title} has no variable {name!r}; {_known(name, dataset, reading)}")


def _known(name: str, dataset: xr.Dataset, reading: Reading | None) -> str:
    """Suggest the fields whose names are near, else list some."""
    others = auxiliary_variables(dataset)
    known = [str(key) for key in dataset.data_vars if str(key) not in others]
    known += list(reading.derive) if reading else []
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known[:12])}."
