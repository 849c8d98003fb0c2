"""Variables on one grid, from one file or several that follow each other in time."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import sparse

from flexclim.cf.conversion import conversion
from flexclim.cf.missing_values import IMPOSSIBLE, LARGEST
from flexclim.cf.quantities import FieldProperties
from flexclim.cf.units import cf_units
from flexclim.errors import RecipeError
from flexclim.grids.domain import Kind
from flexclim.grids.grid import Grid
from flexclim.grids.operators import axis_blocks, row_blocks
from flexclim.train.data.common_units import Attributes, in_units, join_units
from flexclim.train.data.corrected_series import Checked, Limited, Regridded
from flexclim.train.data.file_fields import Layout, prepared, stored_variable, with_levels
from flexclim.train.data.series import (
    Averaged,
    Computed,
    Difference,
    Joined,
    Memory,
    Series,
    kinetic_energy,
    wind_speed,
)
from flexclim.train.data.source_files import open_datasets
from flexclim.train.data.time_axis import has_dates, join_times
from flexclim.train.recipes.source_settings import Derived, Reading

LOG = logging.getLogger(__name__)
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
    layout
        Their grid.
    attributes
        Attributes of each variable, by name.
    times
        (time,) values of the time coordinate, or whole numbers where there is none.
    """

    title: str
    series: dict[str, Series]
    layout: Layout
    attributes: dict[str, Attributes]
    times: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """(time,) whether all variables can be read."""
        return np.asarray(np.logical_and.reduce([part.usable for part in self.series.values()]))

    @property
    def template(self) -> xr.DataArray:
        """(y, x) field with the coordinates of the grid; its values are zeros."""
        return self.layout.template

    @property
    def input_grid(self) -> str:
        """The grid of the file if it is regridded, and to which one; else empty."""
        return "" if self.layout.cells is None else self.layout.cells.text()

    def grid(self, kind: Kind | None = None) -> Grid:
        """Find the grid from the coordinates."""
        return self.layout.grid(kind)

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
        file: prepared(dataset, reading, file)
        for file, dataset in open_datasets(reading, folder).items()
    }
    stored = list(dict.fromkeys(part for name in names for part in _needed(name, reading)))
    datasets = {file: with_levels(dataset, stored) for file, dataset in datasets.items()}
    series, attributes, layout, times = _stored_series(datasets, stored, reading)
    for name in names:
        if name in reading.derive:
            parts = [(series[part], attributes[part], part) for part in _needed(name, reading)]
            series[name], attributes[name] = _derived(reading.derive[name], parts, title)
            series[name] = _limited(series[name], reading.largest_of(name))
    chosen = {name: series[name] for name in names}
    if layout.cells is not None:
        LOG.info("%s: %s", title, layout.cells.text())
        for name, one in chosen.items():
            properties = FieldProperties.of(xr.DataArray(0.0, name=name, attrs=attributes[name]))
            chosen[name] = Regridded(one, layout.cells.means(properties))
    if reading.coarsen > 1:
        layout, weights = _averaged(layout, reading.coarsen, title)
        chosen = {n: Averaged(one, *weights) for n, one in chosen.items()}
    return Fields(title, chosen, layout, attributes, times)


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


def _needed(name: str, reading: Reading) -> tuple[str, ...]:
    """Return the stored variables that a variable is computed from, or its own name."""
    derived = reading.derive.get(name)
    if derived is None:
        return (name,)
    return derived.wind_speed or derived.kinetic_energy or ()


def _stored_series(
    datasets: Mapping[str, xr.Dataset], names: Sequence[str], reading: Reading
) -> tuple[dict[str, Series], dict[str, Attributes], Layout, np.ndarray]:
    """Return stored variables joined in time, attributes, their grid, all times."""
    layouts: list[Layout] = []
    times: dict[str, np.ndarray] = {}
    parts: dict[str, dict[str, tuple[Series, Attributes]]] = {name: {} for name in names}
    for file, dataset in datasets.items():
        for name in names:
            stored, layout, stamps = stored_variable(dataset, name, file, reading)
            _check_same_times(times.setdefault(file, stamps), stamps, names[0], name, file)
            parts[name][file] = stored, dict(dataset[name].attrs)
            layouts.append(layout)
    _check_grids(layouts, reading.title)
    joined = join_times(times)
    series: dict[str, Series] = {}
    attributes: dict[str, Attributes] = {}
    for name in names:
        own, attributes[name] = join_units(parts[name], name)
        one = own[0] if len(own) == 1 else Joined(own)
        one = _repaired(one, name, reading, joined, reading.title)
        units = cf_units(str(attributes[name].get("units") or ""))
        series[name] = Checked(one, name, reading.title, IMPOSSIBLE.get(units, LARGEST))
    return series, attributes, layouts[0], joined


def _check_same_times(
    first: np.ndarray, other: np.ndarray, first_name: str, name: str, file: str
) -> None:
    if first.size != other.size or not (first == other).all():
        raise RecipeError(
            f"{first_name!r} and {name!r} in {file} have different times, {first.size} and "
            f"{other.size} of them; write the times that they share to a file."
        )


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
    layout: Layout, side: int, title: str
) -> tuple[Layout, tuple[sparse.csr_array, sparse.csr_array, np.ndarray | None]]:
    """Return the grid of block means, and the weights of stored rows, columns and cells in them.

    Blocks of points are centred on every ``side``-th point. Cells left over at the ends are
    dropped.
    """
    template, domain = layout.template, layout.grid().domain
    kind, point = domain.kind, domain.kind == "point"
    ends = int(point), int(point and not domain.wrap)
    blocks = [(size - end) // side for size, end in zip(template.shape, ends, strict=True)]
    if min(blocks) < 1:
        raise RecipeError(f"{title} has {template.shape} {kind}s, too few to coarsen by {side}.")
    height, width = (count * side + end for count, end in zip(blocks, ends, strict=True))
    layout = layout.first(height, width)
    grid = layout.grid(kind).with_corners()
    sines = grid.row_sines
    if sines is not None and grid.flip_y:
        sines = sines[::-1, ::-1]
    rows = row_blocks(height, side, point=point, row_sines=sines)
    columns = axis_blocks(width, side, point=point, wrap=grid.domain.wrap)
    areas = grid.cell_areas
    weights = rows, columns, None if areas is None else grid.restore(areas)
    return layout.coarsened(grid, side), weights


def _check_grids(layouts: list[Layout], title: str) -> None:
    for other in layouts[1:]:
        if layouts[0].differs(other):
            first, second = layouts[0].template, other.template
            raise RecipeError(
                f"{first.name!r} and {second.name!r} of {title} lie on different grids, "
                f"{dict(first.sizes)} and {dict(second.sizes)}; give them as sources of their own."
            )
