"""A Dataset with what flexclim understands of it, resolved once where data enter."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import xarray as xr

from flexclim.cf.ensembles import REALIZATION, with_realization
from flexclim.cf.fields import as_dataset, fields_on, warn_of_others
from flexclim.cf.quantities import FieldProperties
from flexclim.cf.time_coordinates import (
    TimeCoordinates,
    check_no_time_zone,
    find_times,
    undecoded_times,
)
from flexclim.errors import FlexclimError, GridError
from flexclim.grids.arguments import check_fields
from flexclim.grids.attributes import remembered_kind, with_plain_attributes
from flexclim.grids.curvilinear_cells import warn_of_repeated
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Kind
from flexclim.grids.grid import Grid
from flexclim.planning.static_matching import on_known_grid
from flexclim.resampling.rows_and_columns import (
    CellList,
    GridHint,
    find_cell_list,
    on_rows,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class StaticField:
    """A static field (y, x) in stored order, with its own grid, without 2-D positions."""

    field: xr.DataArray
    grid: Grid


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """Fields to be downscaled or forecast, with their grid, variables, times and static fields.

    Parameters
    ----------
    dataset
        Everything that was given, lazy or in memory, with an ensemble along ``realization``.
    grid
        The grid of its fields, with the kind that the user stated or that coordinates suggest.
    stated_kind
        ``"cell"`` or ``"point"`` as stated by the user; None: not stated.
    fields
        Names of numeric variables with both grid dimensions.
    times
        For each field the coordinates that say when it is valid.
    static
        All static fields that the user passed, on their own grids; None: none were passed.
    static_fields
        Those that the chosen models need, with their grids.
    cells, given
        The cells on which the fields were given, and these fields, if they had no rows and
        columns.
    """

    dataset: xr.Dataset
    grid: Grid
    stated_kind: Kind | None
    fields: tuple[str, ...]
    times: Mapping[str, TimeCoordinates]
    static: xr.Dataset | None = None
    static_fields: Mapping[str, StaticField] = field(default_factory=dict)
    cells: CellList | None = None
    given: xr.Dataset | None = None

    def __getitem__(self, name: str) -> xr.DataArray:
        return self.dataset[name]

    def properties(self, name: str) -> FieldProperties:
        """Return what a field is, as far as its attributes tell."""
        return FieldProperties.of(self.dataset[name])

    def grid_for(self, kind: Kind | None) -> Grid:
        """Return the grid for a model trained on one kind; what the user stated comes first."""
        return self.grid if self.stated_kind or kind is None else self.grid.as_kind(kind)

    def with_dataset(self, dataset: xr.Dataset) -> Source:
        """Return the source with other times, or further variables, on the same grid."""
        return replace(self, dataset=dataset)

    def with_times(self, dataset: xr.Dataset) -> Source:
        """Return the source with other coordinates of times."""
        plane = {self.grid.y, self.grid.x}
        times = {name: times_of(dataset[name], plane) for name in self.fields}
        return replace(self, dataset=dataset, times=times)

    def units(self, name: str) -> str | None:
        """Return the units of a field as its file states them; None: it states none."""
        units = self.dataset[name].attrs.get("units")
        return str(units) if units else None

    def without_dates(self, name: str) -> str:
        """Return why a field has no valid times and what to do, as the end of a message."""
        field = self.dataset[name]
        numbers = undecoded_times(field, set(field.dims) - {self.grid.y, self.grid.x})
        if not numbers:
            return f"{name!r} has no time. Give it a coordinate of dates, such as time."
        units = field[numbers[0]].attrs.get("units")
        return (
            f"{numbers[0]!r} of {name!r} holds numbers{f' in {units!r}' if units else ''}, not "
            "dates. Pass the dataset through xarray.decode_cf, or assign dates."
        )


def resolve(
    obj: xr.Dataset | xr.DataArray,
    kind: GridHint | None = None,
    static: xr.Dataset | None = None,
    variables: Sequence[str] | str | None = None,
) -> Source:
    """Find the grid, fields and times of a Dataset; no lazy data is computed.

    Parameters
    ----------
    obj
        Fields (..., y, x), or along one dimension of cells, which are taken to a regular grid;
        a DataArray becomes a Dataset of one variable.
    kind
        ``"cell"`` or ``"point"``, or that cells are HEALPix, where the coordinates can't tell.
    static
        Static fields that a model may need.
    variables
        The fields of interest, where a Dataset has several grids. Default: all.

    Raises
    ------
    GridError
        If the grid can't be found.
    FlexclimError
        If a variable is packed or has a name that can't be used.

    Warns
    -----
    FlexclimWarning
        If ``variables`` is None and some with rows and columns hold no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> field = xr.DataArray(
    ...     np.zeros((2, 2)), coords={"lat": [1.0, 0.0], "lon": [5.0, 6.0]}, name="t2m"
    ... )
    >>> resolve(field).fields
    ('t2m',)
    """
    check_fields(obj)
    obj = with_plain_attributes(obj)
    given = obj if isinstance(obj, xr.Dataset) else as_dataset(obj)
    cells = find_cell_list(given, kind, variables)
    if cells is not None:
        given = with_realization(given, [dim for dim in given.dims if dim != cells.dim])
    stated = cast("Kind | None", kind) if cells is None else None
    dataset = given if cells is None else on_rows(given, cells)
    grid = find_grid(obj if cells is None else dataset, stated, variables)
    stated = stated or _remembered(grid, dataset)
    warn_of_repeated(grid)
    if isinstance(static, xr.Dataset):
        static = with_plain_attributes(static)
    plane = {grid.y, grid.x}
    dataset = with_realization(dataset, [dim for dim in dataset.dims if dim not in plane])
    times: dict[str, TimeCoordinates] = {}
    for name in fields_on(dataset, grid):
        if name == REALIZATION:
            raise FlexclimError(
                f"a field can't have the name {name!r}, which numbers ensemble members. Rename it."
            )
        times[name] = times_of(dataset[name], plane)
    if variables is None:
        warn_of_others(dataset, grid, times)
    return Source(
        dataset=dataset,
        grid=grid,
        stated_kind=stated,
        fields=tuple(times),
        times=times,
        static=static,
        cells=cells,
        given=None if cells is None else given,
    )


def _remembered(grid: Grid, dataset: xr.Dataset) -> Kind | None:
    """Return the kind that an earlier result states, as its user did then."""
    rows = dataset.variables.get(grid.y_name or grid.latitude_name)
    known = None if rows is None else remembered_kind(rows.attrs, grid.y_step)
    return cast("Kind | None", known)


def resolve_static(
    static: xr.Dataset, names: Iterable[str], target: Grid | None = None
) -> dict[str, StaticField]:
    """Find the grid of each named static field; no lazy data is computed.

    With a ``target``, those on HEALPix, unstructured, curvilinear, and other projected grids are
    regridded to latitudes and longitudes.

    Raises
    ------
    GridError
        If a field has no grid, or a dimension besides it.
    """
    fields = {}
    for name in names:
        known = on_known_grid(static, name, target)
        field, grid = known[name], find_grid(known, variables=[name])
        extra = [str(d) for d, n in field.sizes.items() if d not in (grid.y, grid.x) and n > 1]
        if extra:
            raise GridError(
                f"static field {name!r} has the dimension {extra[0]!r}. "
                f"Select one with .isel({extra[0]}=0)."
            )
        plane = field.transpose(..., grid.y, grid.x)
        fields[name] = StaticField(
            field=plane.isel(dict.fromkeys(plane.dims[:-2], 0)),
            grid=grid.without_positions(),
        )
    return fields


def times_of(field: xr.DataArray, plane: Collection[Hashable]) -> TimeCoordinates:
    """Find the coordinates that say when a field is valid; ``plane`` are its rows and columns.

    Raises
    ------
    FlexclimError
        If times are in a time zone.
    """
    check_no_time_zone(field)
    return find_times(field, [dim for dim in field.dims if dim not in (*plane, REALIZATION)])
