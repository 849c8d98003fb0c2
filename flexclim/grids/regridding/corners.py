"""Edges of rows and columns, and corners of curvilinear cells, from bounds or from centres."""

from __future__ import annotations

import warnings

import numpy as np

from flexclim.errors import GridError
from flexclim.grids.regridding.polygons import vectors

# Overlaps and holes up to this share of the cells are ignored.
TOLERATED = 0.01
# Rows and columns from the border in which an ocean grid may repeat cells.
MARGIN = 4
# Neighbours further apart than so many usual distances are none.
JUMP = 4.0


def edges_between(values: np.ndarray, *, turn: bool = False) -> np.ndarray:
    """Return (n, 2) edges halfway between (n,) centres; outer cells are symmetric.

    Parameters
    ----------
    values
        Increasing or decreasing; longitudes may jump by a full turn.
    turn
        Whether values are longitudes. If they go round the sphere, so do the edges.

    >>> edges_between(np.array([80.0, 40.0, 0.0]))
    array([[100.,  60.],
           [ 60.,  20.],
           [ 20., -20.]])
    """
    if turn:
        values = straight(values)
    if values.size == 1:
        raise GridError("one row or column has no edges. Give its coordinate bounds.")
    steps = np.diff(values)
    first, last = values[0] - steps[0] / 2, values[-1] + steps[-1] / 2
    direction = np.sign(steps[0])
    if turn:
        repeated = abs(abs(values[-1] - values[0]) - 360) < 1e-3 * np.abs(steps).min()
        gap = direction * 360 - (values[-1] - values[0])
        if repeated:
            last = values[-1]
            first = values[0]
        elif abs(gap) < 1.5 * np.abs(steps).max():
            first, last = values[0] - gap / 2, values[-1] + gap / 2
    middles = (values[:-1] + values[1:]) / 2
    return np.stack([np.r_[first, middles], np.r_[middles, last]], axis=1)


def closed_rows(edges: np.ndarray, *, around: bool) -> np.ndarray:
    """Return (n, 2) edges of rows within the poles, on them if less than half a row is left.

    >>> closed_rows(np.array([[80.0, 60.0], [60.0, 40.0], [40.0, 10.0]]), around=True)
    array([[90., 60.],
           [60., 40.],
           [40., 10.]])
    """
    edges = np.clip(edges, -90, 90)
    heights = np.abs(np.diff(edges, axis=1))
    for pole in (-90.0, 90.0):
        gap = np.abs(edges - pole)
        at = np.unravel_index(gap.argmin(), gap.shape)
        if around and gap[at] <= heights[at[0], 0] / 2:
            edges[at] = pole
    return edges


def straight(longitude: np.ndarray) -> np.ndarray:
    """Return longitudes along an axis without jumps of a turn.

    >>> straight(np.array([350.0, 0.0, 10.0]))
    array([350., 360., 370.])
    """
    steps = np.diff(longitude)
    steps = steps - 360 * np.round(steps / 360)
    if longitude.size > 1 and abs(abs(longitude[-1] - longitude[0]) - 360) < 1e-9:
        steps[np.abs(steps) < 1e-9] = 0
    return np.asarray(longitude[0] + np.concatenate([[0.0], np.cumsum(steps)]))


def checked_edges(
    name: str, values: np.ndarray, bounds: np.ndarray, *, turn: bool = False
) -> np.ndarray:
    """Return (n, 2) edges from a file's bounds, near their centres.

    Raises
    ------
    GridError
        If cells overlap or leave holes of more than 1 % of their extent.
    """
    centres = straight(values) if turn else values
    edges = np.asarray(bounds, float)
    if turn:
        edges = edges - 360 * np.round((edges - centres[:, None]) / 360)
    if not np.isfinite(edges).all():
        raise GridError(f"bounds of {name!r} have NaN. Drop them with .drop_vars.")
    low, high = edges.min(axis=1), edges.max(axis=1)
    order = np.argsort(low)
    between = low[order][1:] - high[order][:-1]
    extent = high.max() - low.min()
    for share, what in ((between.clip(min=0), "leave holes"), (-between.clip(max=0), "overlap")):
        if share.sum() > TOLERATED * extent:
            raise GridError(
                f"cells of {name!r} {what}: {100 * share.sum() / extent:.0f} % of their extent, "
                f"more than {100 * TOLERATED:.0f} %. Correct the bounds, drop them with "
                '.drop_vars, or use .flex.regrid with method="nearest" or "bilinear".'
            )
    return edges


def span(edges: np.ndarray) -> tuple[float, float]:
    """Return the western and eastern limit of (n, 2) longitudes, within 360 degrees.

    The limits enclose the cells on the side without the largest gap.
    """
    west, east = np.sort(edges, axis=1).T
    known = np.isfinite(west)
    if not known.any():
        raise GridError("no cell has a longitude. Give the coordinates values.")
    start = west[known] % 360
    stop = start + (east - west)[known]
    order = np.argsort(start)
    start, reach = start[order], np.maximum.accumulate(stop[order])
    gaps = np.r_[start[1:], start[0] + 360] - reach
    widest = int(np.argmax(gaps))
    if gaps[widest] < 1e-6:
        return 0.0, 360.0
    first = start[(widest + 1) % start.size]
    last = reach[widest]
    return float(first), float(last if last > first else last + 360)


def corners_between(
    latitude: np.ndarray, longitude: np.ndarray, *, wraps: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return (y, x, 4) corners of cells with (y, x) centres: means of the centres around them.

    At the border, centres are extrapolated. Beside cells without a position, and where positions
    jump by more than four times the usual distance along a row or column, a cell is continued as
    on its other side.
    """
    points = vectors(np.deg2rad(longitude), np.sin(np.deg2rad(latitude)))
    limits = [JUMP * _usual_step(points, axis) for axis in (1, 2)]
    around = _extended(points, 1)
    if wraps:
        around = np.concatenate([around[..., -1:], around, around[..., :1]], axis=2)
    else:
        around = _extended(around, 2)
    height, width = latitude.shape

    def beside(down: int, right: int) -> np.ndarray:
        return around[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]

    def near(step: np.ndarray, limit: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(step, axis=0) < limit)

    result = []
    for down, right in ((-1, -1), (-1, 1), (1, 1), (1, -1)):
        vertical, horizontal, corner = beside(down, 0), beside(0, right), beside(down, right)
        sound = [near(vertical - points, limits[0]), near(horizontal - points, limits[1])]
        whole = sound[0] & sound[1]
        whole &= near(corner - horizontal, limits[0]) & near(corner - vertical, limits[1])
        own_vertical = np.where(sound[0], vertical, 2 * points - beside(-down, 0))
        own_horizontal = np.where(sound[1], horizontal, 2 * points - beside(0, -right))
        mean = (points + vertical + horizontal + corner) / 4
        result.append(np.where(whole, mean, (own_vertical + own_horizontal) / 2))
    x, y, z = np.stack(result, axis=-1)
    return np.rad2deg(np.arctan2(z, np.hypot(x, y))), np.rad2deg(np.arctan2(y, x))


def _extended(points: np.ndarray, axis: int) -> np.ndarray:
    """Extrapolate (3, y, x) points by one on both sides of an axis."""
    if points.shape[axis] == 1:
        raise GridError("one row or column of 2-D positions has no corners. Give bounds.")
    ends = [np.take(points, [at], axis) for at in (0, 1, -2, -1)]
    return np.concatenate([2 * ends[0] - ends[1], points, 2 * ends[3] - ends[2]], axis=axis)


def _usual_step(points: np.ndarray, axis: int) -> np.ndarray:
    """Return the median distance of (3, y, x) points along an axis, with that axis kept."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without any position
        return np.asarray(
            np.nanmedian(np.linalg.norm(np.diff(points, axis=axis), axis=0), axis=axis - 1)
        ).reshape((1, -1) if axis == 1 else (-1, 1))


def goes_round(latitude: np.ndarray, longitude: np.ndarray) -> bool:
    """Return whether the first of (y, x) columns follows on the last one."""
    points = vectors(np.deg2rad(longitude), np.sin(np.deg2rad(latitude)))
    if longitude.shape[1] < 3:
        return False
    last = points[..., -1] - points[..., -2]
    across = points[..., 0] - points[..., -1]
    length = (last * last).sum(axis=0)
    forward = np.nanmedian((last * across).sum(axis=0) / length)
    apart = np.nanmedian(np.sqrt((across * across).sum(axis=0) / length))
    return bool(forward > 0.3 and apart < 1.7)


def repeated(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Return which of (y, x) cells repeat one that lies further inside.

    Ocean grids repeat columns where they close and rows where they fold.
    """
    from scipy.spatial import KDTree

    height, width = latitude.shape
    rows, columns = np.indices(latitude.shape)
    to_end = np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns)
    # Distance to the nearest border, then to both.
    inside = np.minimum(*to_end) * (height + width) + to_end[0] + to_end[1]
    outer = np.minimum(*to_end) < MARGIN
    flat = np.flatnonzero((np.isfinite(latitude + longitude) & outer).ravel())
    points = vectors(np.deg2rad(longitude), np.sin(np.deg2rad(latitude))).reshape(3, -1)[:, flat]
    step = np.nanmedian(np.linalg.norm(np.diff(points.T, axis=0), axis=1))
    pairs = KDTree(points.T).query_pairs(1e-3 * step, output_type="ndarray")
    result = np.zeros(latitude.size, bool)
    if pairs.size:
        pairs = flat[pairs]
        depth = inside.ravel()[pairs]
        # Where both lie as far inside, the later one repeats the earlier.
        outer = np.where(depth[:, 0] < depth[:, 1], pairs[:, 0], pairs[:, 1])
        result[outer] = True
    return result.reshape(latitude.shape)
