"""Sums and means over square windows around each cell; sums of integers are exact."""

from __future__ import annotations

import numpy as np


def box_sum(field: np.ndarray, size: int, wrap: bool) -> np.ndarray:
    """Sum (..., y, x) over the ``size`` x ``size`` window around each cell; ``size`` is odd.

    Columns wrap if ``wrap``; cells beyond other edges count as 0.

    >>> box_sum(np.ones((2, 4)), 3, wrap=True)
    array([[6., 6., 6., 6.],
           [6., 6., 6., 6.]])
    """
    return _along(_along(np.asarray(field, float), size, False).swapaxes(-1, -2), size, wrap, True)


def _along(field: np.ndarray, size: int, wrap: bool, swapped: bool = False) -> np.ndarray:
    """Sum along axis -2; swap the last two axes back if they were ``swapped``."""
    reach, length = size // 2, field.shape[-2]
    pad = [(0, 0)] * (field.ndim - 2) + [(reach + 1, reach), (0, 0)]
    if wrap:
        padded = np.take(field, np.arange(-reach, length + reach) % length, axis=-2)
        padded = np.concatenate([np.zeros_like(padded[..., :1, :]), padded], axis=-2)
    else:
        padded = np.pad(field, pad)
    total = padded.cumsum(axis=-2)
    result: np.ndarray = total[..., size:, :] - total[..., :-size, :]
    return result.swapaxes(-1, -2) if swapped else result


def local_mean(field: np.ndarray, size: int, wrap: bool) -> np.ndarray:
    """Average the values of the window around each cell, ignoring NaN."""
    known = ~np.isnan(field)
    # Subtracting the mean keeps cumulative sums small, and so their rounding errors.
    level = np.nan_to_num(np.nanmean(field)) if known.any() else 0.0
    total = box_sum(np.where(known, field - level, 0.0), size, wrap)
    count = box_sum(known, size, wrap)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0.5, total / count, np.nan) + level
