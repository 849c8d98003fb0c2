"""Cells of any grid: where they lie, what they cover, and how they neighbour each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from flexclim.errors import GridError
from flexclim.grids.regridding import healpix
from flexclim.grids.regridding.corners import closed_rows, edges_between, span
from flexclim.grids.regridding.healpix import Pixels
from flexclim.grids.regridding.holes import check_holes
from flexclim.grids.regridding.polygons import (
    Polygons,
    great_circle_polygons,
    rectangles,
    vectors,
)
from flexclim.grids.regridding.voronoi import gaussian_rows, voronoi_polygons

# Extents of cells by their fingerprints, since outlines take time.
_EXTENTS: dict[str, tuple[float, float, float, float]] = {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Cells of a grid, numbered in the order of a field's values.

    Parameters
    ----------
    kind
        What was found, in words, such as ``"curvilinear"``.
    dims, shape
        Dimensions of the grid, one or two, and their sizes.
    latitude, longitude
        (n,) centres in degrees; NaN where a cell has no position.
    outlines
        Makes the outlines of the cells.
    rows, columns
        (y, 2) latitudes and (x, 2) longitudes of edges, if cells lie between parallels and
        meridians.
    wraps
        Whether the first column follows on the last one.
    identity
        Arrays that determine the cells.
    pixels
        Of HEALPix, their level and numbers.
    """

    kind: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    latitude: np.ndarray
    longitude: np.ndarray
    outlines: Callable[[], Polygons]
    rows: np.ndarray | None = None
    columns: np.ndarray | None = None
    wraps: bool = False
    identity: tuple[np.ndarray, ...] = ()
    pixels: Pixels | None = None

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        return f"<Cells: {self.kind}, {size} along {', '.join(self.dims)}>"

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.latitude.size

    @cached_property
    def polygons(self) -> Polygons:
        """Outlines of the cells; those without a position are empty."""
        return self.outlines()

    @cached_property
    def areas(self) -> np.ndarray:
        """(n,) areas in steradians."""
        if self.rows is not None and self.columns is not None:
            heights = np.abs(np.diff(np.sin(np.deg2rad(self.rows)), axis=1))
            widths = np.abs(np.diff(np.deg2rad(self.columns), axis=1))
            return np.asarray(heights * widths.T).ravel()
        return self.polygons.areas

    @cached_property
    def centres(self) -> np.ndarray:
        """(n, 3) unit vectors."""
        found = vectors(np.deg2rad(self.longitude), np.sin(np.deg2rad(self.latitude)))
        return np.ascontiguousarray(found.T)

    @cached_property
    def spacing(self) -> np.ndarray:
        """(n,) width of each cell in radians: that of a square of its area."""
        return np.asarray(np.sqrt(self.areas))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what determines the cells."""
        digest = hashlib.sha256(repr((self.kind, self.shape)).encode())
        for values in (self.latitude, self.longitude, *self.identity):
            digest.update(np.ascontiguousarray(values, float).tobytes())
        return digest.hexdigest()[:16]

    def part(self, rows: np.ndarray, columns: np.ndarray) -> Cells:
        """Return the cells of some rows and columns, by their numbers."""
        within = np.ix_(rows, columns)
        latitude, longitude = (
            values.reshape(self.shape)[within] for values in (self.latitude, self.longitude)
        )
        if self.rows is not None and self.columns is not None:
            edges = self.rows[rows], self.columns[columns]
            size = rows.size, columns.size
            return _between_edges(self.dims, size, latitude.ravel(), longitude.ravel(), *edges)
        lats, lons = (corners.reshape(*self.shape, -1)[within] for corners in self.identity)
        return cornered_cells(self.kind, self.dims, latitude, longitude, (lats, lons))

    def extent(self) -> tuple[float, float, float, float]:
        """Return the southern, northern, western and eastern limits in degrees."""
        if self.rows is not None and self.columns is not None:
            south, north = self.rows.min(), self.rows.max()
            return float(south), float(north), *span(self.columns)
        if self.fingerprint not in _EXTENTS:
            _EXTENTS[self.fingerprint] = self._extent()
        return _EXTENTS[self.fingerprint]

    def _extent(self) -> tuple[float, float, float, float]:
        boxes = self.polygons.boxes
        low, high = np.nanmin(boxes[:, 1]), np.nanmax(boxes[:, 3])
        limits = [float(np.rad2deg(np.arcsin(np.clip(z, -1, 1)))) for z in (low, high)]
        return limits[0], limits[1], *span(np.rad2deg(boxes[:, [0, 2]]))


def row_cells(
    dims: tuple[str, str],
    latitude: np.ndarray,
    longitude: np.ndarray,
    rows: np.ndarray | None = None,
    columns: np.ndarray | None = None,
) -> Cells:
    """Return cells between parallels and meridians.

    Parameters
    ----------
    dims
        Names of rows and columns.
    latitude, longitude
        (y,) and (x,) centres in degrees.
    rows, columns
        (y, 2) and (x, 2) edges. Default: halfway between the centres. Rows that end less than
        half a row from a pole are extended to it, if columns go round the sphere.

    >>> row_cells(("lat", "lon"), np.array([60.0, 0.0, -60.0]), np.arange(0.0, 360, 90))
    <Cells: rows and columns, 3 x 4 along lat, lon>
    """
    columns = edges_between(longitude, turn=True) if columns is None else columns
    turned = bool(abs(np.abs(np.diff(columns)).sum() - 360) < 1e-3 * 360 / longitude.size)
    rows = edges_between(latitude) if rows is None else rows
    rows = closed_rows(rows, around=turned)
    every = np.meshgrid(latitude, longitude, indexing="ij")
    size = latitude.size, longitude.size
    cells = _between_edges(dims, size, every[0].ravel(), every[1].ravel(), rows, columns)
    return replace(cells, wraps=turned)


def _between_edges(
    dims: tuple[str, ...],
    shape: tuple[int, int],
    latitude: np.ndarray,
    longitude: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
) -> Cells:
    height, width = shape
    return Cells(
        kind="rows and columns",
        dims=dims,
        shape=shape,
        latitude=latitude,
        longitude=longitude,
        outlines=lambda: rectangles(rows.repeat(width, axis=0), np.tile(columns, (height, 1))),
        rows=rows,
        columns=columns,
        identity=(rows, columns),
    )


def cornered_cells(
    kind: str,
    dims: tuple[str, ...],
    latitude: np.ndarray,
    longitude: np.ndarray,
    corners: tuple[np.ndarray, np.ndarray],
    *,
    wraps: bool = False,
    check: bool = False,
) -> Cells:
    """Return cells whose corners are joined by great circles.

    Parameters
    ----------
    kind, dims
        As in :class:`Cells`.
    latitude, longitude
        Centres in degrees, of the grid's shape.
    corners
        Latitudes and longitudes of corners, (*shape, corners), in order around each cell.
    wraps
        Whether the first column follows on the last one.
    check
        Whether to look for holes when outlines are made.
    """
    lats, lons = (part.reshape(latitude.size, -1) for part in corners)

    def outlines() -> Polygons:
        polygons = great_circle_polygons(lats, lons)
        if check:
            check_holes(lats, lons, polygons)
        return polygons

    return Cells(
        kind=kind,
        dims=dims,
        shape=latitude.shape,
        latitude=latitude.ravel(),
        longitude=longitude.ravel(),
        outlines=outlines,
        wraps=wraps,
        identity=(lats, lons),
    )


def healpix_cells(
    dim: str, level: int, number: np.ndarray | None = None, *, nested: bool = True
) -> Cells:
    """Return HEALPix pixels.

    Parameters
    ----------
    dim
        Name of their dimension.
    level
        Level (order, refinement level): the sphere has 12 x 4^level pixels.
    number
        (n,) numbers of the pixels. Default: the whole sphere.
    nested
        Whether pixels are numbered in the nested scheme, not along rings.

    Raises
    ------
    GridError
        If the numbers are not those of pixels of this level.
    """
    if not 0 <= level <= healpix.DEEPEST:
        raise GridError(f"HEALPix level {level} is not one of 0 to {healpix.DEEPEST}.")
    last = 12 * 4**level - 1
    number = np.arange(last + 1) if number is None else np.asarray(number).astype(np.int64)
    if number.size and (number.min() < 0 or number.max() > last):
        raise GridError(
            f"HEALPix cells are numbered {number.min()} to {number.max()}; at level {level} "
            f"numbers run from 0 to {last}. Check the level."
        )
    latitude, longitude = healpix.centres(level, number, nested=nested)
    return Cells(
        kind=f"HEALPix level {level}, {'nested' if nested else 'ring'}",
        dims=(dim,),
        shape=number.shape,
        latitude=latitude,
        longitude=longitude,
        outlines=lambda: healpix.outlines(level, number, nested=nested),
        pixels=Pixels(level, number if nested else healpix.nested_numbers(level, number)),
    )


def listed_cells(dim: str, latitude: np.ndarray, longitude: np.ndarray) -> Cells:
    """Return the cells of a list of points.

    Points along full rows of equal latitude, as of a reduced Gaussian grid, get cells between
    parallels and meridians; others the part of the sphere that is nearest to them, up to twice
    their usual distance.

    Parameters
    ----------
    dim
        Name of their dimension.
    latitude, longitude
        (n,) degrees.
    """
    edges = gaussian_rows(latitude, longitude)
    if edges is not None:
        kind, outlines = "reduced Gaussian", lambda: rectangles(*edges)
    else:
        kind, outlines = "points", lambda: voronoi_polygons(latitude, longitude)
    return Cells(
        kind=kind,
        dims=(dim,),
        shape=latitude.shape,
        latitude=latitude,
        longitude=longitude,
        outlines=outlines,
    )
