"""Corners and areas of curvilinear cells: from a file, or between centres; split, and joined.

Corners are (2, y, x, 4) latitudes and longitudes in degrees, in the order of rows and columns:
upper left, upper right, lower right, lower left. Edges are great circles.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from flexclim.errors import GridError
from flexclim.grids.regridding.corners import corners_between

# Places of the corners within a cell, down and right.
PLACES = (0, 0), (0, 1), (1, 1), (1, 0)
# Cells that are looked at to learn in which order a file has corners, and whether they fit.
SAMPLE = 500
# Share by which the usual cell may be larger or smaller than the distance of centres tells.
MISFIT = 0.1


def cell_corners(
    latitude: np.ndarray,
    longitude: np.ndarray,
    given: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    wraps: bool,
) -> np.ndarray:
    """Return the corners of cells with (y, x) centres.

    Parameters
    ----------
    latitude, longitude
        (y, x) degrees.
    given
        (y, x, 4) corners of a file, which may begin anywhere and go either way. Where they are
        missing, and by default, corners lie between centres.
    wraps
        Whether the first column follows on the last one.

    Raises
    ------
    GridError
        If given corners make the usual cell more than 10 % larger or smaller than the distance of
        the centres does.
    """
    north, east = corners_between(latitude, longitude, wraps=wraps)
    between = np.stack([north, east % 360 if np.nanmax(longitude) > 180 else east])
    if given is None or given[0].shape != between.shape[1:]:
        return between
    known = np.stack(given).astype(float)
    known = known[..., _order(known, between)]
    _check_size(known, between)
    return np.where(np.isnan(known).any(axis=0), between, known)


def _order(known: np.ndarray, between: np.ndarray) -> list[int]:
    """Return the order in which corners of a file lie nearest to those between centres."""
    some = np.linspace(0, known[0, ..., 0].size - 1, SAMPLE).astype(int)
    mine, theirs = (unit_vectors(*one.reshape(2, -1, 4)[:, some]) for one in (between, known))
    orders = [
        [(start + way * step) % 4 for step in range(4)] for start, way in product(range(4), (1, -1))
    ]
    apart = [np.nanmean(np.linalg.norm(mine - theirs[:, order], axis=-1)) for order in orders]
    return orders[int(np.argmin(apart))]


def _check_size(known: np.ndarray, between: np.ndarray) -> None:
    """Check that cells neither overlap nor leave holes, by their areas."""
    some = np.unique(np.linspace(0, known[0, ..., 0].size - 1, SAMPLE).astype(int))
    areas = [
        polygon_area(unit_vectors(*one.reshape(2, -1, 4)[:, some])) for one in (known, between)
    ]
    sound = np.isfinite(areas[0] + areas[1]) & (areas[1] > 0)
    ratio = float(np.median(areas[0][sound] / areas[1][sound])) if sound.any() else 1.0
    if abs(ratio - 1) > MISFIT:
        raise GridError(
            f"cells {'overlap' if ratio > 1 else 'leave holes'}: by their corners they have "
            f"{100 * ratio:.0f} % of the area between their neighbours. Correct the corners, or "
            "drop them with .drop_vars."
        )


def split_corners(corners: np.ndarray, factor: int) -> np.ndarray:
    """Return the corners of the ``factor`` x ``factor`` parts of each cell, which fill it.

    >>> whole = np.array([[[[2.0, 2, 0, 0]]], [[[0.0, 2, 2, 0]]]])
    >>> split_corners(whole, 2)[1, 0, :, 1].round(6)
    array([1., 2.])
    """
    vectors = unit_vectors(*corners)
    height, width = corners.shape[1:3]
    share = np.arange(factor) / factor
    parts = []
    for down, right in PLACES:
        a = (share + down / factor)[:, None, None, None]
        b = (share + right / factor)[:, None]
        # (y, p, x, q, 3): part p, q of cell y, x.
        v = vectors[:, None, :, None]
        point = (1 - a) * ((1 - b) * v[..., 0, :] + b * v[..., 1, :]) + a * (
            b * v[..., 2, :] + (1 - b) * v[..., 3, :]
        )
        parts.append(point.reshape(height * factor, width * factor, 3))
    x, y, z = np.moveaxis(np.stack(parts, axis=2), -1, 0)
    return np.stack(
        [np.rad2deg(np.arctan2(z, np.hypot(x, y))), _like(np.rad2deg(np.arctan2(y, x)), corners)]
    )


def _like(longitude: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return longitudes from 0 to 360 if those of (2, ...) corners are such."""
    return longitude % 360 if np.nanmax(corners[1], initial=0) > 180 else longitude


def joined_corners(corners: np.ndarray, factor: int) -> np.ndarray:
    """Return the outer corners of blocks of ``factor`` x ``factor`` cells."""
    height, width = (size // factor for size in corners.shape[1:3])
    blocks = corners.reshape(2, height, factor, width, factor, 4)
    ends = [blocks[:, :, -down, :, -right, at] for at, (down, right) in enumerate(PLACES)]
    return np.stack(ends, axis=-1)


def cell_areas(corners: np.ndarray) -> np.ndarray:
    """Return the (y, x) areas on the unit sphere; where a corner is missing, the usual one."""
    areas = polygon_area(unit_vectors(*corners))
    missing = ~(np.isfinite(areas) & (areas > 0))
    if missing.all():
        return np.ones(areas.shape)
    return np.where(missing, np.median(areas[~missing]), areas)


def unit_vectors(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Return (..., 3) vectors of positions in degrees."""
    phi, lam = np.deg2rad(latitude.astype(float)), np.deg2rad(longitude.astype(float))
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def polygon_area(corners: np.ndarray) -> np.ndarray:
    """Return the area (...) on the unit sphere of polygons (..., corner, 3), in cyclic order.

    The sum of the solid angles of triangles from the first corner (van Oosterom and Strackee
    1983, IEEE Trans. Biomed. Eng. 30, eq. 8); corners may coincide.

    >>> octant = np.eye(3)
    >>> bool(np.isclose(polygon_area(octant), np.pi / 2))
    True
    """
    first = corners[..., 0, :]
    total = np.zeros(corners.shape[:-2])
    for index in range(1, corners.shape[-2] - 1):
        second, third = corners[..., index, :], corners[..., index + 1, :]
        volume = (first * np.cross(second, third)).sum(axis=-1)
        angles = (
            1
            + (first * second).sum(axis=-1)
            + (second * third).sum(axis=-1)
            + (third * first).sum(axis=-1)
        )
        total += 2 * np.arctan2(volume, angles)
    return np.abs(total)
