"""HEALPix: numbering, centres and exact outlines of pixels (Górski et al., 2005).

A pixel is a square with sides along ``u`` and ``v`` on one of 12 base faces; on a face, both run
from 0 to 1, from its southern corner to the north-east and to the north-west.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flexclim.errors import GridError
from flexclim.grids.regridding.polygons import Edges, Polygons, follow, joined, polygons_of

# Northern corner of each face: rings from the north pole in quarters, longitude in eighths.
FACE_RING = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])
FACE_LONGITUDE = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])
DEEPEST = 29


@dataclass(frozen=True, eq=False)
class Pixels:
    """Pixels of one level, (n,) numbers in the nested scheme."""

    level: int
    number: np.ndarray

    @property
    def nside(self) -> int:
        """Pixels along one side of a base face."""
        return 1 << self.level

    @property
    def order(self) -> np.ndarray:
        """(n,) places of the pixels in ascending order of their numbers."""
        return np.argsort(self.number)

    def children(self, levels: int) -> np.ndarray:
        """Return the (n 4^levels,) numbers of the pixels that they are split into, ascending.

        >>> Pixels(0, np.array([5, 2])).children(1).tolist()
        [8, 9, 10, 11, 20, 21, 22, 23]
        """
        count: int = 4**levels
        return np.asarray(self.number[self.order, None] * count + np.arange(count)).ravel()

    def parents(self, levels: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the (m,) pixels that contain these, and (n,) which of them contains each.

        >>> [part.tolist() for part in Pixels(1, np.array([7, 4, 47])).parents(1)]
        [[1, 11], [0, 0, 1]]
        """
        found, place = np.unique(self.number >> (2 * levels), return_inverse=True)
        return found, place


def level_of(pixels: int) -> int:
    """Return the level of a full sphere of pixels.

    Raises
    ------
    GridError
        If the number is not 12 times a power of four.

    >>> level_of(768)
    3
    """
    level = round(math.log2(max(pixels, 12) / 12) / 2)
    if 12 * 4**level != pixels:
        raise GridError(
            f"{pixels} cells are no HEALPix sphere, which has 12 x 4^level. Pass cells of one "
            "level, or a coordinate with the number of each cell."
        )
    return level


def faces(level: int, number: np.ndarray, *, nested: bool) -> tuple[np.ndarray, ...]:
    """Return face, column and row of pixels; columns run along u.

    >>> [int(part[0]) for part in faces(1, np.array([6]), nested=True)]
    [1, 0, 1]
    """
    if not nested:
        return _faces_of_rings(2**level, number)
    face, rest = np.divmod(number, 4**level)
    return face, _even_bits(rest, level), _even_bits(rest >> 1, level)


def nested_numbers(level: int, number: np.ndarray) -> np.ndarray:
    """Return the numbers in the nested scheme of pixels numbered along rings.

    >>> nested_numbers(1, np.array([0, 4, 47])).tolist()
    [3, 2, 44]
    """
    face, column, row = faces(level, number, nested=False)
    bits = sum(
        (((column >> bit) & 1) | (((row >> bit) & 1) << 1)) << (2 * bit) for bit in range(level)
    )
    return np.asarray(face * 4**level + bits)


def centres(level: int, number: np.ndarray, *, nested: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return latitude and longitude of the centres of pixels in degrees.

    >>> [float(x[0]) for x in centres(0, np.array([4]), nested=True)]
    [0.0, 0.0]
    """
    face, column, row = faces(level, number, nested=nested)
    x, z = _plane(face, (column + 0.5) / 2**level, (row + 0.5) / 2**level)
    return np.rad2deg(np.arcsin(z)), np.rad2deg(x) % 360


def outlines(level: int, number: np.ndarray, *, nested: bool) -> Polygons:
    """Return the exact outlines of pixels, whose areas are equal.

    >>> areas = outlines(1, np.arange(48), nested=False).areas
    >>> float(np.ptp(areas) / areas.mean()) < 1e-12
    True
    """
    face, column, row = faces(level, number, nested=nested)
    size = number.size
    side = 1 / 2**level
    # Counter-clockwise from the southern corner.
    corners_u = np.stack([column, column + 1, column + 1, column], axis=1) * side
    corners_v = np.stack([row, row, row + 1, row + 1], axis=1) * side
    owner = np.arange(size).repeat(4)
    u1, v1 = corners_u.ravel(), corners_v.ravel()
    u2, v2 = (np.roll(part, -1, axis=1).ravel() for part in (corners_u, corners_v))
    edge_face = face.repeat(4)
    # Along an edge the longitude of a corner on a pole is that of the rest of the edge.
    middle, _ = _plane(edge_face, (u1 + u2) / 2, (v1 + v2) / 2)
    ends = [_plane(edge_face, u, v, at_pole=middle) for u, v in ((u1, v1), (u2, v2))]
    (x1, z1), (x2, z2) = ends

    def along(edge: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        u = u1[edge] + share * (u2 - u1)[edge]
        v = v1[edge] + share * (v2 - v1)[edge]
        return _plane(edge_face[edge], u, v, at_pole=middle[edge])

    edges = Edges(owner, x1, z1, x2, z2)
    pieces = follow(edges, _area_below(edge_face, u1, v1, u2, v2, edges), along)
    # Edges on both sides of a pole are joined along it.
    next_x1 = np.roll(x1.reshape(-1, 4), -1, axis=1).ravel()
    return polygons_of(joined([pieces, Edges(owner, x2, z2, next_x1, z2)]), size)


def _plane(
    face: np.ndarray, u: np.ndarray, v: np.ndarray, at_pole: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude in radians and sine of latitude of positions on faces."""
    ring = FACE_RING[face] - u - v
    # Rings shrink towards the poles.
    width = np.minimum(1, np.minimum(ring, 4 - ring))
    cap = 1 - width * width / 3
    z = np.where(ring < 1, cap, np.where(ring > 3, -cap, (2 - ring) * 2 / 3))
    pole = width < 1e-12
    turned = (FACE_LONGITUDE[face] + (u - v) / np.where(pole, 1, width)) * np.pi / 4
    return np.where(pole, at_pole, turned), z


def _area_below(
    face: np.ndarray, u1: np.ndarray, v1: np.ndarray, u2: np.ndarray, v2: np.ndarray, edges: Edges
) -> np.ndarray:
    """Return the integrals of z over x along edges of pixels.

    Edges are straight between the caps. In a cap, x = a + b / width and |z| = 1 - width^2 / 3
    with b constant along an edge, so the integral of width^2 is -b times the change of width.
    """
    _, x1, z1, x2, z2 = edges
    ring1, ring2 = FACE_RING[face] - u1 - v1, FACE_RING[face] - u2 - v2
    width1, width2 = (np.minimum(ring, 4 - ring) for ring in (ring1, ring2))
    cap = (width1 + width2) / 2 < 1
    north = ring1 + ring2 < 4
    # u - v = FACE_RING - ring - 2 v = 2 u - FACE_RING + ring, one of them constant on an edge.
    fixed_u = u1 == u2
    offset = np.where(fixed_u, 2 * u1 - FACE_RING[face], FACE_RING[face] - 2 * v1)
    b = np.pi / 4 * np.where(north, offset, offset + np.where(fixed_u, 4, -4))
    bent = (x2 - x1) + b * (width2 - width1) / 3
    below: np.ndarray = np.where(cap, np.where(north, bent, -bent), (x2 - x1) * (z1 + z2) / 2)
    return below


def _even_bits(number: np.ndarray, count: int) -> np.ndarray:
    """Return the number that the first even bits form."""
    result = np.zeros_like(number)
    for bit in range(count):
        result |= ((number >> (2 * bit)) & 1) << bit
    return result


def _faces_of_rings(side: int, number: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return face, column and row of pixels numbered along rings from the north."""
    total, cap = 12 * side * side, 2 * side * (side - 1)
    mirrored = total - 1 - number
    north, south = number < cap, mirrored < cap
    # Number of the ring within a cap, from its pole.
    counted = np.where(south, mirrored, number)
    inner = ((1 + np.sqrt(1 + 2 * np.minimum(counted, cap).astype(float))) / 2).astype(np.int64)
    inner = np.where(2 * inner * (inner - 1) > counted, inner - 1, inner)
    middle = (number - cap) // (4 * side) + side
    ring = np.where(north, inner, np.where(south, 4 * side - inner, middle))
    length = np.where(north | south, inner, side)
    first = np.where(
        north,
        2 * inner * (inner - 1),
        np.where(south, total - 2 * inner * (inner + 1), cap + (middle - side) * 4 * side),
    )
    place = number - first
    # Rings of the caps start half a pixel east of 0; of the others, every second one does.
    half = np.where(north | south | ((ring - side) % 2 == 0), 0.5, 0.0)
    # Longitude in eighths of a turn, as FACE_LONGITUDE.
    eighths = 2 * (place + half) / length
    east = (eighths - FACE_LONGITUDE[:, None] + 4) % 8 - 4
    across, along = east * length / side, FACE_RING[:, None] - ring / side
    u, v = (along + across) / 2, (along - across) / 2
    face = ((u > 0) & (u < 1) & (v > 0) & (v < 1)).argmax(axis=0)
    at = face, np.arange(number.size)
    return face, np.floor(u[at] * side).astype(int), np.floor(v[at] * side).astype(int)
