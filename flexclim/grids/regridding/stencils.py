"""Weights of nearest cells, and of bilinear and bicubic interpolation between centres.

Positions within rows and columns are fractional indices. On a grid around the sphere, rows go on
beyond a pole with those on its other side; elsewhere the outermost cells are repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import ConvexHull, KDTree

from flexclim.grids.operators import keys_kernel
from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.corners import straight
from flexclim.grids.regridding.intervals import near
from flexclim.grids.regridding.overlap import containing
from flexclim.grids.regridding.polygons import great_circle_polygons, vectors

NEWTON_STEPS = 8
# Longest side of a triangle or quadrilateral of centres, in widths of their cells.
LONGEST = 4.0
# Degrees that count as on an edge.
EDGE = 1e-9
# Rows that interpolation may need beyond a pole.
BEYOND = 2


@dataclass(frozen=True, kw_only=True)
class Stencils:
    """Weights (target, source), and those of them that lie beyond a pole, where vectors turn."""

    matrix: sparse.csr_array
    turned: sparse.csr_array | None = None


def nearest(source: Cells, latitude: np.ndarray, longitude: np.ndarray) -> Stencils:
    """Return the weights of the nearest centre: one for each target inside the source."""
    known = np.flatnonzero(np.isfinite(source.centres[:, 0]))
    found = known[KDTree(source.centres[known]).query(_points(latitude, longitude).T)[1]]
    return _one_each(source, found, inside(source, latitude, longitude))


def containing_cell(source: Cells, latitude: np.ndarray, longitude: np.ndarray) -> Stencils:
    """Return the weights of the cell that contains each target."""
    x, z = np.deg2rad(longitude), np.sin(np.deg2rad(latitude))
    cells, number = near(source, np.stack([x, z, x, z], axis=1))
    found = containing(cells.polygons, x, z)
    return _one_each(source, np.append(number, -1)[found], found >= 0)


def interpolation(
    source: Cells, latitude: np.ndarray, longitude: np.ndarray, *, cubic: bool
) -> Stencils:
    """Return the weights of interpolation to positions.

    Parameters
    ----------
    source
        Cells in rows and columns; others are interpolated within triangles of centres.
    latitude, longitude
        (m,) targets in degrees.
    cubic
        Bicubic (Keys, 1981, a = -3/4, along rows and columns), not bilinear.
    """
    within = inside(source, latitude, longitude)
    if source.rows is not None:
        return _in_rows(source, latitude, longitude, within, cubic=cubic)
    if len(source.shape) == 2:
        return _in_quadrilaterals(source, latitude, longitude, within, cubic=cubic)
    return _in_triangles(source, latitude, longitude, within)


def inside(source: Cells, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Return which targets lie in a cell, or on its edge."""
    if source.rows is not None and source.columns is not None:
        low, high = source.rows.min(axis=1), source.rows.max(axis=1)
        in_rows = _in_any(latitude, low, high)
        west, east = source.columns.min(axis=1), source.columns.max(axis=1)
        start = west.min() - EDGE
        return np.asarray(in_rows & _in_any((longitude - start) % 360 + start, west, east))
    if source.areas.sum() > 4 * np.pi * (1 - 1e-6):
        return np.asarray(np.isfinite(latitude + longitude))
    found = containing(source.polygons, np.deg2rad(longitude), np.sin(np.deg2rad(latitude)))
    return found >= 0


def _in_any(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return which values lie in one of the intervals, which do not overlap."""
    order = np.argsort(low)
    at = np.clip(np.searchsorted(low[order], values, side="right") - 1, 0, low.size - 1)
    low, high = low[order][at], high[order][at]
    return np.asarray((values >= low - EDGE) & (values <= high + EDGE))


def _in_rows(
    source: Cells, latitude: np.ndarray, longitude: np.ndarray, within: np.ndarray, *, cubic: bool
) -> Stencils:
    height, width = source.shape
    lat, lon = source.latitude.reshape(source.shape)[:, 0], source.longitude[:width]
    south = lat[0] < lat[-1]
    rows, turned = np.arange(height), np.zeros(height, bool)
    if source.wraps and width % 2 == 0:
        rows, turned, lat = _beyond_poles(lat, np.asarray(source.rows))
    down = _index(lat if south else -lat, latitude if south else -latitude)
    lon = straight(lon)
    if lon[0] > lon[-1]:
        right = _index_around(-lon, -longitude, wraps=source.wraps)
    else:
        right = _index_around(lon, longitude, wraps=source.wraps)
    lattice = _Lattice(source.shape, rows, turned, source.wraps)
    return lattice.stencils(down, right, within, cubic=cubic)


def _beyond_poles(lat: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return rows continued beyond the poles that they reach: number, whether beyond, latitude."""
    size = lat.size
    rows: list[np.ndarray] = [np.arange(size)]
    turned: list[np.ndarray] = [np.zeros(size, bool)]
    values: list[np.ndarray] = [lat]
    for end, step in ((0, 1), (size - 1, -1)):
        pole = 90.0 if lat[end] > lat[size - 1 - end] else -90.0
        if np.abs(edges[end] - pole).min() > 1e-9 or size <= BEYOND:
            continue
        # A row on the pole is not repeated.
        skip = 1 if abs(lat[end] - pole) < 1e-9 else 0
        more = end + step * (np.arange(BEYOND) + skip)
        beyond = 2 * pole - lat[more]
        where = slice(None, None, -1 if end == 0 else 1)
        news = more, np.ones(BEYOND, bool), beyond
        for parts, new in zip((rows, turned, values), news, strict=True):
            parts.insert(0 if end == 0 else len(parts), new[where])
    return np.concatenate(rows), np.concatenate(turned), np.concatenate(values)


def _index(centres: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return fractional indices of values along increasing centres, within them."""
    return np.asarray(np.interp(values, centres, np.arange(centres.size, dtype=float)))


def _index_around(centres: np.ndarray, values: np.ndarray, *, wraps: bool) -> np.ndarray:
    """Return fractional indices along increasing longitudes."""
    if wraps:
        turned = (values - centres[0]) % 360 + centres[0]
        return _index(np.r_[centres, centres[0] + 360], turned)
    middle = (centres[0] + centres[-1]) / 2
    return _index(centres, values - 360 * np.round((values - middle) / 360))


@dataclass(frozen=True)
class _Lattice:
    """Rows and columns of a field; ``rows`` may continue beyond poles, where ``turned``."""

    shape: tuple[int, ...]
    rows: np.ndarray
    turned: np.ndarray
    wraps: bool

    def stencils(
        self, down: np.ndarray, right: np.ndarray, within: np.ndarray, *, cubic: bool
    ) -> Stencils:
        """Return the weights at fractional indices of (continued) rows and columns."""
        reach = 2 if cubic else 1
        offsets = np.arange(1 - reach, reach + 1)
        taps, shares = [], []
        for position, size in ((down, self.rows.size), (right, self.shape[1])):
            base = np.minimum(np.floor(position).astype(int), size - 1)
            tap = base[:, None] + offsets
            distance = np.abs(position[:, None] - tap)
            taps.append(tap)
            shares.append(keys_kernel(distance) if cubic else 1 - distance)
        rows = np.clip(taps[0], 0, self.rows.size - 1)
        width = self.shape[1]
        columns = taps[1] % width if self.wraps else np.clip(taps[1], 0, width - 1)
        turned = np.broadcast_to(self.turned[rows][:, :, None], (*rows.shape, offsets.size))
        columns = (columns[:, None] + np.where(turned, width // 2, 0)) % width
        cells = self.rows[rows][:, :, None] * width + columns
        weights = shares[0][:, :, None] * shares[1][:, None] * within[:, None, None]
        target = np.arange(down.size).repeat(offsets.size**2)
        shape = down.size, self.shape[0] * width
        matrices = []
        for values in (weights, np.where(turned, weights, 0)):
            flat, keep = values.ravel(), values.ravel() != 0
            index = target[keep], cells.ravel()[keep]
            matrices.append(sparse.csr_array((flat[keep], index), shape=shape))
        return Stencils(matrix=matrices[0], turned=matrices[1] if matrices[1].nnz else None)


def _in_quadrilaterals(
    source: Cells, latitude: np.ndarray, longitude: np.ndarray, within: np.ndarray, *, cubic: bool
) -> Stencils:
    height, width = source.shape
    columns = np.arange(width if source.wraps else width - 1)
    first = (np.arange(height - 1)[:, None] * width + columns).ravel()
    right = (np.arange(height - 1)[:, None] * width + (columns + 1) % width).ravel()
    corners = np.stack([first, right, right + width, first + width], axis=1)
    quads = corners[_compact(source, corners)]
    quad = _quads_around(source, quads, latitude, longitude)
    points = _points(latitude, longitude)
    near = np.asarray(KDTree(np.nan_to_num(source.centres, nan=9.0)).query(points.T)[1])
    down, along = (part.astype(float) for part in np.divmod(near, width))
    known = quad >= 0
    u, v = _inverse_bilinear(source.centres[quads[quad[known]]], points[:, known])
    base = quads[quad[known], 0]
    down[known], along[known] = base // width + v, base % width + u
    lattice = _Lattice(source.shape, np.arange(height), np.zeros(height, bool), source.wraps)
    return lattice.stencils(down, along, within, cubic=cubic)


def _quads_around(
    source: Cells, corners: np.ndarray, latitude: np.ndarray, longitude: np.ndarray
) -> np.ndarray:
    """Return which of (n, corners) polygons of centres contains each target, or -1."""
    polygons = great_circle_polygons(source.latitude[corners], source.longitude[corners])
    return containing(polygons, np.deg2rad(longitude), np.sin(np.deg2rad(latitude)))


def _compact(source: Cells, corners: np.ndarray) -> np.ndarray:
    """Return which of (n, corners) polygons of centres have sides of usual length."""
    points = source.centres[corners]
    sides = np.linalg.norm(points - np.roll(points, -1, axis=1), axis=2)
    usual = np.sqrt(np.maximum(source.areas[corners], np.median(source.areas)))
    return np.asarray((sides < LONGEST * usual).all(axis=1))


def _inverse_bilinear(corners: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares (0 to 1) of (3, m) points along the sides of (m, 4, 3) quadrilaterals.

    Newton's method in the gnomonic projection around each point.
    """
    east, north = _tangents(points)
    scale = np.einsum("mki,im->mk", corners, points)
    x = np.einsum("mki,im->mk", corners, east) / scale
    y = np.einsum("mki,im->mk", corners, north) / scale
    a, b, c, d = (np.stack([x[:, k], y[:, k]]) for k in range(4))
    side, up, twist = b - a, d - a, a - b + c - d
    u = v = np.full(points.shape[1], 0.5)
    for _ in range(NEWTON_STEPS):
        rest = a + u * side + v * up + u * v * twist
        along_u, along_v = side + v * twist, up + u * twist
        determinant = along_u[0] * along_v[1] - along_u[1] * along_v[0]
        determinant = np.where(np.abs(determinant) < 1e-300, 1e-300, determinant)
        u = u - (rest[0] * along_v[1] - rest[1] * along_v[0]) / determinant
        v = v - (along_u[0] * rest[1] - along_u[1] * rest[0]) / determinant
        u, v = np.clip(u, -0.5, 1.5), np.clip(v, -0.5, 1.5)
    return np.clip(u, 0, 1), np.clip(v, 0, 1)


def _in_triangles(
    source: Cells, latitude: np.ndarray, longitude: np.ndarray, within: np.ndarray
) -> Stencils:
    """Return linear weights within the triangles that the nearest centres form."""
    corners = ConvexHull(source.centres).simplices
    corners = corners[_compact(source, corners)]
    found = _quads_around(source, corners, latitude, longitude)
    known = np.flatnonzero((found >= 0) & within)
    points = _points(latitude, longitude)
    basis = np.moveaxis(source.centres[corners[found[known]]], 1, 2)
    shares = np.linalg.solve(basis, points[:, known].T[..., None])[..., 0]
    shares = np.clip(shares, 0, None)
    shares /= shares.sum(axis=1, keepdims=True)
    others = np.flatnonzero((found < 0) & within)
    near = np.asarray(KDTree(source.centres).query(points[:, others].T)[1])
    values = np.concatenate([shares.ravel(), np.ones(others.size)])
    target = np.concatenate([known.repeat(3), others])
    cells = np.concatenate([corners[found[known]].ravel(), near])
    shape = latitude.size, source.size
    return Stencils(matrix=sparse.csr_array((values, (target, cells)), shape=shape))


def _tangents(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (3, m) unit vectors to the east and north of points; at a pole, some."""
    radius = np.hypot(points[0], points[1])
    safe = np.maximum(radius, 1e-15)
    cosine = np.where(radius > 1e-15, points[0] / safe, 1.0)
    sine = np.where(radius > 1e-15, points[1] / safe, 0.0)
    east = np.stack([-sine, cosine, np.zeros_like(sine)])
    return east, np.cross(points, east, axis=0)


def _points(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    return vectors(np.deg2rad(longitude), np.sin(np.deg2rad(latitude)))


def _one_each(source: Cells, cells: np.ndarray, known: np.ndarray) -> Stencils:
    target = np.flatnonzero(known)
    index = target, cells[known]
    shape = cells.size, source.size
    return Stencils(matrix=sparse.csr_array((np.ones(target.size), index), shape=shape))
