"""Cells of points without bounds: rows of reduced Gaussian grids, and Voronoi cells."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree, SphericalVoronoi

from flexclim.errors import GridError
from flexclim.grids.regridding.corners import closed_rows, edges_between
from flexclim.grids.regridding.polygons import Polygons, great_circle_polygons, vectors

# Largest distance of a corner from its point, in distances between neighbours.
REACH = 2.0


def gaussian_rows(
    latitude: np.ndarray, longitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (n, 2) latitudes and longitudes of edges of points along full rows.

    Rows follow each other from pole to pole; in each, points are equally spaced around the
    sphere, as in reduced Gaussian grids. None if points lie otherwise.

    >>> lat, lon = np.array([45.0, 45, -45, -45, -45]), np.array([0.0, 180, 0, 120, 240])
    >>> gaussian_rows(lat, lon)[1][:2]
    array([[-90.,  90.],
           [ 90., 270.]])
    """
    if latitude.size < 4 or not np.isfinite(latitude + longitude).all():
        return None
    starts = np.r_[0, np.flatnonzero(np.abs(np.diff(latitude)) > 1e-4) + 1]
    lengths = np.diff(np.r_[starts, latitude.size])
    centres = latitude[starts]
    steps = np.diff(centres)
    if starts.size < 2 or not ((steps > 0).all() or (steps < 0).all()) or lengths.min() < 2:
        return None
    place = np.arange(latitude.size) - starts.repeat(lengths)
    step = (360 / lengths).repeat(lengths)
    expected = longitude[starts].repeat(lengths) + place * step
    off = (longitude - expected + 180) % 360 - 180
    if np.abs(off).max() > 0.01 * step.min():
        return None
    rows = closed_rows(edges_between(centres), around=True).repeat(lengths, axis=0)
    return rows, np.stack([expected - step / 2, expected + step / 2], axis=1)


def voronoi_polygons(latitude: np.ndarray, longitude: np.ndarray) -> Polygons:
    """Return for each point the part of the sphere that is nearest to it.

    Corners further than twice the distance between neighbours are drawn in, so that cells at the
    border of a region keep a usual size.

    Raises
    ------
    GridError
        If there are fewer than four points, or two at the same place.
    """
    points = vectors(np.deg2rad(longitude), np.sin(np.deg2rad(latitude))).T
    if points.shape[0] < 4:
        raise GridError(
            f"{points.shape[0]} points have no cells. "
            'Pass method="nearest", or give the cells bounds.'
        )
    near = distances(points)
    if (near < 1e-9).any():
        at = int(np.argmin(near))
        raise GridError(f"two points lie at {latitude[at]:g}, {longitude[at]:g}. Drop one of them.")
    parts = SphericalVoronoi(points, threshold=1e-9)
    parts.sort_vertices_of_regions()
    longest = max(map(len, parts.regions))
    # The last corner is repeated, which adds no edge.
    index = np.array([region + region[-1:] * (longest - len(region)) for region in parts.regions])
    corners = parts.vertices[index]
    apart = corners - points[:, None]
    length = np.linalg.norm(apart, axis=2)
    limit = REACH * np.median(near)
    limit = np.maximum(limit, REACH * near)[:, None]
    drawn = points[:, None] + apart * np.minimum(1, limit / np.maximum(length, 1e-30))[..., None]
    x, y, z = np.moveaxis(drawn, 2, 0)
    return great_circle_polygons(
        np.rad2deg(np.arctan2(z, np.hypot(x, y))), np.rad2deg(np.arctan2(y, x))
    )


def distances(points: np.ndarray) -> np.ndarray:
    """Return the distance of each of (n, 3) points to the nearest other one."""
    return np.asarray(KDTree(points).query(points, k=2)[0][:, 1])
