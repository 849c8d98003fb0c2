"""Maps with bundled coastlines; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.discovery import find_grid
from flexclim.grids.positions import filled_positions
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.plotting.unit_labels import units_of

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection, QuadMesh
    from matplotlib.figure import Figure, SubFigure

REGION = 60.0  # degrees of latitude; a smaller map has the shape of its region
FEW = 300  # stations that get large dots


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

    >>> from matplotlib.figure import Figure
    >>> ax = Figure().add_subplot(xlim=(-10, 30), ylim=(35, 70))
    >>> draw_coastlines(ax)
    >>> len(ax.collections)
    1
    """
    from cartopy.mpl.geoaxes import GeoAxes

    centre = _plate_carree_centre(ax) if isinstance(ax, GeoAxes) else 0.0
    if isinstance(ax, GeoAxes) and centre is None:
        import cartopy.crs as ccrs
        from shapely.geometry import MultiLineString

        shapes = MultiLineString(coastlines())
        style = {"facecolor": "none", "edgecolor": color, "linewidth": linewidth}
        ax.add_geometries([shapes], crs=ccrs.PlateCarree(), **style)
        return
    from matplotlib.collections import LineCollection

    turns = [
        line + np.array([turn - (centre or 0.0), 0.0])
        for turn in (-360, 0, 360)
        for line in coastlines()
    ]
    lines = LineCollection(turns, colors=color, linewidths=linewidth, transform=ax.transData)
    ax.add_collection(lines, autolim=False)


def map_axes(
    figure: Figure | SubFigure, rows: int, columns: int, index: int, field: xr.DataArray
) -> GeoAxes:
    """Add axes in plate carrée projection with the extent of ``field``.

    ``rows``, ``columns`` and ``index`` are those of ``Figure.add_subplot``.

    >>> from matplotlib.figure import Figure
    >>> field = xr.DataArray(np.eye(3), {"lat": [50.0, 51.0, 52.0], "lon": [5.0, 6.0, 7.0]})
    >>> ax = map_axes(Figure(), 1, 1, 1, field)
    >>> [float(edge) for edge in ax.get_ylim()]
    [49.5, 52.5]
    """
    import cartopy.crs as ccrs

    longitude, latitude = positions(field)
    west, east = _extent(longitude, listed=field.ndim == 1)
    south, north = np.clip(_extent(latitude, listed=field.ndim == 1), -90, 90)
    centre = (west + east) / 2
    west, east = max(west, centre - 180), min(east, centre + 180)
    projection = ccrs.PlateCarree(central_longitude=centre)
    ax = figure.add_subplot(rows, columns, index, projection=projection)
    ax.set(xlim=(west - centre, east - centre), ylim=(south, north))
    if north - south < REGION:  # the length of a degree of longitude at the region's latitude
        ax.set_aspect(1 / np.cos(np.deg2rad((south + north) / 2)))
    return ax


def map_or_plain_axes(
    figure: Figure | SubFigure, rows: int, columns: int, index: int, field: xr.DataArray
) -> Axes:
    """Return map axes, or plain ones for a grid without latitudes and longitudes."""
    try:
        ax: Axes = map_axes(figure, rows, columns, index, field)
    except GridError:
        ax = figure.add_subplot(rows, columns, index)
        ax.set_aspect("equal")
    return ax


def draw_map(
    ax: GeoAxes, field: xr.DataArray, *, title: str = "", **style: Any
) -> QuadMesh | PathCollection:
    """Draw one field with coastlines.

    Parameters
    ----------
    ax
        Axes from :func:`map_axes`.
    field
        (y, x) with latitude and longitude, 1-D or 2-D, or values at (station,) positions; NaN
        stays blank.
    title
        Title of the map.
    **style
        Options of ``pcolormesh``, such as ``cmap``, ``vmin``, ``vmax``, ``norm``.

    Returns
    -------
    QuadMesh or PathCollection
        For a colour bar.

    Raises
    ------
    GridError
        If no grid is found, or it is projected and has no latitude and longitude.

    >>> from matplotlib.figure import Figure
    >>> figure = Figure()
    >>> field = xr.DataArray(np.eye(3), {"lat": [50.0, 51.0, 52.0], "lon": [5.0, 6.0, 7.0]})
    >>> mesh = draw_map(map_axes(figure, 1, 1, 1, field), field, cmap="viridis")
    >>> bar = figure.colorbar(mesh)
    """
    import cartopy.crs as ccrs

    longitude, latitude = positions(field)
    centre, transform = _plate_carree_centre(ax), ccrs.PlateCarree()
    if centre is not None and longitude.ndim == 1:
        # In the projection's own coordinates, which cartopy need not transform cell by cell.
        east, transform = longitude - centre, ax.projection
        longitude = east - 360 * np.round((np.nanmin(east) + np.nanmax(east)) / 720)
    draw: Any
    if field.ndim == 1:
        few = field.size <= FEW
        dots = {"s": 30 if few else 6, "edgecolors": "0.3" if few else "none", "lw": 0.4}
        draw = ax.scatter(longitude, latitude, c=field.values, transform=transform, **dots | style)
    else:
        grid = find_grid(field)
        mesh = {"shading": "nearest", "rasterized": True} | style
        values = field.transpose(grid.y, grid.x).values
        if longitude.ndim == 2:  # cells without a position, such as land of an ocean model
            lost = np.isnan(longitude) | np.isnan(latitude)
            latitude, longitude = filled_positions(latitude, longitude)
            values = np.where(lost, np.nan, values)
        draw = ax.pcolormesh(longitude, latitude, values, transform=transform, **mesh)
    draw_coastlines(ax)
    ax.set_title(title, fontsize="medium")
    return cast("QuadMesh | PathCollection", draw)


def draw_field(
    ax: Axes, field: xr.DataArray, *, title: str = "", **style: Any
) -> QuadMesh | PathCollection:
    """Draw one field on axes from :func:`map_or_plain_axes`; the rest is as in :func:`draw_map`."""
    if hasattr(ax, "projection"):
        return draw_map(cast("GeoAxes", ax), field, title=title, **style)
    ax.set_title(title, fontsize="medium")
    return ax.pcolormesh(field.values, rasterized=True, **style)


def add_colour_bar(
    figure: Figure | SubFigure,
    mesh: QuadMesh | PathCollection,
    axes: Sequence[Axes],
    field: xr.DataArray,
) -> None:
    """Add a colour bar with the units of ``field``, with tips where values lie beyond its ends."""
    low, high = mesh.get_clim()
    tips = bool((field < low).any()), bool((field > high).any())
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
    bar = figure.colorbar(
        mesh, ax=list(axes), shrink=0.85, pad=0.02, extend=extend.get(tips, "neither")
    )
    bar.set_label(units_of(field))


def shape_of(ax: Axes) -> float:
    """Return the height of a map as a share of its width."""
    shape = abs(np.diff(ax.get_ylim())[0] / np.diff(ax.get_xlim())[0])
    aspect = ax.get_aspect()
    return float(np.clip(shape * (1.0 if aspect == "auto" else aspect), 0.25, 1.5))


def label_degrees(ax: Axes, *, left: bool = True, bottom: bool = True) -> None:
    """Label latitudes and longitudes of a map from :func:`map_axes` at its edges."""
    centre = _plate_carree_centre(cast("GeoAxes", ax)) or 0.0
    for axis, wanted, limits, offset, signs in (
        (ax.xaxis, bottom, ax.get_xlim(), centre, "EW"),
        (ax.yaxis, left, ax.get_ylim(), 0.0, "NS"),
    ):
        ticks = _round_degrees(limits[0] + offset, limits[1] + offset)
        axis.set_visible(True)
        axis.set_ticks(ticks - offset, [degree_text(tick, signs) for tick in ticks])
        axis.set_tick_params(
            labelsize="x-small", length=2, color="0.5", labelleft=wanted, labelbottom=wanted
        )


def _round_degrees(low: float, high: float) -> np.ndarray:
    """Return up to five round degrees between two limits."""
    from matplotlib.ticker import MaxNLocator

    ticks = np.asarray(MaxNLocator(4, steps=[1, 2, 3, 5, 6, 10]).tick_values(low, high))
    return ticks[(ticks >= low) & (ticks <= high)]


def degree_text(value: float, signs: str) -> str:
    """Return degrees with the sign as a letter.

    >>> degree_text(-10.0, "EW"), degree_text(190.0, "EW"), degree_text(47.5, "NS")
    ('10°W', '170°W', '47.5°N')
    """
    turned = (value + 180) % 360 - 180
    if abs(turned) == 180 or turned == 0:
        return f"{abs(turned):g}°"
    return f"{abs(turned):g}°{signs[int(turned < 0)]}"


def positions(field: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude and latitude: 1-D on a grid in degrees and of stations, else 2-D (y, x).

    Raises
    ------
    GridError
        If no grid is found, or it is projected and has no latitude and longitude.
    """
    if field.ndim == 1:
        cells = cells_of(field)
        return cells.longitude, cells.latitude
    grid = find_grid(field)
    if grid.geographic and grid.x_values is not None and grid.y_values is not None:
        return grid.x_values, grid.y_values
    if grid.longitude is None or grid.latitude is None:
        raise GridError(
            f"{grid} has no latitude and longitude. Add them as coordinates ({grid.y}, {grid.x}) "
            "to draw a map."
        )
    return np.asarray(grid.longitude), np.asarray(grid.latitude)


def _plate_carree_centre(ax: GeoAxes) -> float | None:
    """Return the longitude at x = 0 of a plate carrée map; None of any other projection."""
    import cartopy.crs as ccrs

    if not isinstance(ax.projection, ccrs.PlateCarree):
        return None
    known = ax.projection.proj4_params
    return float(known.get("pm", known.get("lon_0", 0.0)))


def _extent(values: np.ndarray, *, listed: bool = False) -> tuple[float, float]:
    """Return the outer edges: half a spacing beyond the first and the last position.

    Of positions that are ``listed``, the margin is a twentieth of their range.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.0
    if listed:
        margin = max((high - low) / 20, 0.1)
    elif values.ndim == 1:
        margin = float(np.abs(np.diff(values)).mean()) / 2
    return low - margin, high + margin
