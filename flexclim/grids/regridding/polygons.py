"""Cells as polygons in the plane of longitude and sine of latitude, where areas are exact.

In this plane (Lambert's cylindrical equal-area projection) cells between parallels and meridians
are rectangles. Other edges are followed by as many straight pieces as they need, moved so that
they enclose the area of the true edge.
"""

# x longitude in radians, z sine of latitude; an edge runs from (x1, z1) to (x2, z2).

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

TURN = 2 * np.pi
# Area between an edge and its pieces, in squares of the edge's length: wanted, and negligible.
TOLERANCE, STRAIGHT = 5e-4, 1e-9
MOST_PIECES = 48
# Polygons whose edges are made at once.
AT_ONCE = 2**16
BISECTIONS = 48
# Radians of longitude along an edge from which it counts as near a pole.
FAST = 0.5
# Maps numbers of edges and positions along them (0 to 1) to x and z.
Along = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Edges(NamedTuple):
    """(m,) edges: the number of the polygon of each, and its ends."""

    owner: np.ndarray
    x1: np.ndarray
    z1: np.ndarray
    x2: np.ndarray
    z2: np.ndarray

    def chosen(self, which: np.ndarray) -> Edges:
        """Return some of the edges, by numbers or a mask."""
        return Edges(*(values[which] for values in self))


def joined(parts: Sequence[Edges]) -> Edges:
    """Return the edges of all parts."""
    return Edges(*map(np.concatenate, zip(*parts, strict=True)))


@dataclass(frozen=True, eq=False)
class Polygons:
    """Polygons, counter-clockwise; holes run clockwise.

    Edges along meridians are left out: they enclose no area below them.

    Parameters
    ----------
    edges
        Sorted by polygon. ``x`` does not jump along a polygon; its smallest value lies between 0
        and 2 pi.
    size
        Number of polygons; those without edges are empty.
    """

    edges: Edges
    size: int

    @cached_property
    def first(self) -> np.ndarray:
        """(size + 1,) number of the first edge of each polygon, and of all edges."""
        return np.searchsorted(self.edges.owner, np.arange(self.size + 1))

    @cached_property
    def areas(self) -> np.ndarray:
        """(size,) areas in steradians."""
        _, x1, z1, x2, z2 = self.edges
        return self._sums((x1 - x2) * (z1 + z2) / 2)

    @cached_property
    def boxes(self) -> np.ndarray:
        """(size, 4) smallest x, smallest z, largest x, largest z; NaN for empty polygons."""
        result = np.full((self.size, 4), np.nan)
        filled = np.flatnonzero(np.diff(self.first))
        if filled.size:
            at = self.first[filled]
            _, x1, z1, x2, z2 = self.edges
            for column, (a, b) in enumerate(((x1, x2), (z1, z2))):
                result[filled, column] = np.minimum.reduceat(np.minimum(a, b), at)
                result[filled, column + 2] = np.maximum.reduceat(np.maximum(a, b), at)
        return result

    @cached_property
    def centroids(self) -> tuple[np.ndarray, np.ndarray]:
        """(size,) x and z of the centres of area."""
        _, x1, z1, x2, z2 = self.edges
        width = x1 - x2
        moment_x = width * (x1 * (2 * z1 + z2) + x2 * (z1 + 2 * z2)) / 6
        moment_z = width * (z1 * z1 + z1 * z2 + z2 * z2) / 6
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._sums(moment_x) / self.areas, self._sums(moment_z) / self.areas

    def _sums(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.edges.owner, weights=values, minlength=self.size)


def polygons_of(edges: Edges, size: int) -> Polygons:
    """Return polygons of edges: oriented, without meridional edges, near x = 0."""
    keep = np.abs(edges.x1 - edges.x2) > 1e-15
    if (edges.owner[1:] < edges.owner[:-1]).any():
        order = np.argsort(edges.owner, kind="stable")
        keep = order[keep[order]]
    edges = edges.chosen(keep)
    found = Polygons(edges, size)
    owner, x1, z1, x2, z2 = edges
    shift = (-TURN * np.floor(np.nan_to_num(found.boxes[:, 0]) / TURN))[owner]
    forward = found.areas[owner] >= 0
    turned = (np.where(forward, a, b) for a, b in ((x1, x2), (z1, z2), (x2, x1), (z2, z1)))
    x1, z1, x2, z2 = turned
    return Polygons(Edges(owner, x1 + shift, z1, x2 + shift, z2), size)


def rectangles(latitude: np.ndarray, longitude: np.ndarray) -> Polygons:
    """Return cells between parallels and meridians.

    Parameters
    ----------
    latitude, longitude
        (n, 2) edges of each cell in degrees.

    >>> octant = rectangles(np.array([[0.0, 90.0]]), np.array([[0.0, 90.0]]))
    >>> float(octant.areas[0] / np.pi)
    0.5
    """
    low, high = np.sort(np.sin(np.deg2rad(latitude)), axis=1).T
    west, east = np.sort(np.deg2rad(longitude), axis=1).T
    number = np.arange(low.size)
    ends = (np.stack(pair, axis=1).ravel() for pair in ((west, east), (low, high), (east, west)))
    x1, z, x2 = ends
    return polygons_of(Edges(number.repeat(2), x1, z, x2, z), low.size)


def great_circle_polygons(latitude: np.ndarray, longitude: np.ndarray) -> Polygons:
    """Return polygons whose corners are joined by great circles.

    Parameters
    ----------
    latitude, longitude
        (n, corners) degrees. Repeated corners count once; polygons with a NaN are empty.

    >>> octant = great_circle_polygons(np.array([[0.0, 0.0, 90.0]]), np.array([[0.0, 90.0, 7.0]]))
    >>> float(octant.areas[0] / np.pi)
    0.5
    """
    size = latitude.shape[0]
    known = np.flatnonzero(np.isfinite(latitude).all(axis=1) & np.isfinite(longitude).all(axis=1))
    blocks = np.array_split(known, max(1, known.size // AT_ONCE))
    parts = [_great_circle_edges(block, latitude[block], longitude[block]) for block in blocks]
    return polygons_of(joined(parts), size)


def _great_circle_edges(known: np.ndarray, latitude: np.ndarray, longitude: np.ndarray) -> Edges:
    """Return the edges of polygons with these numbers; see :func:`great_circle_polygons`."""
    phi, x = np.deg2rad(latitude), np.deg2rad(longitude)
    z = np.sin(phi)
    pole = np.abs(phi) > np.pi / 2 - 1e-9
    # At a pole the longitude of a corner is that of its neighbour on either side.
    arriving = np.where(pole, np.roll(x, 1, axis=1), x)
    leaving = np.where(pole, np.roll(x, -1, axis=1), x)
    # Edge j joins corners j and j + 1; before it, one along the pole.
    steps = np.stack([leaving - arriving, np.roll(arriving, -1, axis=1) - leaving], axis=2)
    steps = steps - TURN * np.round(steps / TURN)
    z1 = np.stack([z, z], axis=2).reshape(known.size, 2 * z.shape[1])
    z2 = np.stack([z, np.roll(z, -1, axis=1)], axis=2).reshape(known.size, 2 * z.shape[1])
    steps = steps.reshape(known.size, 2 * z.shape[1])
    x2 = arriving[:, :1] + np.cumsum(steps, axis=1)
    x1 = x2 - steps
    # A polygon around a pole is closed along it.
    turns = np.round((x2[:, -1:] - x1[:, :1]) / TURN)
    cap = np.where(turns != 0, turns * _rotation(x, z)[:, None], z1[:, :1])
    x1, x2 = np.hstack([x1, x2[:, -1:]]), np.hstack([x2, x1[:, :1]])
    z1, z2 = np.hstack([z1, cap]), np.hstack([z2, cap])
    kind = np.zeros(x1.shape, bool)
    kind[:, 1:-1:2] = True
    kind[:, -1] = False
    owner = np.broadcast_to(known[:, None], x1.shape)
    edges = Edges(*(values.ravel() for values in (owner, x1, z1, x2, z2)))
    curved = edges.chosen(kind.ravel())
    pieces = follow(curved, *_great_circles(curved))
    return joined([pieces, edges.chosen(~kind.ravel())])


def _rotation(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return 1 for (n, corners) polygons that are counter-clockwise, -1 for others."""
    corners = vectors(x, z)
    normal = np.cross(corners, np.roll(corners, -1, axis=2), axis=0).sum(axis=2)
    return np.where((normal * corners.sum(axis=2)).sum(axis=0) < 0, -1, 1)


def _great_circles(edges: Edges) -> tuple[np.ndarray, Along]:
    """Return the areas between great circles and the equator, and positions along them."""
    _, x1, z1, x2, z2 = edges
    tangents = [np.tan(np.arcsin(z) / 2) for z in (z1, z2)]
    area = 2 * np.arctan2(
        np.sin((x2 - x1) / 2) * (tangents[0] + tangents[1]),
        np.cos((x2 - x1) / 2) * (1 + tangents[0] * tangents[1]),
    )
    start, end = vectors(x1, z1), vectors(x2, z2)
    angle = 2 * np.arcsin(np.clip(np.linalg.norm(end - start, axis=0) / 2, 0, 1))

    def position(edge: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = np.sin((1 - share) * angle[edge]), np.sin(share * angle[edge])
        x, y, z = parts[0] * start[:, edge] + parts[1] * end[:, edge]
        east, turn = np.arctan2(y, x) - x1[edge], (x2 - x1)[edge]
        # Longitude changes one way, so that it lies within half a turn of the middle's.
        east = east - TURN * np.round((east - turn / 2) / TURN)
        return x1[edge] + east, z / np.maximum(np.sqrt(x * x + y * y + z * z), 1e-300)

    def along(edge: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share = share.copy()
        # Near a pole, equal steps of the mean of the shares of distance and longitude.
        turn = (x2 - x1)[edge]
        fast = np.flatnonzero(np.abs(turn) > np.maximum(2 * angle[edge], FAST))
        if fast.size:
            few, wanted = edge[fast], share[fast]
            low, high = np.zeros(fast.size), np.ones(fast.size)
            for _ in range(BISECTIONS):
                middle = (low + high) / 2
                reached = (position(few, middle)[0] - x1[few]) / turn[fast]
                below = (middle + reached) / 2 < wanted
                low, high = np.where(below, middle, low), np.where(below, high, middle)
            share[fast] = (low + high) / 2
        return position(edge, share)

    return area, along


def follow(edges: Edges, area: np.ndarray, along: Along) -> Edges:
    """Replace curved edges by straight pieces that enclose the same area.

    The two polygons at an edge get the same pieces.

    Parameters
    ----------
    edges
        Ends of the curved edges.
    area
        (m,) signed area between each and the equator: the integral of z over x.
    along
        Positions along them.
    """
    owner, x1, z1, x2, z2 = edges
    excess = area - (x2 - x1) * (z1 + z2) / 2
    length2 = ((vectors(x2, z2) - vectors(x1, z1)) ** 2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        bend = np.nan_to_num(np.abs(excess) / length2)
    wanted = np.clip(np.ceil(np.sqrt(bend / TOLERANCE)), 2, MOST_PIECES)
    pieces = np.where(bend > STRAIGHT, wanted, 1).astype(int)
    edge = np.arange(owner.size).repeat(pieces)
    number = np.arange(edge.size) - (np.cumsum(pieces) - pieces).repeat(pieces)
    ends = []
    for step in (number, number + 1):
        x, z = along(edge, step / pieces[edge])
        for exact, share in (((x1, z1), 0), ((x2, z2), pieces[edge])):
            x = np.where(step == share, exact[0][edge], x)
            z = np.where(step == share, exact[1][edge], z)
        ends.append((x, z))
    (xa, za), (xb, zb) = ends
    missing = area - np.bincount(edge, weights=(xb - xa) * (za + zb) / 2, minlength=owner.size)
    # Move inner corners by some share of 1 - z^2, which keeps them on the sphere.
    leeway_a = np.where(number > 0, 1 - za * za, 0)
    leeway_b = np.where(number < pieces[edge] - 1, 1 - zb * zb, 0)
    gain = (xb - xa) * (leeway_a + leeway_b) / 2
    lever = np.bincount(edge, weights=gain, minlength=owner.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        move = np.clip(np.nan_to_num(missing / lever), -0.5, 0.5)[edge]
    return Edges(owner[edge], xa, za + move * leeway_a, xb, zb + move * leeway_b)


def vectors(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return (3, ...) unit vectors of positions in the plane."""
    radius = np.sqrt(np.maximum(1 - z * z, 0))
    return np.stack([radius * np.cos(x), radius * np.sin(x), z])
