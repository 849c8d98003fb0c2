"""Areas of the cells of a field, by which points are weighted."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import pairwise

import numpy as np
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.candidates import EDGES, is_position
from flexclim.grids.cell_corners import polygon_area, unit_vectors
from flexclim.grids.regridding.cell_discovery import cells_in_list
from flexclim.verify.core.curvilinear import (
    find_positions,
    quadrilateral_area,
)
from flexclim.verify.core.geometry import find_dimension, latitude_along

Variables = Mapping[Hashable, xr.Variable]


def area_weights(field: xr.DataArray, variables: Variables | None = None) -> xr.DataArray:
    """Return the relative cell areas of ``field``, with mean 1.

    1. A variable that the field names in ``cell_measures``, or with the standard name
       ``cell_area``.
    2. Of rows in degrees, the difference of the sines of their bounds: those stated, else half way
       to the neighbours but not beyond a pole, so that a row on a pole counts as half a cell.
    3. Of cells with 2-D latitudes and longitudes, the area on the sphere between their corners:
       those stated, else half way between the centres.
    4. Of unstructured cells with corners, and of reduced Gaussian grids, their areas.
    5. Otherwise equal weights: on projected grids, HEALPix, and at stations.

    Parameters
    ----------
    variables
        Of the Dataset that the field belongs to. A DataArray can't hold bounds.

    Returns
    -------
    DataArray
        (y,), (y, x), or no dimension where weights are equal. 0 where a position is missing.

    Raises
    ------
    GridError
        If no cell has an area.

    >>> rows = xr.DataArray(np.zeros(3), {"lat": [-90, 0, 90]}, ["lat"])
    >>> area_weights(rows).values.round(3)
    array([0.439, 2.121, 0.439])
    """
    known = {n: one.variable for n, one in field.coords.items()} | dict(variables or {})
    measured = _measured(field, known)
    if measured is not None:
        return _relative(np.asarray(measured.values, float), measured.dims)
    positions = find_positions(field)
    if positions is not None:
        return _relative(_of_cells(*positions, known), positions[0].dims)
    listed = _of_list(field, known)
    if listed is not None:
        return listed
    row = find_dimension(field, "Y")
    latitude = None if row is None else latitude_along(field, row)
    if latitude is None:
        return xr.DataArray(1.0)
    return _relative(_of_rows(latitude, known), latitude.dims)


def _of_list(field: xr.DataArray, known: Variables) -> xr.DataArray | None:
    """Return the areas of cells along one dimension, if they have some; else None."""
    places = {one.dims[0] for one in field.coords.values() if one.ndim == 1 and is_position(one)}
    if len(places) != 1 or field.coords.keys() & places:
        return None
    (dim,) = places
    bounds = {n: one for n, one in known.items() if n not in field.coords and dim in one.dims}
    one = field.isel({name: 0 for name in field.dims if name != dim}, drop=True)
    cells = cells_in_list(xr.Dataset({**bounds, "field": one.rename(None)}))
    if cells is None or cells.kind == "points" or cells.pixels is not None:
        return None
    return _relative(cells.areas, cells.dims)


def of_rows(area: xr.DataArray, row: str, size: int) -> np.ndarray:
    """Return (y,) areas of rows, from :func:`area_weights`."""
    alone: np.ndarray = area.mean([dim for dim in area.dims if dim != row]).values * np.ones(size)
    return alone


def _measured(field: xr.DataArray, known: Variables) -> xr.Variable | None:
    """Return the cell areas that belong to a field."""
    words = str(field.attrs.get("cell_measures", field.encoding.get("cell_measures"))).split()
    named: list[Hashable] = [b for a, b in pairwise(words) if a == "area:"]
    named += [n for n, one in known.items() if one.attrs.get("standard_name") == "cell_area"]
    plane = {find_dimension(field, "Y"), find_dimension(field, "X")}
    fitting = (known[n] for n in named if n in known and known[n].ndim)
    return next((one for one in fitting if set(one.dims) <= plane), None)


def _of_rows(latitude: xr.DataArray, known: Variables) -> np.ndarray:
    """Return (y,) areas, from bounds or midpoints."""
    values = latitude.values.astype(float)
    edges = _bounds(latitude, known)
    if edges is None or edges.shape[-1] != 2:
        edges = _midpoints(values)
    area: np.ndarray = np.abs(np.diff(np.sin(np.deg2rad(edges)), axis=1))[:, 0]
    return area


def _midpoints(values: np.ndarray) -> np.ndarray:
    """Return the (y, 2) bounds half way between latitudes."""
    if values.size == 1:
        return np.asarray(np.clip(values[:, None] + [-0.5, 0.5], -90, 90))
    middle = (values[1:] + values[:-1]) / 2
    edges = np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
    edges = np.clip(edges, -90, 90)
    return np.stack([edges[:-1], edges[1:]], axis=1)


def _of_cells(latitude: xr.DataArray, longitude: xr.DataArray, known: Variables) -> np.ndarray:
    """Return (y, x) areas, from corners or from centres."""
    north, east = _bounds(latitude, known), _bounds(longitude, known)
    if north is not None and east is not None and north.shape == east.shape:
        return polygon_area(unit_vectors(north, east))
    return quadrilateral_area(latitude.values, longitude.values)


def _bounds(coordinate: xr.DataArray, known: Variables) -> np.ndarray | None:
    """Return the finite bounds (..., vertex) of a coordinate (...); None without any."""
    name = str(coordinate.name)
    stated = coordinate.attrs.get("bounds", coordinate.encoding.get("bounds"))
    guesses = [text for edge in EDGES for text in (f"{name}_{edge}", f"{edge}_{name}")]
    for bounds in (known[n] for n in (stated, *guesses) if n in known):
        extra = [dim for dim in bounds.dims if dim not in coordinate.dims]
        least = 2 if coordinate.ndim == 1 else 3
        if len(extra) == 1 and bounds.ndim == coordinate.ndim + 1 and bounds.shape[-1] >= least:
            values = np.asarray(bounds.transpose(*coordinate.dims, *extra).values, float)
            return values if np.isfinite(values).all() else None
    return None


def _relative(area: np.ndarray, dims: Iterable[Hashable]) -> xr.DataArray:
    area = np.where(np.isfinite(area) & (area > 0), area, 0.0)
    mean = area.mean()
    if mean == 0:
        raise GridError(
            f"none of {area.size} cells has an area: latitudes or longitudes are missing, or the "
            "same everywhere. Correct them, or pass weights=None."
        )
    return xr.DataArray(area / mean, dims=list(dims))
