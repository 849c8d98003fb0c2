"""Areas in which polygons overlap, and the polygons around points.

Both follow from one identity. Let an edge e run above x with the height z_e(x), and let s_e be +1
if it bounds its polygon from above, -1 from below. A point (x, z) lies in the polygon where
the sum of s_e over the edges above it is 1. So two polygons share the area

    sum over e, f of s_e s_f  integral of min(z_e, z_f) dx,

over the x that both edges have. No polygon has to be convex, and none is ever cut.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely
from scipy import sparse

from flexclim.grids.regridding.polygons import TURN, Polygons

# Pairs of edges that are held in memory at once.
AT_ONCE = 2**20
# Smaller shares of the smaller polygon are rounding.
ROUNDING = 1e-11


def overlap_areas(source: Polygons, target: Polygons) -> sparse.csr_array:
    """Return the (target, source) areas that polygons have in common, in steradians.

    >>> from flexclim.grids.regridding.polygons import rectangles
    >>> west, both = ([[0.0, 30.0]], [[0.0, 90.0]]), ([[0.0, 30.0]], [[80.0, 100.0]])
    >>> found = overlap_areas(*(rectangles(*map(np.array, one)) for one in (west, both)))
    >>> float(found[0, 0] / (np.deg2rad(10) * 0.5))
    1.0
    """
    return overlap_moments(source, target, order=0)[0]


def overlap_moments(
    source: Polygons, target: Polygons, *, order: int = 1
) -> tuple[sparse.csr_array, ...]:
    """Return overlap areas and, with ``order`` 1, the integrals of x and z over the overlaps.

    Longitudes x are those of the source polygon.
    """
    s, t, shift = _candidates(source.boxes, target.boxes)
    moments = np.zeros((3 if order else 1, s.size))
    # About a quarter of the pairs of edges meet.
    edges = np.diff(target.first)[t] * np.maximum(np.diff(source.first)[s] // 4, 1)
    for part in _portions(edges):
        moments[:, part] = _integrals(source, target, s[part], t[part], shift[part], order)
    smaller = np.minimum(source.areas[s], target.areas[t])
    keep = moments[0] > ROUNDING * smaller
    shape = (target.size, source.size)
    return tuple(
        sparse.csr_array((values[keep], (t[keep], s[keep])), shape=shape) for values in moments
    )


def containing(polygons: Polygons, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the number of a polygon that contains each point, or -1.

    Parameters
    ----------
    polygons
        Cells.
    x, z
        (n,) points: longitude in radians, sine of latitude.
    """
    x = x % TURN
    z = np.clip(z, -1 + 1e-12, 1 - 1e-12)
    points = np.stack([x, z, x, z], axis=1)
    cell, point, shift = _candidates(polygons.boxes, points)
    counts = np.diff(polygons.first)[cell]
    found = np.full(x.size, -1)
    for part in _portions(counts):
        pair, edge = _ragged(counts[part], polygons.first[cell[part]])
        where, height = (x[point] + shift)[part][pair], z[point[part]][pair]
        _, x1, z1, x2, z2 = polygons.edges.chosen(edge)
        over = (where >= np.minimum(x1, x2)) & (where < np.maximum(x1, x2))
        with np.errstate(divide="ignore", invalid="ignore"):  # edges along a meridian
            level = z1 + (z2 - z1) * (where - x1) / (x2 - x1)
        sign = np.sign(x1 - x2) * (over & (height < level))
        inside = np.bincount(pair, weights=sign, minlength=counts[part].size) > 0.5
        found[point[part][inside]] = cell[part][inside]
    return found


def _candidates(
    source: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs whose (n, 4) boxes meet, and the turns that targets are moved by."""
    tree = shapely.STRtree(shapely.box(*source.T))
    found = []
    for turn in (-TURN, 0.0, TURN):
        moved = target + np.array([turn, 0, turn, 0])
        limits = np.nanmin(source[:, 0], initial=np.inf), np.nanmax(source[:, 2], initial=-np.inf)
        near = np.flatnonzero((moved[:, 2] >= limits[0]) & (moved[:, 0] <= limits[1]))
        t, s = tree.query(shapely.box(*moved[near].T))
        found.append((s, near[t], np.full(s.size, turn)))
    s, t, shift = (np.concatenate(part) for part in zip(*found, strict=True))
    return s, t, shift


def _portions(counts: np.ndarray) -> Iterator[slice]:
    """Cut a list into slices of at most ``AT_ONCE`` items in all, or of one entry."""
    total = np.cumsum(counts)
    start = 0
    while start < counts.size:
        before = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, before + AT_ONCE, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


def _ragged(counts: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each item of ragged rows the row, and ``first`` of it plus the item's number."""
    row = np.arange(counts.size).repeat(counts)
    start = first - (np.cumsum(counts) - counts)
    return row, np.arange(row.size) + start[row]


def _integrals(
    source: Polygons,
    target: Polygons,
    s: np.ndarray,
    t: np.ndarray,
    shift: np.ndarray,
    order: int,
) -> np.ndarray:
    """Return (1 or 3, pairs) integrals of 1, x and z over the overlap of each pair."""
    a, b = source.edges, target.edges
    pair, f = _ragged(np.diff(target.first)[t], target.first[t])
    fx1, fx2, turn = b.x1[f], b.x2[f], shift[pair]
    # Below an edge that runs below all others, these add up to nothing.
    west, south, east, _ = source.boxes[s].T
    keep = (np.maximum(fx1, fx2) + turn > west[pair]) & (np.minimum(fx1, fx2) + turn < east[pair])
    keep = np.flatnonzero(keep & (np.maximum(b.z1[f], b.z2[f]) > south[pair]))
    pair, f, turn = pair[keep], f[keep], turn[keep]
    row, e = _ragged(np.diff(source.first)[s[pair]], source.first[s[pair]])
    pair, f, turn = pair[row], f[row], turn[row]
    ex1, ex2, fx1, fx2 = a.x1[e], a.x2[e], b.x1[f] + turn, b.x2[f] + turn
    west = np.maximum(np.minimum(ex1, ex2), np.minimum(fx1, fx2))
    east = np.minimum(np.maximum(ex1, ex2), np.maximum(fx1, fx2))
    both = np.flatnonzero(east > west)
    pair, west, east = pair[both], west[both], east[both]
    e, f, ex1, ex2, fx1, fx2 = (v[both] for v in (e, f, ex1, ex2, fx1, fx2))
    sign = np.sign(ex1 - ex2) * np.sign(fx1 - fx2)
    ez = [_height(at, ex1, ex2, a.z1[e], a.z2[e]) for at in (west, east)]
    fz = [_height(at, fx1, fx2, b.z1[f], b.z2[f]) for at in (west, east)]
    terms = [sign * term for term in _lower(west, east, ez, fz, order)]
    return np.stack([np.bincount(pair, weights=v, minlength=s.size) for v in terms])


def _lower(
    west: np.ndarray, east: np.ndarray, ez: list[np.ndarray], fz: list[np.ndarray], order: int
) -> list[np.ndarray]:
    """Return the integrals of 1, and by ``order`` of x and z, below the lower of two edges."""
    apart = np.abs(ez[0] - fz[0]), np.abs(ez[1] - fz[1])
    crossing = (ez[0] > fz[0]) != (ez[1] > fz[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(crossing, np.nan_to_num(apart[0] / (apart[0] + apart[1])), 0.5)
    lower = np.minimum(ez[0], fz[0]), np.minimum(ez[1], fz[1])
    z_middle = np.where(crossing, ez[0] + share * (ez[1] - ez[0]), (lower[0] + lower[1]) / 2)
    if order == 0:
        mean = (share * lower[0] + z_middle + (1 - share) * lower[1]) / 2
        return [(east - west) * mean]
    middle = west + share * (east - west)
    pieces = (west, lower[0], middle, z_middle), (middle, z_middle, east, lower[1])
    west_part, east_part = (_below(*piece) for piece in pieces)
    return [one + other for one, other in zip(west_part, east_part, strict=True)]


def _height(
    x: np.ndarray, x1: np.ndarray, x2: np.ndarray, z1: np.ndarray, z2: np.ndarray
) -> np.ndarray:
    """Return z of straight edges at x, between their ends."""
    return np.asarray(z1 + np.clip((x - x1) / (x2 - x1), 0, 1) * (z2 - z1))


def _below(
    x1: np.ndarray, z1: np.ndarray, x2: np.ndarray, z2: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the integrals of 1, x and z over the area between straight edges and z = 0."""
    width = x2 - x1
    return (
        width * (z1 + z2) / 2,
        width * (x1 * (2 * z1 + z2) + x2 * (z1 + 2 * z2)) / 6,
        width * (z1 * z1 + z1 * z2 + z2 * z2) / 6,
    )
