"""What a field is regridded to: cells, points or polygons."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.arguments import shown
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.candidates import is_position
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.cells import Cells, healpix_cells, row_cells
from flexclim.grids.regridding.polygon_regions import Regions, regions_of

ADVICE = (
    'Pass an object with a grid, a number of degrees, "healpix:8", points with 1-D lat and lon, '
    "or polygons."
)
GRID_MAPPING = "crs"
CELL, REGION = "cell", "region"
# Share of a row or column of a regular grid that may lie outside the input.
HALF = 0.499
# Of degrees of a regular grid; more are rounding.
DECIMALS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """Cells, points or polygons, with the coordinates that results get.

    Parameters
    ----------
    dims, shape
        Dimensions of results, one or two, and their sizes.
    latitude, longitude
        (m,) centres or points in degrees.
    cells
        Cells, unless the target has points or polygons.
    regions
        Polygons.
    coordinates
        Coordinates of results: those of the object that was passed, unchanged.
    grid_mapping
        Name of the one that is the grid mapping.
    text
        Description, for the history.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    latitude: np.ndarray
    longitude: np.ndarray
    cells: Cells | None = None
    regions: Regions | None = None
    coordinates: dict[str, xr.Variable] = field(default_factory=dict)
    grid_mapping: str | None = None
    text: str

    @property
    def kind(self) -> str:
        """``"cells"``, ``"points"`` or ``"regions"``."""
        if self.regions is not None:
            return "regions"
        return "points" if self.cells is None else "cells"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what determines the target."""
        if self.regions is not None:
            return self.regions.fingerprint
        if self.cells is not None:
            return self.cells.fingerprint
        both = np.stack([self.latitude, self.longitude])
        return hashlib.sha256(np.ascontiguousarray(both, float).tobytes()).hexdigest()[:16]

    def name(self, number: int) -> str:
        """Return the position or label of a point or polygon, for messages."""
        if self.regions is not None:
            return repr(self.regions.labels[number])
        return f"{self.latitude[number]:g}, {self.longitude[number]:g}"

    @property
    def areas(self) -> np.ndarray:
        """(m,) areas in steradians of cells or regions."""
        if self.regions is not None:
            return self.regions.areas
        assert self.cells is not None
        return self.cells.areas


def centres_of(cells: Cells) -> Target:
    """Return the centres of cells as points."""
    return Target(
        dims=cells.dims,
        shape=cells.shape,
        latitude=cells.latitude,
        longitude=cells.longitude,
        text=f"{cells.size} points",
    )


def target_of(to: Any, source: Cells, *, bounds: bool = True) -> Target:
    """Return what ``to`` means.

    Parameters
    ----------
    to
        An object with a grid, a number of degrees, ``"healpix:8"``, points or polygons.
    source
        Cells of the input, whose extent a regular grid covers.
    bounds
        As in :func:`cells_of`.

    Raises
    ------
    GridError
        If it means nothing.
    """
    if isinstance(to, str):
        return _healpix_target(to, source)
    if isinstance(to, (int, float, np.integer, np.floating)) and not isinstance(to, bool):
        return _regular_target(float(to), source)
    if isinstance(to, (xr.Dataset, xr.DataArray)):
        return _object_target(to, bounds)
    regions = regions_of(to)
    if regions is None:
        raise GridError(f"to={shown(to)} is no target. {ADVICE}")
    labels = np.array(regions.labels)
    names = {"standard_name": "region"} if labels.dtype.kind == "U" else {}
    coordinates = {
        REGION: xr.Variable(REGION, labels, {**names, "long_name": "region"}),
        "lat": xr.Variable(REGION, regions.latitude, {"long_name": "latitude of a point within"}),
        "lon": xr.Variable(REGION, regions.longitude, {"long_name": "longitude of a point within"}),
    }
    return Target(
        dims=(REGION,),
        shape=(labels.size,),
        latitude=regions.latitude,
        longitude=regions.longitude,
        regions=regions,
        coordinates=coordinates,
        text=f"{labels.size} polygons",
    )


def _object_target(to: xr.Dataset | xr.DataArray, bounds: bool) -> Target:
    to = with_plain_attributes(to)
    try:
        cells = cells_of(to, bounds=bounds)
    except GridError as error:
        raise GridError(f"to={shown(to)} has no grid: {error}") from error
    points = cells.kind == "points"
    variables = to.variables if isinstance(to, xr.Dataset) else to.coords
    coordinates, mapping = {}, None
    for name in _kept(to):
        variable = variables[name]
        variable = variable.variable if isinstance(variable, xr.DataArray) else variable
        if "grid_mapping_name" in variable.attrs:
            mapping = str(name)
        elif not set(variable.dims) & set(cells.dims):
            continue
        coordinates[str(name)] = variable.to_base_variable().copy(deep=False)
    return Target(
        dims=cells.dims,
        shape=cells.shape,
        latitude=cells.latitude,
        longitude=cells.longitude,
        cells=None if points else cells,
        coordinates=coordinates,
        grid_mapping=mapping,
        text=f"{cells.size} points" if points else repr(cells)[8:-1],
    )


def _kept(to: xr.Dataset | xr.DataArray) -> list[Hashable]:
    """Return the names of coordinates, positions, bounds and grid mappings."""
    kept = list(to.coords)
    if isinstance(to, xr.Dataset):
        for name, variable in to.data_vars.items():
            if is_position(variable) or "grid_mapping_name" in variable.attrs:
                kept.append(name)
        said = [{**to[name].encoding, **to[name].attrs}.get("bounds") for name in kept]
        kept += [name for name in said if name in to.variables]
    return list(dict.fromkeys(kept))


def _regular_target(step: float, source: Cells) -> Target:
    """Return cells of ``step`` degrees over the extent of the source.

    Edges lie at multiples of ``step`` from the south pole, and from 0 or -180 degrees of longitude;
    the outermost rows and columns lie in the extent by more than half.
    """
    if not 0 < step <= 90:
        raise GridError(f"to={step:g} is no spacing in degrees. Pass one above 0, up to 90.")
    south, north, west, east = source.extent()
    around = abs(east - west - 360) < 1e-6
    if around and max(abs(span / step - round(span / step)) for span in (180, 360)) > 1e-6:
        raise GridError(f"{step:g} degrees do not divide the globe. Pass 1, 0.5 or 0.25.")
    # Longitudes begin as those of the input do.
    negative = bool(np.nanmin(source.longitude) < 0)
    base = -180.0 if negative else 0.0
    if around:
        west, east = base, base + 360
    elif negative and east > 180:
        west, east = west - 360, east - 360
    low, left = (math.ceil(v / step - HALF) for v in (south + 90, west - base))
    high, right = (math.floor(v / step + HALF) for v in (north + 90, east - base))
    if high <= low or right <= left:
        raise GridError(
            f"cells of {step:g} degrees are larger than the input, which spans {north - south:g} x "
            f"{east - west:g}. Pass a smaller number."
        )
    lat = np.round((np.arange(low, high) + 0.5) * step - 90, DECIMALS) + 0.0
    lon = np.round((np.arange(left, right) + 0.5) * step + base, DECIMALS) + 0.0
    lat = lat[np.abs(lat) < 90]
    if source.rows is not None and source.latitude[0] > source.latitude[-1]:
        lat = lat[::-1]
    cells = row_cells(("lat", "lon"), lat, lon)
    assert cells.rows is not None
    assert cells.columns is not None
    coordinates = {
        "lat": xr.Variable("lat", lat, _attributes("latitude", "Y")),
        "lon": xr.Variable("lon", lon, _attributes("longitude", "X")),
        "lat_bnds": xr.Variable(("lat", "bnds"), cells.rows),
        "lon_bnds": xr.Variable(("lon", "bnds"), cells.columns),
    }
    return Target(
        dims=cells.dims,
        shape=cells.shape,
        latitude=cells.latitude,
        longitude=cells.longitude,
        cells=cells,
        coordinates=coordinates,
        text=f"{step:g} degrees",
    )


def _attributes(name: str, axis: str) -> dict[str, str]:
    units = {"Y": "degrees_north", "X": "degrees_east"}[axis]
    return {"standard_name": name, "units": units, "axis": axis, "bounds": f"{name[:3]}_bnds"}


def _healpix_target(to: str, source: Cells) -> Target:
    """Return the pixels of a level (nested) that the source touches."""
    name, _, level = to.partition(":")
    if name != "healpix" or not level.isdigit():
        raise GridError(f"to={shown(to)} is no target. {ADVICE}")
    cells = healpix_cells(CELL, int(level))
    number = np.arange(cells.size)
    if source.areas.sum() < 4 * np.pi * (1 - 1e-6):
        south, north, west, east = source.extent()
        lat, lon = cells.latitude, cells.longitude
        side = 2 * np.rad2deg(np.sqrt(4 * np.pi / cells.size))
        margin = side / np.maximum(np.cos(np.deg2rad(lat)), 1e-3)
        near = (lat > south - side) & (lat < north + side)
        near &= (lon - west + margin) % 360 < east - west + 2 * margin
        number = number[near]
        boxes = healpix_cells(CELL, int(level), number).polygons.boxes
        low, high = (np.rad2deg(np.arcsin(np.clip(boxes[:, k], -1, 1))) for k in (1, 3))
        left, right = (np.rad2deg(boxes[:, k]) for k in (0, 2))
        near = (high > south) & (low < north)
        near &= ((left - west) % 360 < east - west) | ((west - left) % 360 < right - left)
        number = number[near]
    return pixel_target(int(level), number)


def pixel_target(level: int, number: np.ndarray) -> Target:
    """Return the HEALPix pixels of some numbers in the nested scheme.

    >>> pixel_target(1, np.arange(4)).dims
    ('cell',)
    """
    cells = healpix_cells(CELL, level, number)
    mapping = {
        "grid_mapping_name": "healpix",
        "refinement_level": level,
        "indexing_scheme": "nested",
        "long_name": "coordinate reference system",
    }
    place = {"units": "degrees_north", "standard_name": "latitude"}
    coordinates = {
        "healpix_index": xr.Variable(
            CELL, number, {"standard_name": "healpix_index", "units": "1", "long_name": "HEALPix"}
        ),
        "lat": xr.Variable(CELL, cells.latitude, place),
        "lon": xr.Variable(
            CELL, cells.longitude, {"units": "degrees_east", "standard_name": "longitude"}
        ),
        GRID_MAPPING: xr.Variable((), np.int32(0), mapping),
    }
    return Target(
        dims=cells.dims,
        shape=cells.shape,
        latitude=cells.latitude,
        longitude=cells.longitude,
        cells=cells,
        coordinates=coordinates,
        grid_mapping=GRID_MAPPING,
        text=f"healpix:{level}",
    )
