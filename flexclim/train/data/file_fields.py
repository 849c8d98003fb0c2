"""The variables of one file: found, checked and laid out as (time, y, x); values are not read."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from flexclim.cf.auxiliary_variables import auxiliary_variables
from flexclim.cf.coordinates import grid_coordinates
from flexclim.cf.fields import check_field
from flexclim.cf.predictor_names import SIGN, levels_text, on_level
from flexclim.cf.quantities import FieldProperties
from flexclim.errors import RecipeError
from flexclim.grids.axes import find_axes
from flexclim.grids.candidates import is_position, plane
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Kind
from flexclim.grids.grid import Grid
from flexclim.resampling.rows_and_columns import CellList, find_cell_list
from flexclim.train.data.series import Stored
from flexclim.train.data.time_axis import time_dimension, times_of
from flexclim.train.recipes.source_settings import Reading


@dataclass(frozen=True)
class Layout:
    """The grid of a variable.

    Parameters
    ----------
    template
        (y, x) zeros with the coordinates of its rows and columns.
    bounds
        Variables that hold bounds of these.
    cells
        The cells of a variable without rows and columns, which ``template`` is made for.
    """

    template: xr.DataArray
    bounds: Mapping[Hashable, xr.Variable] = field(default_factory=dict)
    cells: CellList | None = None

    @property
    def dataset(self) -> xr.Dataset:
        """The template with the bounds of its coordinates."""
        return self.template.to_dataset(name="field").assign(self.bounds)

    def grid(self, kind: Kind | None = None) -> Grid:
        """Find the grid from the coordinates."""
        return find_grid(self.dataset, kind)

    def first(self, height: int, width: int) -> Layout:
        """Return the first rows and columns."""
        ends = dict(zip(self.template.dims, (height, width), strict=True))
        bounds = {
            name: one.isel({dim: slice(end) for dim, end in ends.items() if dim in one.dims})
            for name, one in self.bounds.items()
        }
        return replace(self, template=self.template[:height, :width], bounds=bounds)

    def coarsened(self, grid: Grid, side: int) -> Layout:
        """Return the layout of blocks of ``side`` x ``side`` cells of ``grid``, that of this."""
        if grid.y_values is None:
            known = grid_coordinates(grid.coarsened(side), self.dataset)
            plane = {grid.y, grid.x}
            positions = {name: one for name, one in known.items() if set(one.dims) <= plane}
            template = self.template[::side, ::side].assign_coords(positions)
            bounds: dict[Hashable, xr.Variable] = {
                name: one for name, one in known.items() if name not in positions
            }
            return replace(self, template=template, bounds=bounds)
        if grid.domain.kind == "point":
            return replace(self, template=self.template[::side, ::side], bounds={})
        coarse = self.template.coarsen(dict.fromkeys(self.template.dims, side)).mean()
        return replace(self, template=coarse, bounds={})

    def differs(self, other: Layout) -> bool:
        """Return whether another variable has other rows and columns, or other cells."""
        if self.cells is not None and other.cells is not None:
            return self.cells.cells.fingerprint != other.cells.cells.fingerprint
        first, second = self.template, other.template
        return (
            (self.cells is None) != (other.cells is None)
            or first.sizes != second.sizes
            or not all(
                np.allclose(first[name], second[name])
                for name in first.coords
                if name in second.coords and first[name].ndim == 1
            )
        )


def prepared(dataset: xr.Dataset, reading: Reading, title: str) -> xr.Dataset:
    """Rename variables, select from further dimensions, and make positions coordinates."""
    if absent := [name for name in reading.rename if name not in dataset.variables]:
        raise missing_variable(absent[0], dataset, title)
    taken = dataset.variables.keys() - reading.rename.keys()
    if clash := next((pair for pair in reading.rename.items() if pair[1] in taken), None):
        raise RecipeError(
            f"rename: {clash[0]} can't be called {clash[1]}, as another variable of {title} is. "
            "Rename that one as well."
        )
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


def with_levels(dataset: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """Add the variables on levels, such as ``z@500``, that are among the names and are there."""
    wanted = [name for name in names if SIGN in name]
    found = {name: field for name in wanted if (field := on_level(dataset, name)) is not None}
    return dataset.assign(found)


def stored_variable(
    dataset: xr.Dataset, name: str, title: str, reading: Reading
) -> tuple[Stored, Layout, np.ndarray]:
    """Return a variable as (time, y, x) or (time, cell), its grid, and its times."""
    if name not in dataset.variables:
        raise missing_variable(name, dataset, title, reading)
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
    hint = f"healpix:{reading.healpix}" if reading.healpix else None
    cells = find_cell_list(dataset, hint, [name])
    plane: tuple[str, ...]
    if cells is None:
        field = _without_repeated_column(dataset[name])
        grid = find_grid(field)
        plane = grid.y, grid.x
        layout = Layout(_template(field, plane), bounds=_bounds(dataset, field, plane))
    else:
        field, plane = dataset[name], (cells.dim,)
        layout = Layout(cells.plane().rename(name), cells=cells)
    rest = [str(dim) for dim in field.dims if dim not in plane]
    time = time_dimension(field, rest)
    if further := [dim for dim in rest if field.sizes[dim] > 1 and dim != time]:
        raise RecipeError(
            f"{name!r} in {title} has a dimension {further[0]!r} of {field.sizes[further[0]]}; "
            f"choose one value with select: {{{further[0]}: ...}}."
        )
    field = field.isel({dim: 0 for dim in rest if dim != time})
    dims = ("time" if time is None else time, *plane)
    variable = (field.expand_dims("time") if time is None else field).variable.transpose(*dims)
    return Stored(variable, name, title, properties.missing), layout, times_of(field, time, title)


def _template(field: xr.DataArray, plane: tuple[str, ...]) -> xr.DataArray:
    positions = {
        key: part.variable
        for key, part in field.coords.items()
        if part.ndim and set(part.dims) <= set(plane)
    }
    shape = tuple(field.sizes[dim] for dim in plane)
    return xr.DataArray(np.broadcast_to(np.float32(0), shape), positions, plane, name=field.name)


def _bounds(
    dataset: xr.Dataset, field: xr.DataArray, plane: tuple[str, ...]
) -> dict[Hashable, xr.Variable]:
    """Return the bounds that the positions of a field name, if they fit it."""
    own = [part for part in field.coords.values() if set(part.dims) <= set(plane)]
    names = {part.attrs.get("bounds", part.encoding.get("bounds")) for part in own}
    known = {name: dataset.variables[name] for name in names if name in dataset.variables}
    return {
        name: one
        for name, one in known.items()
        if all(field.sizes.get(dim, size) == size for dim, size in one.sizes.items())
    }


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


def missing_variable(
    name: str, dataset: xr.Dataset, title: str, reading: Reading | None = None
) -> RecipeError:
    """Return the error that a file lacks a variable or its level, with what it has."""
    if known := levels_text(dataset, name):
        return RecipeError(f"{title} has no {name!r}: {known}.")
    return RecipeError(f"{title} has no variable {name!r}; {_known(name, dataset, reading)}")


def _known(name: str, dataset: xr.Dataset, reading: Reading | None) -> str:
    """Suggest the fields whose names are near, else list some."""
    others = auxiliary_variables(dataset)
    known = [str(key) for key in dataset.data_vars if str(key) not in others]
    known += list(reading.derive) if reading else []
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known[:12])}."
