"""Find the cells of a Dataset or DataArray, of whatever kind its grid is."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from functools import lru_cache

import numpy as np
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.axes import Axes, find_axes
from flexclim.grids.candidates import known_coordinates, latitudes_longitudes
from flexclim.grids.regridding.cells import Cells, cornered_cells, listed_cells, row_cells
from flexclim.grids.regridding.corners import (
    checked_edges,
    corners_between,
    edges_between,
    goes_round,
    repeated,
    straight,
)
from flexclim.grids.regridding.healpix_files import find_healpix

Variables = Mapping[Hashable, xr.DataArray] | Mapping[Hashable, xr.Variable]

# Largest distance of positions from those that a grid mapping gives, in cells.
MAPPED = 0.2
# Largest change of a position in time that rounding explains, in degrees.
STILL = 1e-4


def cells_of(
    obj: xr.Dataset | xr.DataArray, grid: str | None = None, *, bounds: bool = True
) -> Cells:
    """Find the cells of ``obj``.

    Parameters
    ----------
    obj
        Fields on rows and columns of any spacing, a rotated or projected grid, a curvilinear one
        with 2-D positions, a list of cells or points, or HEALPix.
    grid
        ``"healpix"`` (nested), ``"healpix:ring"`` or ``"healpix:nested"``, where a file doesn't
        say. Other values are ignored.
    bounds
        Whether to use the bounds of rows and columns that the file has, and to look for holes
        between cells with corners; else edges of rows and columns lie halfway between centres.

    Raises
    ------
    GridError
        If no grid is found, there are several, or cells overlap or leave holes.

    Examples
    --------
    >>> gaussian = xr.DataArray(
    ...     np.zeros((4, 2)), coords={"lat": [68.0, 20, -20, -68], "lon": [0.0, 180]}
    ... )
    >>> cells_of(gaussian)
    <Cells: rows and columns, 4 x 2 along lat, lon>
    """
    found = cells_in_list(obj, grid, bounds=bounds)
    if found is not None:
        return found
    variables: Variables = obj.variables if isinstance(obj, xr.Dataset) else obj.coords
    axes = find_axes(obj)
    _check_sizes(obj, (axes.y, axes.x))
    if axes.geographic:
        return _row_cells(variables, axes, bounds)
    return _mapped_cells(obj, variables, axes, bounds)


def cells_in_list(
    obj: xr.Dataset | xr.DataArray,
    grid: str | None = None,
    fields: Collection[str] = (),
    *,
    bounds: bool = True,
) -> Cells | None:
    """Find cells or points along one dimension; None if there are none.

    Parameters
    ----------
    obj, grid, bounds
        As for :func:`cells_of`.
    fields
        The fields of a Dataset whose cells are sought. Default: all.

    Raises
    ------
    GridError
        As for :func:`cells_of`.
    """
    found = find_healpix(obj, grid)
    if found is not None:
        return found
    variables: Variables = obj.variables if isinstance(obj, xr.Dataset) else obj.coords
    known, _ = known_coordinates(obj, fields)
    latitudes, longitudes = latitudes_longitudes(known, 1)
    if len(latitudes) == len(longitudes) == 1:
        latitude, longitude = latitudes[0], longitudes[0]
        if known[latitude].dims == known[longitude].dims:
            _check_sizes(obj, known[latitude].dims)
            return _listed_cells(variables, latitude, longitude, bounds)
    return None


def _check_sizes(obj: xr.Dataset | xr.DataArray, dims: Iterable[Hashable]) -> None:
    for dim in dims:
        if obj.sizes[dim] == 0:
            raise GridError(f"dimension {str(dim)!r} has size 0. Select some of its cells.")


def _listed_cells(variables: Variables, latitude: str, longitude: str, check: bool) -> Cells:
    dim = str(variables[latitude].dims[0])
    lat, lon = (degrees(variables[name]) for name in (latitude, longitude))
    if not np.isfinite(lat + lon).all():
        bad = int((~np.isfinite(lat + lon)).sum())
        raise GridError(f"{bad} of {lat.size} cells have no position. Drop them with .isel.")
    corners = _corner_bounds(variables, latitude, longitude)
    if corners is None:
        return listed_cells(dim, lat, lon)
    return cornered_cells("unstructured cells", (dim,), lat, lon, corners, check=check)


def _row_cells(variables: Variables, axes: Axes, use_bounds: bool) -> Cells:
    assert axes.y_name
    assert axes.x_name
    centres, edges = [], []
    for name, turn in ((axes.y_name, False), (axes.x_name, True)):
        values = degrees(variables[name])
        _check_order(name, straight(values) if turn else values)
        bounds = _bounds(variables, name, 2) if use_bounds else None
        centres.append(values)
        edges.append(None if bounds is None else checked_edges(name, values, bounds, turn=turn))
    if np.abs(centres[0]).max() > 90 + 1e-6:
        raise GridError(
            f"{axes.y_name!r} runs from {centres[0][0]:g} to {centres[0][-1]:g}, beyond the poles. "
            "Check its values, or rename it if it is not a latitude."
        )
    return row_cells((axes.y, axes.x), centres[0], centres[1], edges[0], edges[1])


def _check_order(name: str, values: np.ndarray) -> None:
    steps = np.diff(values)
    if not np.isfinite(values).all():
        raise GridError(f"{name!r} has NaN. Set its values with .assign_coords.")
    if not ((steps > 0).all() or (steps < 0).all()):
        raise GridError(
            f"{name!r} is not sorted, or repeats values. Sort it with .sortby({name!r})."
        )


def _mapped_cells(
    obj: xr.Dataset | xr.DataArray, variables: Variables, axes: Axes, use_bounds: bool
) -> Cells:
    """Return the cells of a grid with 2-D positions, a grid mapping, or both."""
    dims = axes.y, axes.x
    latitude = longitude = corners = None
    if axes.latitude and axes.longitude:
        latitude, longitude = (
            degrees(_still(name, variables[name], dims)) for name in (axes.latitude, axes.longitude)
        )
        corners = _corner_bounds(variables, axes.latitude, axes.longitude, dims)
    if corners is None:
        mapped = _by_grid_mapping(obj, variables, axes)
        if mapped is not None and (latitude is None or _close(mapped[0], latitude, longitude)):
            kind = "rotated or projected rows and columns"
            return cornered_cells(kind, dims, *mapped[0], mapped[1])
    if latitude is None or longitude is None:
        raise GridError(
            f"the grid along {axes.y!r} and {axes.x!r} has neither 2-D latitudes and longitudes "
            "nor a grid mapping. Add one of them, for example with decode_coords='all'."
        )
    if corners is None and _separable(latitude, longitude):
        return row_cells(dims, latitude[:, 0], longitude[0])
    wraps = goes_round(latitude, longitude)
    twice = repeated(latitude, longitude)
    given = corners is not None
    if corners is None:
        corners = corners_between(latitude, longitude, wraps=wraps)
    lats, lons = (np.where(twice[..., None], np.nan, part) for part in corners)
    check = use_bounds and given
    where = latitude, longitude, (lats, lons)
    return cornered_cells("curvilinear", dims, *where, wraps=wraps, check=check)


def _still(
    name: str, variable: xr.Variable | xr.DataArray, dims: tuple[str, ...]
) -> xr.Variable | xr.DataArray:
    """Return 2-D positions, which don't change along other dimensions."""
    others = [dim for dim in variable.dims if dim not in dims]
    first, last = (variable.isel(dict.fromkeys(others, at)) for at in (0, -1))
    if others and float(np.nanmax(np.abs(last.values - first.values))) > STILL:
        raise GridError(
            f"{name!r} changes along {others[0]!r}: the grid moves. "
            f"Select one position with .isel({others[0]}=0)."
        )
    return first.transpose(*dims)


def _separable(latitude: np.ndarray, longitude: np.ndarray) -> bool:
    """Return whether 2-D positions are those of rows and columns."""
    if min(latitude.shape) < 2 or not np.isfinite(latitude + longitude).all():
        return False
    flat = max(np.abs(np.ptp(latitude, axis=1)).max(), np.abs(np.ptp(longitude, axis=0)).max())
    steps = np.diff(latitude[:, 0]), np.diff(straight(longitude[0]))
    sorted_ = all((step > 0).all() or (step < 0).all() for step in steps)
    return bool(sorted_ and flat < 1e-5)


Corners = tuple[np.ndarray, np.ndarray]


def _by_grid_mapping(
    obj: xr.Dataset | xr.DataArray, variables: Variables, axes: Axes
) -> tuple[Corners, Corners] | None:
    """Return 2-D centres and corners in degrees of a grid with a CF grid mapping, or None."""
    mapping = _grid_mapping(obj, variables)
    if mapping is None or not (axes.y_name and axes.x_name):
        return None
    transform = _to_degrees(json.dumps(mapping, default=lambda value: np.asarray(value).tolist()))
    if transform is None:
        return None
    scale = 1000.0 if axes.units == "km" else 1.0
    y, x = (np.asarray(variables[n].values, float) * scale for n in (axes.y_name, axes.x_name))
    ye, xe = (edges_between(values) for values in (y, x))
    grid_x, grid_y = np.meshgrid(x, y)
    lon, lat = transform(grid_x, grid_y)
    order = ((0, 0), (0, 1), (1, 1), (1, 0))
    corner_x = np.stack([np.broadcast_to(xe[:, j], lat.shape) for _, j in order], axis=-1)
    corner_y = np.stack([np.broadcast_to(ye[:, [i]], lat.shape) for i, _ in order], axis=-1)
    corner_lon, corner_lat = transform(corner_x, corner_y)
    if not np.isfinite(corner_lat + corner_lon).all():
        return None
    return (np.asarray(lat), np.asarray(lon)), (np.asarray(corner_lat), np.asarray(corner_lon))


@lru_cache(maxsize=8)
def _to_degrees(mapping: str) -> Callable[..., tuple[np.ndarray, np.ndarray]] | None:
    """Return the function from x and y to longitude and latitude of a CF grid mapping in JSON."""
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError

    try:
        crs = CRS.from_cf(json.loads(mapping))
    except (CRSError, KeyError, TypeError, ValueError):
        return None
    base = crs.source_crs or crs.geodetic_crs
    transform: Callable[..., tuple[np.ndarray, np.ndarray]]
    transform = Transformer.from_crs(crs, base, always_xy=True).transform
    return transform


def _grid_mapping(
    obj: xr.Dataset | xr.DataArray, variables: Variables
) -> Mapping[Hashable, object] | None:
    """Return the attributes of the grid mapping, if the file has just one."""
    found = [v.attrs for v in variables.values() if "grid_mapping_name" in v.attrs]
    plain = [attrs for attrs in found if attrs["grid_mapping_name"] != "latitude_longitude"]
    return dict(plain[0]) if len(plain) == 1 else None


def _close(mapped: Corners, latitude: np.ndarray, longitude: np.ndarray | None) -> bool:
    """Return whether positions are those of the grid mapping, within part of a cell."""
    assert longitude is not None
    step = np.nanmedian(np.hypot(*(np.diff(part, axis=0) for part in mapped)))
    off = np.abs(mapped[0] - latitude), np.abs((mapped[1] - longitude + 180) % 360 - 180)
    shrink = np.cos(np.deg2rad(latitude))
    return bool(np.nanmax(np.hypot(off[0], off[1] * shrink)) < MAPPED * step)


def _corner_bounds(
    variables: Variables, latitude: str, longitude: str, dims: tuple[str, ...] | None = None
) -> Corners | None:
    """Return corners in degrees from the bounds of positions, (..., corners), or None."""
    lat, lon = (_bounds(variables, name, 3, dims) for name in (latitude, longitude))
    if lat is None or lon is None or lat.shape != lon.shape:
        return None
    return lat, lon


def _bounds(
    variables: Variables, name: str, least: int, dims: tuple[str, ...] | None = None
) -> np.ndarray | None:
    """Return the bounds of a coordinate in degrees, with at least ``least`` values a cell."""
    variable = variables[name]
    said = variable.attrs.get("bounds", getattr(variable, "encoding", {}).get("bounds"))
    bounds = variables.get(said) if said else None
    own = dims or tuple(map(str, variable.dims))
    if bounds is None or not set(own) < set(map(str, bounds.dims)):
        return None
    (corner,) = set(map(str, bounds.dims)) - set(own) if bounds.ndim == len(own) + 1 else (None,)
    if corner is None or bounds.sizes[corner] < least or (least == 2 and bounds.sizes[corner] > 2):
        return None
    units = bounds.attrs.get("units", variable.attrs.get("units", ""))
    return degrees(bounds.transpose(*own, corner), str(units))


def degrees(variable: xr.Variable | xr.DataArray, units: str | None = None) -> np.ndarray:
    """Return positions in degrees, float64; float32 values as the decimals they stand for.

    >>> degrees(xr.Variable("cell", [np.pi], {"units": "radian"}))
    array([180.])
    """
    units = str(variable.attrs.get("units", "")) if units is None else units
    values = np.asarray(variable.values)
    exact = values.astype(str).astype(float) if values.dtype == np.float32 else values.astype(float)
    return np.rad2deg(exact) if units.startswith("rad") else exact
