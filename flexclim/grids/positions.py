"""2-D latitudes and longitudes of projected grids: refining, coarsening, distances, order.

Positions are averaged as unit vectors, which works across the date line and the poles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dask.array as da
import numpy as np

from flexclim.errors import GridError

BEYOND = 1e-3  # degrees by which rounding exceeds a limit


def fine_positions(
    latitude: np.ndarray, longitude: np.ndarray, factor: int, *, point: bool, wrap: bool = False
) -> np.ndarray:
    """Return positions of fine cells, inter- and extrapolated linearly from coarse ones.

    Fine cells of missing coarse cells are missing; beside these, positions are extrapolated.

    Parameters
    ----------
    latitude, longitude
        (y, x) degrees of coarse cells.
    factor
        Fine cells along one side of a coarse cell.
    point
        Whether the fine grid keeps the coarse points.
    wrap
        Whether the first column follows on the last one.

    Returns
    -------
    ndarray
        (2, y', x') latitude and longitude in degrees, the latter in the range of the input's.
    """
    vectors = _vectors(latitude, longitude)
    missing = np.isnan(vectors[0])
    if holes := bool(missing.any()):
        vectors = _extrapolated(_extrapolated(vectors))  # twice, for corners
    for axis in (1, 2):
        size, around = vectors.shape[axis], wrap and axis == 2
        if point and around:
            position = np.arange(size * factor) / factor
        elif point:
            position = np.arange((size - 1) * factor + 1) / factor
        else:
            position = (np.arange(size * factor) + 0.5) / factor - 0.5
        base = np.floor(position).astype(int)
        base = base if around else np.clip(base, 0, size - 2)
        share = (position - base).reshape((-1,) + (1,) * (2 - axis))
        low, high = (np.take(vectors, one % size, axis) for one in (base, base + 1))
        vectors = low + share * (high - low)
    if holes:
        kept = point, point and not wrap
        nearest = np.ix_(
            *(
                _nearest(size, factor, point=one)
                for size, one in zip(missing.shape, kept, strict=True)
            )
        )
        vectors[:, missing[nearest]] = np.nan
    return _degrees(vectors, longitude)


def coarse_positions(
    latitude: np.ndarray, longitude: np.ndarray, factor: int, *, point: bool
) -> np.ndarray:
    """Return positions of coarse cells: the mean over a block, or the point that is kept.

    Missing positions are left out. Parameters and result correspond to those of
    :func:`fine_positions`.
    """
    if point:
        return np.stack([latitude, longitude])[:, ::factor, ::factor]
    height, width = latitude.shape
    blocks = _vectors(latitude, longitude).reshape(
        3, height // factor, factor, width // factor, factor
    )
    known = np.isfinite(blocks)
    if known.all():
        return _degrees(blocks.mean(axis=(2, 4)), longitude)
    count = known.sum(axis=(2, 4))
    total = np.where(known, blocks, 0.0).sum(axis=(2, 4))
    means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return _degrees(means, longitude)


def known_positions(
    degrees: np.ndarray | da.Array, name: str, attributes: Mapping[str, object], limit: float
) -> np.ndarray | da.Array:
    """Set declared missing values of a latitude or longitude to NaN; check all others.

    Parameters
    ----------
    degrees
        (y, x); the result is lazy if it is a dask array.
    attributes
        Of the coordinate, with ``_FillValue`` or ``missing_value`` if they are not decoded.
    limit
        Largest absolute value of a position.

    Raises
    ------
    GridError
        If they are no numbers, or others exceed the limit; of a dask array when it is computed.
    """
    if degrees.dtype.kind not in "iuf":
        raise GridError(
            f"{name!r} holds values of type {degrees.dtype}, not degrees. Convert them with "
            ".astype(float)."
        )
    stated = [np.asarray(attributes.get(key, np.nan)) for key in ("_FillValue", "missing_value")]
    codes = np.concatenate(
        [np.empty(0), *(one.ravel() for one in stated if one.dtype.kind in "fiu")]
    )

    def known(values: np.ndarray) -> np.ndarray:
        missing = np.isclose(values[..., None], codes, rtol=1e-6, atol=0).any(-1)
        if missing.any():
            values = np.where(missing, np.nan, values).astype(values.dtype)
        wrong = np.abs(values) > limit + BEYOND
        if wrong.any():
            raise GridError(
                f"{name!r} holds {values[wrong][0]:.4g} at {int(wrong.sum())} of {values.size} "
                f"points, where degrees are at most {limit:g}. Mask fill values with "
                f".where(abs({name}) <= {limit:g}), or declare them as _FillValue."
            )
        return values

    if isinstance(degrees, da.Array):
        lazy: da.Array = da.map_blocks(known, degrees, dtype=degrees.dtype)
        return lazy
    return known(np.asarray(degrees))


def filled_positions(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (y, x) latitude and longitude with the nearest known ones where they are missing.

    >>> filled_positions(np.array([[1.0, np.nan]]), np.array([[5.0, np.nan]]))[1]
    array([[5., 5.]])
    """
    missing = np.isnan(latitude) | np.isnan(longitude)
    if not missing.any() or missing.all():
        return latitude, longitude
    from scipy.ndimage import distance_transform_edt  # 0.1 s to import, rarely needed

    nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return latitude[tuple(nearest)], longitude[tuple(nearest)]


def row_distance(latitude: np.ndarray, longitude: np.ndarray) -> float:
    """Return the median distance between rows of (y, x) positions, in degrees.

    >>> round(row_distance(np.array([[60.0, 60.0], [62.0, 62.0]]), np.zeros((2, 2))), 6)
    2.0
    """
    chords = np.linalg.norm(np.diff(_vectors(latitude, longitude), axis=1), axis=0)
    return float(np.rad2deg(2 * np.arcsin(np.nanmedian(chords) / 2)))


def stored_order(latitude: np.ndarray, longitude: np.ndarray) -> tuple[bool, bool]:
    """Return whether rows of (y, x) positions run northward, and columns westward.

    Raises
    ------
    GridError
        If so many are missing that nothing tells.
    """
    northward = np.diff(latitude, axis=0)
    eastward = (np.diff(longitude, axis=1) + 180) % 360 - 180
    if np.isnan(northward).all() or np.isnan(eastward).all():
        raise GridError(
            "2-D latitudes or longitudes have no two neighbours with values. Give the coordinates "
            "values, or drop them."
        )
    north, east = np.nanmean(northward), np.nanmean(eastward)
    return bool(north > 0), bool(east < 0)


def map_positions(
    positions: Callable[[np.ndarray, np.ndarray], np.ndarray],
    latitude: np.ndarray | da.Array,
    longitude: np.ndarray | da.Array,
    shape: tuple[int, int],
) -> tuple[np.ndarray | da.Array, np.ndarray | da.Array]:
    """Apply ``positions`` to (y, x) latitude and longitude, lazily if they are dask arrays.

    ``shape`` is the shape of the results.
    """
    if not isinstance(latitude, da.Array):
        both = positions(np.asarray(latitude, float), np.asarray(longitude, float))
        return both[0], both[1]
    lazy = da.map_blocks(
        positions,
        latitude.astype(float).rechunk(-1),
        da.asarray(longitude).astype(float).rechunk(-1),
        new_axis=0,
        chunks=((2,), (shape[0],), (shape[1],)),
        dtype=float,
        meta=np.empty((0, 0, 0)),
    )
    return lazy[0], lazy[1]


def _nearest(size: int, factor: int, *, point: bool) -> np.ndarray:
    """Return the coarse cell of each fine cell along an axis, or its nearest coarse point."""
    if point:
        return np.rint(np.arange((size - 1) * factor + 1) / factor).astype(int)
    return np.arange(size).repeat(factor)


def _extrapolated(vectors: np.ndarray) -> np.ndarray:
    """Fill missing (3, y, x) vectors beside known ones: linearly, averaged over directions."""
    padded = np.pad(vectors, ((0, 0), (2, 2), (2, 2)), constant_values=np.nan)
    guesses = []
    for axis in (1, 2):
        for direction in (1, -1):
            near = np.roll(padded, direction, axis)[:, 2:-2, 2:-2]
            far = np.roll(padded, 2 * direction, axis)[:, 2:-2, 2:-2]
            guesses.append(np.where(np.isnan(far), near, 2 * near - far))
    stacked = np.stack(guesses)
    count = np.isfinite(stacked).sum(axis=0)
    total = np.nansum(stacked, axis=0)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return np.where(np.isnan(vectors), mean, vectors)


def _vectors(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    phi, lam = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])


def _degrees(vectors: np.ndarray, like: np.ndarray) -> np.ndarray:
    x, y, z = vectors
    latitude = np.rad2deg(np.arctan2(z, np.hypot(x, y)))
    longitude = np.rad2deg(np.arctan2(y, x))
    if np.nanmax(like) > 180:
        longitude = longitude % 360
    return np.stack([latitude, longitude])
