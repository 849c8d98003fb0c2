"""Fields without rows and columns, taken to a regular grid of about their own spacing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import xarray as xr

from flexclim.cf.fields import BOOLEANS, NUMBERS, as_dataset, fields_along, pick
from flexclim.cf.physical_bounds import NO_BOUNDS
from flexclim.cf.quantities import FieldProperties
from flexclim.cf.regridding_weights import find_weights
from flexclim.cf.times import is_time
from flexclim.errors import GridError
from flexclim.grids.arguments import names_of
from flexclim.grids.candidates import is_position
from flexclim.grids.domain import Kind
from flexclim.grids.regridding.cell_discovery import cells_in_list, cells_of
from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.methods import RegridMethod
from flexclim.grids.regridding.targets import Target, target_of
from flexclim.resampling.regridding import NAN_THRESHOLD, regrid

Fields: TypeAlias = xr.Dataset | xr.DataArray
LOG = logging.getLogger(__name__)
# What the coordinates of fields don't tell.
GridHint: TypeAlias = Kind | Literal["healpix", "healpix:nested", "healpix:ring"]
# Attribute of a result that says on which grid the input was.
INPUT_GRID = "input_grid"
# Fewer points are stations, not a grid; HEALPix has 12 at least.
FEWEST = 12
FIRST_ORDER: RegridMethod = "conservative"
SECOND_ORDER: RegridMethod = "conservative_2nd"


@dataclass(frozen=True, kw_only=True, eq=False)
class CellList:
    """Cells along one dimension, and the regular grid that fields are taken to.

    Parameters
    ----------
    cells
        Cells of the fields.
    degrees
        Spacing of the regular grid: about that of the cells.
    hint
        What the user said of the cells.
    """

    cells: Cells
    degrees: float
    hint: str | None

    @property
    def dim(self) -> str:
        """The dimension of cells."""
        return self.cells.dims[0]

    def coarsened(self, factor: int) -> CellList:
        """Return the same cells, to be taken to a regular grid of larger cells."""
        return replace(self, degrees=180 / max(2, round(180 / (self.degrees * factor))))

    def target(self) -> Target:
        """Return the regular grid."""
        return target_of(self.degrees, self.cells)

    def plane(self) -> xr.DataArray:
        """Return zeros on the regular grid, with its coordinates."""
        target = self.target()
        axes = {name: target.coordinates[name] for name in target.dims}
        return xr.DataArray(np.zeros(target.shape, np.int8), axes, target.dims)

    def means(self, properties: FieldProperties) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function that takes values (..., cell) of a field to (..., y, x).

        It does what :func:`on_rows` does to fields that are neither directions nor categories.
        """
        method = SECOND_ORDER if _may_overshoot(properties) else FIRST_ORDER
        shape, weights = self.target().shape, find_weights(self.cells, self.target(), method)

        def means(values: np.ndarray) -> np.ndarray:
            return weights.means(values, NAN_THRESHOLD).reshape(*values.shape[:-1], *shape)

        return means

    def text(self) -> str:
        """Say on which grid the fields are, and which grid they are taken to."""
        height, width = self.target().shape
        return (
            f"{self.cells.kind}, {self.cells.size} cells along {self.dim}, regridded "
            f"conservatively to {height} x {width} cells of {self.degrees:.4g} degrees"
        )


def find_cell_list(
    obj: xr.Dataset | xr.DataArray, hint: str | None = None, fields: object = None
) -> CellList | None:
    """Find out whether fields lie along one dimension of cells; None if on rows and columns.

    Parameters
    ----------
    obj
        Fields on any grid; only coordinates are read. Of anything else the answer is None.
    hint
        See :data:`GridHint`.
    fields
        Names of the fields of a Dataset, where it has several grids. Default: all.

    Raises
    ------
    GridError
        If cells have no extent: stations, or a series of positions in time.
    """
    if not hasattr(obj, "coords"):
        return None
    chosen = [name for name in names_of(fields) or () if name in _variables(obj)]
    cells = cells_in_list(obj, hint if isinstance(hint, str) else None, chosen)
    if cells is None:
        return None
    _check_covering(obj, cells)
    return CellList(cells=cells, degrees=_own_spacing(cells), hint=hint)


def on_rows(obj: xr.Dataset, found: CellList) -> xr.Dataset:
    """Return fields on the regular grid, lazily if they are lazy.

    They are means over its cells, with a slope in each given cell (second order), which halves
    the error, unless a field has bounds that slopes may exceed. The attribute ``input_grid`` and
    one line of the log say on which grid they were given.
    """
    text = found.text()
    LOG.info("%s", text)
    elsewhere = [
        name
        for name, one in obj.data_vars.items()
        if found.dim not in one.dims and any(map(is_position, one.coords.values()))
    ]
    obj = obj.drop_vars(elsewhere)
    fields = fields_along(obj, (found.dim,), NUMBERS + BOOLEANS)
    sloped = [name for name in fields if _may_overshoot(FieldProperties.of(obj[name]))]
    flat = [name for name in fields if name not in sloped]
    parts = [
        regrid(obj.drop_vars(left_out), found.degrees, method, grid=found.hint)
        for chosen, left_out, method in ((sloped, flat, SECOND_ORDER), (flat, sloped, FIRST_ORDER))
        if chosen
    ]
    if not parts:
        raise GridError(f"no variable has numbers along {found.dim!r}. Add one.")
    regular = parts[0].assign(parts[-1].data_vars)
    in_order = {n: regular[n] for n in obj.data_vars if n in regular.data_vars}
    return regular.drop_vars(list(in_order)).assign(in_order).assign_attrs({INPUT_GRID: text})


def _may_overshoot(properties: FieldProperties) -> bool:
    """Return whether values between those of neighbours, and slightly beyond, are possible."""
    return properties.continuous and properties.bounds == NO_BOUNDS


def with_rows(obj: Fields) -> Fields:
    """Return fields on rows and columns: the same, or those of :func:`on_rows`."""
    found = find_cell_list(obj)
    if found is None:
        return obj
    if isinstance(obj, xr.Dataset):
        return on_rows(obj, found)
    ds = as_dataset(obj)
    return pick(on_rows(ds, found), str(next(iter(ds.data_vars)))).rename(obj.name)


def on_common_rows(one: Fields, other: Fields) -> tuple[Fields, Fields]:
    """Return two fields on rows and columns; if only one has some, the other is taken to them."""
    lists = find_cell_list(one), find_cell_list(other)
    if lists[0] is not None and lists[1] is None:
        return _regridded(one, other), other
    if lists[0] is None and lists[1] is not None:
        return one, _regridded(other, one)
    return with_rows(one), with_rows(other)


def _regridded(obj: Fields, to: Fields) -> Fields:
    return cast(Fields, regrid(cast(Any, obj), to))


def on_regular_grid(obj: xr.Dataset) -> xr.Dataset:
    """Return fields of any grid on latitudes and longitudes of about their own spacing."""
    return regrid(obj, _own_spacing(cells_of(obj)), nan_threshold=1)


def as_planned(obj: xr.Dataset | xr.DataArray, found: CellList) -> xr.Dataset | xr.DataArray:
    """Return fields with the coordinates of the regular grid, and some value of each."""
    variables = obj.variables if isinstance(obj, xr.Dataset) else obj.coords
    mappings = [name for name, one in variables.items() if "grid_mapping_name" in one.attrs]
    along = [name for name, one in obj.coords.items() if found.dim in one.dims]
    bare = obj.drop_vars([*mappings, *along])
    plane = found.plane()
    if isinstance(bare, xr.DataArray):
        return bare.isel({found.dim: 0}).broadcast_like(plane)
    first = bare.isel({found.dim: 0})
    fields = fields_along(bare, (found.dim,))
    return first.assign({name: first[name].broadcast_like(plane) for name in fields})


def _variables(obj: xr.Dataset | xr.DataArray) -> Collection[object]:
    return obj.data_vars if isinstance(obj, xr.Dataset) else ()


def _check_covering(obj: xr.Dataset | xr.DataArray, cells: Cells) -> None:
    """Raise GridError if cells are stations or a track."""
    dim = cells.dims[0]
    along = [one for one in obj.coords.values() if dim in one.dims]
    stations = cells.size < FEWEST or any("cf_role" in one.attrs for one in along)
    stations |= "featuretype" in {str(key).lower() for key in obj.attrs}
    if cells.kind == "points" and (stations or any(is_time(one.variable) for one in along)):
        raise GridError(
            f"{cells.size} points along {dim!r} are stations or a track, not a grid. Take fields "
            "to them with regrid."
        )


def _own_spacing(cells: Cells) -> float:
    """Return a spacing in degrees that divides 180, near the usual one of cells.

    Of HEALPix it is 60 degrees / nside: a grid has 18 nside^2 cells, the sphere 12 nside^2.
    """
    if cells.pixels is not None:
        return 60.0 / cells.pixels.nside
    if cells.kind == "reduced Gaussian":
        rows = float(np.unique(cells.latitude).size)
        if cells.extent()[1] - cells.extent()[0] > 179:
            return 180 / rows
    known = cells.spacing[cells.spacing > 0]
    if not known.size:
        raise GridError(f"none of {cells.size} cells has an area. Check the corners of the cells.")
    return 180 / max(2, round(180 / float(np.rad2deg(np.median(known)))))
