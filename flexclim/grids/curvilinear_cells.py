"""Cells of a grid with 2-D positions only: their corners, and how the grid closes on itself."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from flexclim.errors import warn
from flexclim.grids.axes import Axes
from flexclim.grids.cell_corners import cell_corners
from flexclim.grids.grid import Grid
from flexclim.grids.regridding.corners import goes_round, repeated


@dataclass(frozen=True, kw_only=True, eq=False)
class CurvilinearCells:
    """What is known of curvilinear cells.

    Parameters
    ----------
    wraps
        Whether the first column follows on the last one.
    corners, names
        As in :class:`Grid`; None: the file has none.
    """

    wraps: bool = False
    corners: np.ndarray | None = None
    names: tuple[str, str] | None = None


def find_cells(
    axes: Axes,
    coordinates: Mapping[Hashable, xr.DataArray] | Mapping[Hashable, xr.Variable],
    latitude: np.ndarray,
    longitude: np.ndarray,
) -> CurvilinearCells:
    """Find the cells of a grid with (y, x) positions."""
    wraps = goes_round(latitude, longitude)
    names = []
    for name in (axes.latitude, axes.longitude):
        own = coordinates[name]
        stated = own.attrs.get("bounds", getattr(own, "encoding", {}).get("bounds"))
        if stated in coordinates and _are_corners(coordinates[stated], axes):
            names.append(str(stated))
    if len(names) < 2:
        return CurvilinearCells(wraps=wraps)
    north, east = (
        np.asarray(coordinates[name].transpose(axes.y, axes.x, ...), float) for name in names
    )
    corners = cell_corners(latitude, longitude, (north, east), wraps=wraps)
    return CurvilinearCells(wraps=wraps, corners=corners, names=(names[0], names[1]))


def _are_corners(bounds: xr.DataArray | xr.Variable, axes: Axes) -> bool:
    four = bounds.ndim == 3 and {axes.y, axes.x} < set(bounds.dims) and bounds.dtype.kind == "f"
    return four and bounds.sizes[(set(bounds.dims) - {axes.y, axes.x}).pop()] == 4


def warn_of_repeated(grid: Grid) -> None:
    """Warn if a curvilinear grid repeats columns where it closes, or rows where it folds."""
    latitude, longitude = grid.latitude, grid.longitude
    if grid.y_values is not None or not isinstance(latitude, np.ndarray):
        return
    assert isinstance(longitude, np.ndarray)
    twice = repeated(latitude, longitude)
    found, kept = [], []
    for dim, share in ((grid.y, twice.mean(axis=1)), (grid.x, twice.mean(axis=0))):
        (at,) = np.nonzero(share > 0.5)
        inner = np.flatnonzero(share <= 0.5)
        if at.size and inner.size:
            found.append(f"{dim} = {', '.join(map(str, at))}")
            end = int(inner[-1]) + 1
            stop = None if end == share.size else end - share.size
            kept.append(f"{dim}=slice({inner[0] or None}, {stop})")
    if found:
        warn(
            f"the grid closes on itself: cells at {' and '.join(found)} repeat others, and fine "
            f"values of the two differ. Drop them first with .isel({', '.join(kept)})."
        )
