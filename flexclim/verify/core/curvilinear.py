"""Fields whose rows and columns have 2-D latitudes and longitudes: positions and areas of cells.

Positions are unit vectors, so that neither poles nor the date line need care. Edges of cells are
great circles.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.axes import find_axes
from flexclim.grids.candidates import is_position, plane
from flexclim.grids.cell_corners import polygon_area, unit_vectors


def find_positions(field: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray] | None:
    """Return the (y, x) latitudes and longitudes of a field; None if its rows need none.

    They are needed where rows and columns have no coordinates of their own, mere numbers, or
    nominal ones.

    >>> lat, lon = np.meshgrid([50.0, 51.0], [5.0, 6.0, 7.0], indexing="ij")
    >>> place = {"nav_lat": (("j", "i"), lat), "nav_lon": (("j", "i"), lon)}
    >>> found = find_positions(xr.DataArray(np.zeros((4, 2, 3)), place, ["time", "j", "i"]))
    >>> found[0].dims
    ('j', 'i')
    """
    if not any(one.ndim > 1 and is_position(one) for one in field.coords.values()):
        return None
    try:
        axes = find_axes(field)
    except GridError:
        return None
    if axes.latitude is None or axes.longitude is None:
        return None
    if axes.y_name is not None and not _only_counts(field[axes.y_name]):
        return None
    both = (plane(field[name]) for name in (axes.latitude, axes.longitude))
    latitude, longitude = (one.transpose(axes.y, axes.x).reset_coords(drop=True) for one in both)
    return latitude, longitude


def _only_counts(rows: xr.DataArray) -> bool:
    """Return whether a coordinate only numbers the rows."""
    described = {"units", "standard_name"} & set(rows.attrs)
    return not described and rows.dtype.kind in "iuf" and bool((np.diff(rows.values) == 1).all())


def distance(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the angles between unit vectors (..., 3), in degrees."""
    chord = np.linalg.norm(left - right, axis=-1)
    return np.asarray(np.rad2deg(2 * np.arcsin(np.minimum(chord / 2, 1))))


def median_spacing(latitude: np.ndarray, longitude: np.ndarray) -> float:
    """Return the median distance of neighbours (y, x) along the narrower axis, in degrees; or 1."""
    vectors = unit_vectors(latitude, longitude)
    steps = [
        float(np.nanmedian(distance(np.delete(vectors, 0, axis), np.delete(vectors, -1, axis))))
        for axis in (0, 1)
        if vectors.shape[axis] > 1
    ]
    return min(steps, default=0.0) or 1.0


def quadrilateral_area(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Return the areas (y, x) on the unit sphere of cells around centres in degrees.

    A corner is the mean of the four centres around it; beyond borders and missing centres these
    continue linearly. NaN where a centre is missing, or there are fewer than 2 x 2.
    """
    if min(latitude.shape) < 2:
        return np.full(latitude.shape, np.nan)
    centres = np.pad(
        unit_vectors(latitude, longitude), ((1, 1), (1, 1), (0, 0)), constant_values=np.nan
    )
    centres = _continued(_continued(centres))
    corners = (centres[1:, 1:] + centres[1:, :-1] + centres[:-1, 1:] + centres[:-1, :-1]) / 4
    corners /= np.linalg.norm(corners, axis=-1, keepdims=True)
    around = (corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1])
    area = polygon_area(np.stack(around, axis=-2))
    return np.where(np.isnan(latitude + longitude), np.nan, area)


def _continued(centres: np.ndarray) -> np.ndarray:
    """Fill missing centres (y, x, 3) from two neighbours on a side, averaged over sides."""
    total, count = np.zeros(centres.shape), np.zeros(centres.shape)
    for axis in (0, 1):
        for turn in (slice(None), slice(None, None, -1)):
            ahead = np.moveaxis(centres, axis, 0)[turn]
            guess = np.full(ahead.shape, np.nan)
            guess[:-2] = 2 * ahead[1:-1] - ahead[2:]
            guess = np.moveaxis(guess[turn], 0, axis)
            known = ~np.isnan(guess)
            total += np.where(known, guess, 0.0)
            count += known
    with np.errstate(invalid="ignore"):
        return np.where(np.isnan(centres), total / count, centres)
