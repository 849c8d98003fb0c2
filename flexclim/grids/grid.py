"""The regular grid of a field: coordinates, stored and canonical order, refining, coarsening."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from flexclim.errors import GridError
from flexclim.grids.arguments import is_whole, shown
from flexclim.grids.cell_corners import cell_areas, cell_corners, joined_corners, split_corners
from flexclim.grids.domain import Domain, Kind, domain_of
from flexclim.grids.positions import (
    coarse_positions,
    fine_positions,
    map_positions,
    row_distance,
)
from flexclim.grids.regular_coordinates import cell_bounds, coarsen_values, refine_values
from flexclim.grids.uneven_axes import edge_pairs

if TYPE_CHECKING:
    import dask.array as da

A = TypeVar("A", bound="np.ndarray | da.Array")
LARGEST_FACTOR = 10_000  # of refinement; larger ones are mistakes
# Corners are written for so many fine cells: areas from centres differ where cells are large.
FEW_CELLS = 2**20
DEGREE_KM = 111.195  # of a great circle, on a sphere of 6371 km


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Rows and columns of a field in stored order, and the way to canonical order.

    Parameters
    ----------
    y, x
        Dimensions.
    y_name, x_name
        Their 1-D coordinates; None if there are only 2-D latitudes and longitudes.
    y_values, x_values
        (y,) and (x,) values of these in stored order, in ``units``, without rounding errors.
    y_step, x_step
        Their signed spacing; NaN where there are none.
    domain
        Shape and borders in canonical order.
    flip_y, flip_x
        Whether rows are stored from south to north, columns from east to west.
    shift_x
        Column, counted eastward, that is column 0 in canonical order on a global grid.
    geographic
        Whether the coordinates are latitude and longitude.
    units
        ``"degrees"``, or those of projected coordinates: as given, else ``"m"`` or ``"km"`` if
        inferred from latitude and longitude, else empty.
    latitude, longitude
        (y, x) degrees in stored order, numpy or dask, for projected grids that have them.
    latitude_name, longitude_name
        Their names.
    corners
        (2, y, x, 4) latitudes and longitudes of the corners of cells with 2-D positions only, see
        :mod:`flexclim.grids.cell_corners`.
    corner_names
        Names of their latitudes and longitudes, if the file has corners.
    """

    y: str
    x: str
    y_name: str | None
    x_name: str | None
    y_values: np.ndarray | None
    x_values: np.ndarray | None
    y_step: float
    x_step: float
    domain: Domain
    flip_y: bool
    flip_x: bool
    shift_x: int = 0
    geographic: bool
    units: str
    latitude_name: str | None = None
    longitude_name: str | None = None
    latitude: np.ndarray | da.Array | None = None
    longitude: np.ndarray | da.Array | None = None
    corners: np.ndarray | None = None
    corner_names: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"<Grid: {self.summary}>"

    @property
    def summary(self) -> str:
        """Extent, size, spacing and corners in one line."""
        height, width = self.domain.shape
        extent = "global" if self.domain.wrap else "regional"
        if self.y_values is None or self.x_values is None:
            where = f"at 2-D {self.latitude_name} and {self.longitude_name}"
        else:
            rows, columns = (
                f"{'about ' * (edges is not None)}{abs(step):.4g}"
                for edges, step in zip(self.domain.edges, (self.y_step, self.x_step), strict=True)
            )
            steps = f"{rows} x {columns} {self.units}".rstrip()
            where = (
                f"of {steps}, "
                f"{self.y_name} {self.y_values[0]:g} to {self.y_values[-1]:g}, "
                f"{self.x_name} {self.x_values[0]:g} to {self.x_values[-1]:g}"
            )
        return f"{extent}, {height} x {width} {self.domain.kind}s {where}"

    @property
    def row_sines(self) -> np.ndarray | None:
        """(y, 3) sines of the latitudes of each canonical row: one edge, its centre, the other.

        Their differences are relative areas on the sphere. Unevenly spaced rows of a projected
        grid have lengths instead; None: all rows have equal areas.
        """
        edges, centres = self.y_bounds, self.y_values
        if edges is None or centres is None:
            return None
        if self.units != "degrees":
            return None if self.domain.y_edges is None else self._lengths(edges)
        latitudes = np.stack([edges[:, 0], np.clip(centres, -90, 90), edges[:, 1]], axis=1)
        sines: np.ndarray = np.sin(np.deg2rad(latitudes))
        return sines[::-1, ::-1].copy() if self.flip_y else sines

    def _lengths(self, edges: np.ndarray) -> np.ndarray:
        lengths = np.stack([edges[:, 0], edges.mean(axis=1), edges[:, 1]], axis=1)
        return lengths[::-1, ::-1].copy() if self.flip_y else lengths

    @property
    def cell_areas(self) -> np.ndarray | None:
        """(y, x) areas of curvilinear cells in canonical order, on the unit sphere; else None."""
        return None if self.corners is None else self.canonical(cell_areas(self.corners))

    @property
    def row_area(self) -> np.ndarray | None:
        """(y,) relative area of a cell of each canonical row; None: all are equal."""
        sines = self.row_sines
        return None if sines is None else np.abs(sines[:, 2] - sines[:, 0])

    @property
    def y_bounds(self) -> np.ndarray | None:
        """(y, 2) edges of the rows in stored order; latitudes end at the poles."""
        if self.y_values is None:
            return None
        if self.domain.y_edges is not None:
            return edge_pairs(self.domain.y_edges, flip=self.flip_y)
        edges = cell_bounds(self.y_values, self.y_step)
        return np.clip(edges, -90, 90) if self.units == "degrees" else edges

    @property
    def x_bounds(self) -> np.ndarray | None:
        """(x, 2) edges of the columns in stored order."""
        if self.x_values is None:
            return None
        if self.domain.x_edges is not None:
            return edge_pairs(self.domain.x_edges, flip=self.flip_x)
        return cell_bounds(self.x_values, self.x_step)

    @property
    def spacing_km(self) -> float:
        """Distance between rows in km; NaN if the coordinates don't tell."""
        scale = {"degrees": DEGREE_KM, "m": 1e-3, "km": 1.0}.get(self.units)
        if scale is not None:
            return abs(self.y_step) * scale
        if isinstance(self.latitude, np.ndarray) and isinstance(self.longitude, np.ndarray):
            return DEGREE_KM * row_distance(self.latitude, self.longitude)
        return float("nan")

    @property
    def spacings_km(self) -> tuple[float, ...]:
        """The smallest and the largest distance between rows in km; one where rows are even."""
        if self.domain.y_edges is None:
            return (self.spacing_km,)
        widths = np.abs(np.diff(self.domain.y_edges)) / abs(self.y_step) * self.spacing_km
        return float(widths.min()), float(widths.max())

    def as_kind(self, kind: Kind | None) -> Grid:
        """Return this grid with its values taken as means over cells or as points.

        Equal to ``find_grid(obj, kind)`` for a grid found in ``obj``.

        Parameters
        ----------
        kind
            ``"cell"`` or ``"point"``; None: points if rows lie on both poles, else cells.

        Raises
        ------
        GridError
            If ``kind`` is something else.
        """
        domain = domain_of(
            self.domain.shape,
            self.y_values,
            self.y_step,
            self.x_step,
            kind,
            geographic=self.geographic,
            y_edges=self.domain.y_edges,
            x_edges=self.domain.x_edges,
            wrap=self.domain.wrap,
        )
        return replace(self, domain=domain)

    def without_positions(self) -> Grid:
        """Return this grid without 2-D positions and corners, as plain data."""
        return replace(self, latitude=None, longitude=None, corners=None)

    def with_corners(self) -> Grid:
        """Return this grid with the corners of its cells, if it has 2-D positions only.

        They are the file's, or lie between the centres.
        """
        if self.corners is not None or self.y_values is not None:
            return self
        if self.domain.kind == "point" or not isinstance(self.latitude, np.ndarray):
            return self
        assert isinstance(self.longitude, np.ndarray)
        corners = cell_corners(self.latitude, self.longitude, wraps=self.domain.wrap)
        return replace(self, corners=corners)

    def with_few_corners(self, factor: int) -> Grid:
        """Return this grid, with corners unless it is split into very many fine cells."""
        height, width = self.domain.shape
        return self.with_corners() if height * width * factor**2 <= FEW_CELLS else self

    def canonical(self, array: A) -> A:
        """Return an array (..., y, x), numpy or dask, in canonical order."""
        return self._rolled(self._flipped(array), -self.shift_x)

    def restore(self, array: A) -> A:
        """Return a canonical array (..., y, x), numpy or dask, in stored order."""
        return self._flipped(self._rolled(array, self.shift_x))

    def refined(self, factor: int) -> Grid:
        """Return the fine grid nested in this one, in the same stored order.

        Raises
        ------
        GridError
            If ``factor`` is not a whole number, or a cell on a pole would be split.
        """
        if factor == 1:
            return self
        factor = whole_factor(factor)
        domain = self.domain.refine(factor)
        point = domain.kind == "point"
        fine = self._resized(
            domain,
            factor,
            shift_x=self.shift_x * factor,
            resized=partial(refine_values, factor=factor, point=point),
            columns={"last": not domain.wrap},
            scale=1 / factor,
            positions=partial(fine_positions, factor=factor, point=point, wrap=domain.wrap),
            corners=split_corners,
        )
        if self.units == "degrees":
            self._check_within_poles(fine)
        return fine

    def coarsened(self, factor: int) -> Grid:
        """Return the coarse grid whose canonical blocks begin at this one's first cell.

        Raises
        ------
        GridError
            If ``factor`` is not a whole number of at least 2, or does not fit; the message gives
            the nearest crop that fits.
        """
        factor = whole_factor(factor)
        domain = self.domain.coarsen(factor)
        point = domain.kind == "point"
        # The block that contains the first stored column may begin before it; it comes last.
        shift, first = divmod(self.shift_x, factor)
        return self._resized(
            domain,
            factor,
            shift_x=shift,
            resized=partial(coarsen_values, factor=factor, point=point),
            columns={"first": first},
            scale=factor,
            positions=partial(coarse_positions, factor=factor, point=point),
            corners=joined_corners,
        )

    def aligned(self, factor: int) -> Grid:
        """Return this grid with canonical column 0 at the edge of a block of ``factor`` columns.

        By default it is at 0 degrees. If blocks counted from the lowest longitude are centred on
        multiples of their width, the grid was refined from one with a cell centred on 0 degrees,
        and column 0 is at the lowest longitude.
        """
        if not self.domain.wrap or self.domain.kind == "point" or self.x_values is None:
            return self
        step = abs(self.x_step)
        off_centre = (self.x_values.min() + (factor - 1) / 2 * step) / (factor * step)
        if abs(off_centre - round(off_centre)) > 1e-3:
            return self
        values = self.x_values[::-1] if self.flip_x else self.x_values
        return replace(self, shift_x=int(values.argmin()))

    def _flipped(self, array: A) -> A:
        if self.flip_y:
            array = cast(A, array[..., ::-1, :])
        return cast(A, array[..., ::-1]) if self.flip_x else array

    def _rolled(self, array: A, columns: int) -> A:
        # numpy passes a dask array on to dask.
        return cast(A, np.roll(array, columns, axis=-1)) if columns else array

    def _check_within_poles(self, fine: Grid) -> None:
        if self.y_values is None or fine.y_values is None:
            return
        for index, keep in ((0, "1, None"), (-1, "None, -1")):
            if abs(fine.y_values[index]) > 90 + 1e-6:
                raise GridError(
                    f"{self.y_name!r} has cells at {self.y_values[index]:g} degrees, and finer "
                    f"ones would lie at {fine.y_values[index]:g}, beyond the pole. Drop that row "
                    f'with .isel({self.y}=slice({keep})), or pass grid="point" (--grid point at '
                    "the shell)."
                )

    def _resized(
        self,
        domain: Domain,
        factor: int,
        *,
        shift_x: int,
        resized: Callable[..., np.ndarray],
        columns: dict[str, int],
        scale: float,
        positions: Callable[..., np.ndarray],
        corners: Callable[[np.ndarray, int], np.ndarray],
    ) -> Grid:
        y_values, x_values = self.y_values, self.x_values
        if y_values is not None and x_values is not None:
            y_values = resized(y_values, self.y_step)
            # Blocks of columns begin in the west.
            order = slice(None, None, -1 if self.flip_x else 1)
            x_values = resized(x_values[order], abs(self.x_step), **columns)[order]
            if domain.y_edges is not None:
                y_values = edge_pairs(domain.y_edges, flip=self.flip_y).mean(axis=1)
            if domain.x_edges is not None:
                x_values = edge_pairs(domain.x_edges, flip=self.flip_x).mean(axis=1)
        latitude, longitude = self.latitude, self.longitude
        if latitude is not None and longitude is not None:
            latitude, longitude = map_positions(positions, latitude, longitude, domain.shape)
        return replace(
            self,
            domain=domain,
            shift_x=shift_x,
            y_values=y_values,
            x_values=x_values,
            y_step=self.y_step * scale,
            x_step=self.x_step * scale,
            latitude=latitude,
            longitude=longitude,
            corners=None if self.corners is None else corners(self.corners, factor),
        )


def whole_factor(factor: int) -> int:
    """Return ``factor`` if it is a whole number of at least 2, else raise GridError."""
    if not is_whole(factor) or factor < 2:
        raise GridError(
            f"factor {shown(factor)} is not a whole number of at least 2. Pass 2, 4 or 8."
        )
    if factor > LARGEST_FACTOR:
        raise GridError(f"factor {shown(factor)} is above {LARGEST_FACTOR}. Pass 2, 4 or 8.")
    return operator.index(factor)
