"""Find the grid of a field from its coordinates."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import xarray as xr

from flexclim.errors import GridError, suggest_options, warn
from flexclim.grids.arguments import check_fields, names_of
from flexclim.grids.attributes import remembered_kind, with_plain_attributes
from flexclim.grids.axes import Axes, find_axes
from flexclim.grids.curvilinear_cells import CurvilinearCells, find_cells
from flexclim.grids.domain import Edges, Kind, domain_of
from flexclim.grids.grid import DEGREE_KM, Grid
from flexclim.grids.positions import known_positions, row_distance, stored_order
from flexclim.grids.regular_coordinates import is_uneven, regular_values, sorted_values
from flexclim.grids.uneven_axes import close_poles, uneven_edges

# Largest change of a position in time that rounding explains, in degrees.
STILL = 1e-4
# Distance of a value from the middle of its bounds that is no rounding, in spacings.
OFF_CENTRE = 0.05

if TYPE_CHECKING:
    import dask.array as da

    Positions = np.ndarray | da.Array | None
    Coordinates = Mapping[Hashable, xr.DataArray] | Mapping[Hashable, xr.Variable]


@suggest_options
def find_grid(
    obj: xr.Dataset | xr.DataArray,
    kind: Kind | None = None,
    variables: Collection[str] | None = None,
) -> Grid:
    """Find the grid of a field from its coordinates; no data is computed.

    Parameters
    ----------
    obj
        Fields (..., y, x).
    kind
        ``"cell"`` or ``"point"``, where the coordinates don't tell. Default: as an earlier result
        of flexclim remembers, else points if rows lie on both poles, else cells.
    variables
        The fields of a Dataset whose grid is sought, where it has several, such as a staggered
        one. Default: all.

    Raises
    ------
    GridError
        If no grid is found, or its rows or columns are not in order.

    Examples
    --------
    >>> find_grid(xr.DataArray(
    ...     np.zeros((3, 4)),
    ...     coords={"lat": [60.0, 0.0, -60.0], "lon": [-180.0, -90.0, 0.0, 90.0]},
    ... ))
    <Grid: global, 3 x 4 cells of 60 x 90 degrees, lat 60 to -60, lon -180 to 90>
    """
    check_fields(obj)
    obj = with_plain_attributes(obj)
    axes = find_axes(obj, names_of(variables) or ())
    coordinates = obj.variables if isinstance(obj, xr.Dataset) else obj.coords
    latitude, longitude = _positions(axes, coordinates)
    y_values = x_values = None
    y_step = x_step = np.nan
    y_edges = x_edges = None
    cells = CurvilinearCells()
    if axes.y_name and axes.x_name:
        geographic = axes.geographic
        y_values, y_step, y_edges = _axis(axes.y_name, coordinates, latitude=geographic)
        x_values, x_step, x_edges = _axis(axes.x_name, coordinates, longitude=geographic)
        flip_y, flip_x = y_step > 0, x_step < 0
    else:
        latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
        flip_y, flip_x = stored_order(latitude, longitude)
        cells = find_cells(axes, coordinates, latitude, longitude)
    units = axes.units or _length(y_step, latitude, longitude)
    if units == "degrees":
        _check_latitudes(str(axes.y_name), y_values, y_step)
    shape = obj.sizes[axes.y], obj.sizes[axes.x]
    rows = axes.y_name or axes.latitude
    if kind is None and rows in coordinates:
        kind = cast("Kind | None", remembered_kind(coordinates[rows].attrs, y_step))
    domain = domain_of(
        shape,
        y_values,
        y_step,
        x_step,
        kind,
        geographic=axes.geographic,
        y_edges=y_edges and y_edges[:: -1 if flip_y else 1],
        x_edges=x_edges and x_edges[:: -1 if flip_x else 1],
        wrap=cells.wraps,
    )
    return Grid(
        y=axes.y,
        x=axes.x,
        y_name=axes.y_name,
        x_name=axes.x_name,
        y_values=y_values,
        x_values=x_values,
        y_step=y_step,
        x_step=x_step,
        domain=domain,
        flip_y=flip_y,
        flip_x=flip_x,
        shift_x=0 if x_values is None or not domain.wrap else _first_column(x_values, flip_x),
        geographic=axes.geographic,
        units=units,
        latitude_name=axes.latitude,
        longitude_name=axes.longitude,
        latitude=latitude,
        longitude=longitude,
        corners=cells.corners,
        corner_names=cells.names,
    )


def _axis(
    name: str, coordinates: Coordinates, *, latitude: bool = False, longitude: bool = False
) -> tuple[np.ndarray, float, Edges]:
    """Return values, spacing and, where that is uneven, edges of rows or columns."""
    own = coordinates[name]
    bounds = _bounds_of(own, coordinates)
    if own.ndim != 1 or not is_uneven(own.values, longitude=longitude):
        values, step = regular_values(name, own.values, longitude=longitude)
        if bounds is not None:
            _warn_if_off_centre(name, values, step, bounds, longitude=longitude)
        return values, step, None
    _, values = sorted_values(name, own.values, longitude=longitude)
    step = float(np.median(np.diff(values)))
    if bounds is not None:
        edges = uneven_edges(name, values, bounds)
        return values, step, tuple(np.clip(edges, -90.0, 90.0).tolist()) if latitude else edges
    edges = uneven_edges(name, values)
    return values, step, close_poles(edges) if latitude else edges


def _bounds_of(own: xr.DataArray | xr.Variable, coordinates: Coordinates) -> np.ndarray | None:
    """Return the (n, 2) bounds that a coordinate names, None if there are none."""
    bounds = own.attrs.get("bounds", own.encoding.get("bounds"))
    if isinstance(bounds, str) and bounds in coordinates:
        found: np.ndarray = coordinates[bounds].values
        if found.shape == (own.size, 2) and found.dtype.kind in "fiu":
            return found
    return None


def _warn_if_off_centre(
    name: str, values: np.ndarray, step: float, bounds: np.ndarray, *, longitude: bool
) -> None:
    """Warn if evenly spaced cells of the file are not centred on their values.

    Outer cells are left out, since those at a pole end there; bounds of other widths belong to
    samples, not to a grid without gaps.
    """
    inner = bounds[1:-1].astype(float)
    if not np.allclose(np.abs(np.diff(inner, axis=1)), abs(step), rtol=OFF_CENTRE):
        return
    off = inner.mean(axis=1) - values[1:-1]
    off = (off + 180) % 360 - 180 if longitude else off
    if off.size and np.abs(off).min() > OFF_CENTRE * abs(step):
        warn(
            f"cells of {name!r} are taken as centred on its values, but its bounds lie "
            f"{off[0]:g} beside them, such as {inner[0, 0]:g} to {inner[0, 1]:g} for "
            f"{values[1]:g}. Assign the middle of the bounds to {name!r} if these are right."
        )


def _positions(axes: Axes, coordinates: Coordinates) -> tuple[Positions, Positions]:
    """Return 2-D latitude and longitude, numpy or dask, or None."""
    if not (axes.latitude and axes.longitude):
        return None, None
    latitude, longitude = (
        known_positions(_plane(name, coordinates[name], axes), name, coordinates[name].attrs, limit)
        for name, limit in ((axes.latitude, 90.0), (axes.longitude, 720.0))
    )
    return latitude, longitude


def _plane(name: str, coordinate: xr.DataArray | xr.Variable, axes: Axes) -> np.ndarray | da.Array:
    """Return a 2-D coordinate, at the first of its times if it has several, which are alike.

    The first is compared with the last one only, which moving grids change most.
    """
    extra = [dim for dim in coordinate.dims if dim not in (axes.y, axes.x)]
    first, last = (coordinate.isel(dict.fromkeys(extra, index)) for index in (0, -1))
    if any(coordinate.sizes[dim] > 1 for dim in extra):
        apart = float(np.nanmax(np.abs(np.asarray(last) - np.asarray(first))))
        if apart > STILL:
            where = " and ".join(map(repr, extra))
            raise GridError(
                f"{name!r} changes by up to {apart:g} degrees along {where}: the grid moves. "
                f"Select one position with .isel({extra[0]}=0), or regrid to a fixed grid."
            )
    plane: np.ndarray | da.Array = first.transpose(axes.y, axes.x).data
    return plane


def _length(step: float, latitude: Positions, longitude: Positions) -> str:
    """Infer from latitude and longitude whether projected coordinates are in metres or km."""
    if not isinstance(latitude, np.ndarray) or not isinstance(longitude, np.ndarray):
        return ""
    km = DEGREE_KM * row_distance(latitude, longitude) / abs(step)
    # Projections distort distances, but by less than a factor of two in practice.
    return next((unit for unit, size in (("m", 1e-3), ("km", 1.0)) if size / 2 < km < 2 * size), "")


def _check_latitudes(name: str, values: np.ndarray | None, step: float) -> None:
    if values is not None and np.abs(values).max() > 90 + 0.5 * abs(step):
        raise GridError(
            f"{name!r} runs from {values[0]:g} to {values[-1]:g}, beyond the poles. "
            "Check its values, or rename it if it is not a latitude."
        )


def _first_column(x_values: np.ndarray, flip_x: bool) -> int:
    """Return the column, counted eastward, at or first after 0 degrees."""
    values = x_values[::-1] if flip_x else x_values
    step = 360 / values.size
    east = values % 360
    east[east > 360 - 1e-4 * step] = 0
    return int(east.argmin())
