"""Remap a field from its own grid to the cells of another.

A cell gets the mean of n x n bilinearly interpolated values, with n source cells along its side:
an average where the source is finer, an interpolation where it is coarser.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from flexclim.errors import GridError
from flexclim.grids.domain import Edges
from flexclim.grids.grid import DEGREE_KM, Grid
from flexclim.grids.positions import filled_positions, fine_positions
from flexclim.grids.regular_coordinates import spans_globe

# Rounding, and the distance that cell centres may lie beyond the outermost source cells, in source
# cells. Unevenly spaced cells end at their edges.
ROUNDING = 1e-3
BEYOND = 0.5 + ROUNDING

Remap = Callable[[np.ndarray], np.ndarray]


def remapper(own: Grid, grid: Grid, name: str) -> Remap:
    """Return a function that remaps a static field from its own grid to another one.

    Parameters
    ----------
    own
        The field's grid: regular latitude and longitude, or the projected coordinates of ``grid``.
    grid
        The target grid, with 2-D positions where its coordinates are not those of ``own``.
    name
        The field's name, for messages.

    Returns
    -------
    callable
        Maps (y, x) values in the field's stored order, without NaN, to (Y, X) on ``grid`` in
        canonical order.

    Raises
    ------
    GridError
        If the field does not cover the grid, or lies on another projection.

    Examples
    --------
    >>> import xarray as xr
    >>> from flexclim.grids.discovery import find_grid
    >>> orography = xr.DataArray(
    ...     [[0.0, 2.0], [4.0, 6.0]], coords={"lat": [3.0, 1.0], "lon": [1.0, 3.0]}
    ... )
    >>> target = xr.DataArray(np.zeros((2, 2)), coords={"lat": [2.5, 1.5], "lon": [1.5, 2.5]})
    >>> remapper(find_grid(orography), find_grid(target), "z")(orography.values)
    array([[1.5, 2.5],
           [3.5, 4.5]])
    """
    if own.y_values is None or own.x_values is None:
        raise GridError(
            f"static field {name!r} has 2-D positions only. Regrid it to regular latitude and "
            "longitude, or give it the projected coordinates of the field."
        )
    y_edges, x_edges = own.domain.edges
    rows = SourceAxis(
        f"{own.y_name!r} of static field {name!r}", own.y_values, own.y_step, edges=y_edges
    )
    columns = SourceAxis(
        f"{own.x_name!r} of static field {name!r}",
        own.x_values,
        own.x_step,
        turn=own.geographic,
        edges=x_edges,
    )
    if grid.y_values is not None and grid.x_values is not None and same_coordinates(own, grid):
        y_widths, x_widths = _widths(grid)
        in_rows = rows.means(grid.y_values, y_widths)
        in_columns = columns.means(grid.x_values, x_widths)
        return lambda values: grid.canonical((in_columns @ (in_rows @ values).T).T)
    if not own.geographic:
        raise GridError(
            f"static field {name!r} lies on another projection than the field. Regrid it to "
            "regular latitude and longitude."
        )
    pointwise = _pointwise(rows, columns, grid)
    return lambda values: grid.canonical(pointwise(values))


def positions(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return (Y, X) latitude and longitude in degrees, in canonical order.

    Missing ones are those of the nearest cell that has them.

    Raises
    ------
    GridError
        If the grid is projected and has no latitude and longitude.
    """
    latitude, longitude = _stored_positions(grid)
    return grid.canonical(latitude), grid.canonical(longitude)


def check_positions(grid: Grid) -> None:
    """Raise GridError for a projected grid without latitude and longitude."""
    if not grid.geographic and grid.latitude is None:
        raise GridError(
            f"the model needs latitudes, and the field has none along {grid.y!r} and {grid.x!r}. "
            "Add 2-D coordinates latitude and longitude."
        )


class SourceAxis:
    """One axis of the source grid, with its edges if it is unevenly spaced.

    ``turn`` marks longitudes, where 360 is a full turn.
    """

    def __init__(
        self,
        name: str,
        values: np.ndarray,
        step: float,
        *,
        turn: bool = False,
        edges: Edges = None,
    ) -> None:
        self.name, self.values, self.step = name, values, step
        self.turn, self.uneven = turn, edges is not None
        self.wraps = turn and not edges and spans_globe(values.size, step)
        self.span = -BEYOND, values.size - 1 + BEYOND
        if edges is not None:
            ends = self._position(np.array([edges[0], edges[-1]]))
            self.span = float(ends.min()) - ROUNDING, float(ends.max()) + ROUNDING

    def index(self, values: np.ndarray, *, check: bool = True) -> np.ndarray:
        """Return fractional indices of coordinate values."""
        position = self._position(values)
        last = self.values.size - 1
        if self.turn:
            period = abs(360 / self.step)
            west = (last - period) / 2  # halfway between the last and the first cell
            position = (position - west) % period + west
        if check and not self.wraps and not _within(position, *self.span):
            raise GridError(
                f"{self.name} runs from {self.values[0]:g} to {self.values[-1]:g}, and the field "
                f"from {values.min():g} to {values.max():g}. Give one that covers it."
            )
        return position if self.wraps else np.asarray(np.clip(position, 0, last))

    def _position(self, values: np.ndarray) -> np.ndarray:
        """Return fractional indices, beyond the outermost cells by the usual spacing."""
        even: np.ndarray = (values - self.values[0]) / self.step
        if not self.uneven:
            return even
        sign, last = np.sign(self.step), self.values.size - 1
        inside = np.interp(sign * values, sign * self.values, np.arange(last + 1))
        beyond = last + (values - self.values[-1]) / self.step
        position: np.ndarray = np.where(even < 0, even, np.where(beyond > last, beyond, inside))
        return position

    def neighbours(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the cells before and after each index, and the weight of the latter."""
        size = self.values.size
        low = np.floor(position).astype(int)
        if not self.wraps:
            low = np.minimum(low, size - 2)
        return low % size, (low + 1) % size, position - low

    def means(self, values: np.ndarray, widths: np.ndarray) -> sparse.csr_array:
        """Return the (values, source) matrix of means over cells centred on values."""
        parts = _parts(float(np.abs(widths).max()), self.step)
        self.index(values)  # raises where the source does not cover the target
        points = values[:, None] + ((np.arange(parts) + 0.5) / parts - 0.5) * widths[:, None]
        low, high, share = self.neighbours(self.index(points, check=False).ravel())
        rows = np.arange(values.size).repeat(parts)
        return sparse.csr_array(
            (
                np.concatenate([1 - share, share]) / parts,
                (np.concatenate([rows, rows]), np.concatenate([low, high])),
            ),
            shape=(values.size, self.values.size),
        )


def _widths(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the signed widths of rows and columns in stored order."""
    assert grid.y_values is not None
    assert grid.x_values is not None
    y_bounds, x_bounds = grid.y_bounds, grid.x_bounds
    uneven_rows, uneven_columns = (edges is not None for edges in grid.domain.edges)
    rows = np.full(grid.y_values.size, grid.y_step)
    columns = np.full(grid.x_values.size, grid.x_step)
    return (
        np.diff(y_bounds, axis=1)[:, 0] if uneven_rows and y_bounds is not None else rows,
        np.diff(x_bounds, axis=1)[:, 0] if uneven_columns and x_bounds is not None else columns,
    )


def same_coordinates(own: Grid, grid: Grid) -> bool:
    """Return whether two grids use the same coordinates."""
    if own.geographic or grid.geographic:
        return own.geographic and grid.geographic
    units = own.units == grid.units or not own.units or not grid.units
    return units and (own.y_name, own.x_name) == (grid.y_name, grid.x_name)


def _pointwise(rows: SourceAxis, columns: SourceAxis, grid: Grid) -> Remap:
    """Return the remapping to a grid of 2-D positions, in its stored order."""
    latitude, longitude = _stored_positions(grid)
    rows.index(latitude)
    columns.index(longitude)
    parts = _parts(grid.spacing_km / DEGREE_KM, rows.step)
    if parts > 1:
        latitude, longitude = fine_positions(latitude, longitude, parts, point=False)
    above, below, down = rows.neighbours(rows.index(latitude, check=False))
    left, right, across = columns.neighbours(columns.index(longitude, check=False))

    def remap(values: np.ndarray) -> np.ndarray:
        upper = (1 - across) * values[above, left] + across * values[above, right]
        lower = (1 - across) * values[below, left] + across * values[below, right]
        fine = (1 - down) * upper + down * lower
        height, width = fine.shape
        blocks = fine.reshape(height // parts, parts, width // parts, parts)
        return np.asarray(blocks.mean(axis=(1, 3)))

    return remap


def _stored_positions(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    check_positions(grid)
    if grid.geographic and grid.y_values is not None and grid.x_values is not None:
        latitude, longitude = np.meshgrid(grid.y_values, grid.x_values, indexing="ij")
        return latitude, longitude
    return filled_positions(np.asarray(grid.latitude, float), np.asarray(grid.longitude, float))


def _parts(step: float, own_step: float) -> int:
    """Return the number of source cells along a cell of width ``step``, at least 1."""
    ratio = abs(step / own_step)
    return max(1, int(np.ceil(ratio - 1e-6))) if np.isfinite(ratio) else 1


def _within(values: np.ndarray, low: float, high: float) -> bool:
    return bool(values.min() >= low and values.max() <= high)
