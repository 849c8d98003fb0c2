"""Correct a fine field, so that it stays on one side of another and keeps its block means."""

from __future__ import annotations

import numpy as np

from flexclim.grids.conservation import BlockMeans

# Rounding errors of values and block means, in units of the spacing of floating-point numbers.
ROUNDING = 4


def keep_order(
    field: np.ndarray, bound: np.ndarray, *, below: bool, means: BlockMeans | None
) -> tuple[np.ndarray, bool]:
    """Move a field to one side of a bound, with the least change of its distances from it.

    Where the field passes the bound its distance becomes 0. The other distances within the block
    shrink by one factor, so that the block mean stays. A block whose mean itself lies beyond that
    of the bound is left as it is.

    Parameters
    ----------
    field, bound
        (y, x), float32 or float64, and float64, in the same units; NaN is left alone.
    below
        Whether the field is at most the bound; else at least.
    means
        Of the field's blocks; None: they are not kept.

    Returns
    -------
    ndarray
        The field itself where nothing passes the bound.
    bool
        Whether the field still passes the bound in some block.

    Examples
    --------
    >>> from flexclim.grids.domain import Domain
    >>> lowest = np.array([[1.0, 3.0], [0.0, 0.0]])
    >>> blocks = BlockMeans(Domain(shape=(1, 1)), 2)
    >>> keep_order(lowest, np.full((2, 2), 2.0), below=True, means=blocks)[0]
    array([[1.2, 2. ],
           [0.4, 0.4]])
    """
    sign = 1.0 if below else -1.0
    distance = sign * (bound - field)
    known = ~np.isnan(distance)
    distance[~known] = 0.0
    beyond = distance < 0
    if not beyond.any():
        return field, False
    close = ROUNDING * np.finfo(field.dtype).eps * np.abs(bound[known]).max()
    wanted, left = np.maximum(distance, 0.0), np.zeros(field.shape, bool)
    if means is not None:
        mean = means.mean(distance)
        left = means.spread((mean < -close).astype(float)) > 0
        means.multiply(wanted, mean)
    moved = known & ~left & (beyond | (np.abs(wanted - distance) > close))
    result = np.where(moved, bound - sign * wanted, field).astype(field.dtype)
    return result, bool((left & beyond).any())


def speed_of(field: np.ndarray, components: np.ndarray, means: BlockMeans | None) -> np.ndarray:
    """Return the speed of a wind from its components, with the block means of a given speed.

    Parameters
    ----------
    field
        (y, x) the given speed; it stays where a component is NaN.
    components
        (2, y, x) in the same units.
    means
        Of the field's blocks; None: they are not kept.
    """
    speed = np.hypot(*components.astype(float))
    known = ~np.isnan(speed) & ~np.isnan(field)
    if means is not None:
        speed[~known] = 0.0
        means.multiply(speed, means.mean(np.where(known, field, 0.0).astype(float)))
    return np.where(known, speed, field).astype(field.dtype)
