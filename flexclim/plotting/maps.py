"""Maps with bundled coastlines; nothing is downloaded."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.discovery import find_grid
from flexclim.grids.grid import Grid

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure


def coastlines_file() -> Path:
    """Return the file of coastlines, Natural Earth 1:110m."""
    return Path(__file__).parent / "coastlines" / "coast110.npz"


@cache
def coastlines() -> tuple[np.ndarray, ...]:
    """Return coastlines, Natural Earth 1:110m, split at the date line.

    Returns
    -------
    tuple of ndarray
        Each (n, 2): longitude and latitude in degrees.

    >>> len(coastlines())
    130
    """
    with np.load(coastlines_file()) as stored:
        points, offsets = stored["xy"] / 100.0, stored["offsets"]
    return tuple(np.split(points, offsets[1:-1]))


def draw_coastlines(ax: Axes, *, color: str = "0.25", linewidth: float = 0.5) -> None:
    """Draw coastlines on a map, or on plain axes of longitude and latitude.

    Parameters
    ----------
    ax
        A cartopy ``GeoAxes`` of any projection, or plain axes in degrees. On plain axes lines are
        repeated 360 degrees to the east and west, and limits are not changed.
    color, linewidth
        Line style, as in matplotlib.
    """
    from cartopy.mpl.geoaxes import GeoAxes

    if isinstance(ax, GeoAxes):
        import cartopy.crs as ccrs
        from shapely.geometry import MultiLineString

        lines = MultiLineString(coastlines())
        style = {"facecolor": "none", "edgecolor": color, "linewidth": linewidth}
        ax.add_geometries([lines], crs=ccrs.PlateCarree(), **style)
        return
    from matplotlib.collections import LineCollection

    turns = [line + np.array([turn, 0.0]) for turn in (-360, 0, 360) for line in coastlines()]
    ax.add_collection(LineCollection(turns, colors=color, linewidths=linewidth), autolim=False)


def map_axes(figure: Figure, rows: int, columns: int, index: int, field: xr.DataArray) -> GeoAxes:
    """Add axes in plate carrée projection with the extent of ``field``.

    ``rows``, ``columns`` and ``index`` are those of ``Figure.add_subplot``.
    """
    import cartopy.crs as ccrs

    longitude, latitude = _positions(find_grid(field))
    west, east = _extent(longitude)
    south, north = np.clip(_extent(latitude), -90, 90)
    centre = (west + east) / 2
    projection = ccrs.PlateCarree(central_longitude=centre)
    ax = figure.add_subplot(rows, columns, index, projection=projection)
    ax.set(xlim=(west - centre, east - centre), ylim=(south, north))
    return ax


def draw_map(ax: GeoAxes, field: xr.DataArray, *, title: str = "", **style: Any) -> QuadMesh:
    """Draw one field with coastlines.

    Parameters
    ----------
    ax
        Axes from :func:`map_axes`.
    field
        (y, x) with latitude and longitude, 1-D or 2-D; NaN stays blank.
    title
        Title of the map.
    **style
        Options of ``pcolormesh``, such as ``cmap``, ``vmin``, ``vmax``, ``norm``.

    Returns
    -------
    QuadMesh
        For a colour bar.

    Raises
    ------
    GridError
        If no grid is found, or it is projected and has no latitude and longitude.
    """
    import cartopy.crs as ccrs

    grid = find_grid(field)
    longitude, latitude = _positions(grid)
    mesh: QuadMesh = ax.pcolormesh(
        longitude,
        latitude,
        field.transpose(grid.y, grid.x).values,
        transform=ccrs.PlateCarree(),
        shading="nearest",
        rasterized=True,
        **style,
    )
    draw_coastlines(ax)
    ax.set_title(title, fontsize="medium")
    return mesh


def _positions(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude and latitude: 1-D on a grid in degrees, else 2-D (y, x)."""
    if grid.geographic and grid.x_values is not None and grid.y_values is not None:
        return grid.x_values, grid.y_values
    if grid.longitude is None or grid.latitude is None:
        raise GridError(
            f"{grid} has no latitude and longitude. Add them as coordinates ({grid.y}, {grid.x}) "
            "to draw a map."
        )
    return np.asarray(grid.longitude), np.asarray(grid.latitude)


def _extent(positions: np.ndarray) -> tuple[float, float]:
    """Return the outer edges, half a spacing beyond the first and the last position."""
    half = np.abs(np.diff(positions, axis=-1)).mean() / 2 if positions.ndim == 1 else 0.0
    return float(np.nanmin(positions) - half), float(np.nanmax(positions) + half)
