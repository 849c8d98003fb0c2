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
    columns = _along_rows(np.asarray(field, float), size, wrap=False)
    return _along_rows(columns.swapaxes(-1, -2), size, wrap=wrap).swapaxes(-1, -2)


def _along_rows(field: np.ndarray, size: int, *, wrap: bool) -> np.ndarray:
    """Sum over windows of ``size`` rows."""
    reach, length = size // 2, field.shape[-2]
    pad = [(0, 0)] * (field.ndim - 2) + [(reach + 1, reach), (0, 0)]
    if wrap:
        padded = np.take(field, np.arange(-reach, length + reach) % length, axis=-2)
        padded = np.concatenate([np.zeros_like(padded[..., :1, :]), padded], axis=-2)
    else:
        padded = np.pad(field, pad)
    total = padded.cumsum(axis=-2)
    return np.asarray(total[..., size:, :] - total[..., :-size, :])


def local_mean(field: np.ndarray, size: int, wrap: bool) -> np.ndarray:
    """Average the values of the window around each cell, ignoring NaN."""
    known = ~np.isnan(field)
    # Subtracting the mean keeps cumulative sums small, and so their rounding errors.
    level = np.nan_to_num(np.nanmean(field)) if known.any() else 0.0
    total = box_sum(np.where(known, field - level, 0.0), size, wrap)
    count = box_sum(known, size, wrap)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0.5, total / count, np.nan) + level
