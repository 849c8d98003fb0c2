"""Correlation of values that may be missing."""

from __future__ import annotations

import numpy as np

LEAST = 3


def correlation(left: np.ndarray, right: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Correlate two arrays along their last axis, where ``known``.

    Parameters
    ----------
    left, right, known
        (..., n) of the same shape; values that are not known are not read.

    Returns
    -------
    ndarray
        (...) float64; NaN where fewer than 3 values are known, or one array does not vary.

    >>> correlation(np.arange(4.0), np.array([0.0, 2, 4, 9]), np.array([True, True, True, False]))
    array(1.)
    """
    count = known.sum(axis=-1)
    share = known / np.maximum(count, 1)[..., None]

    def centred(values: np.ndarray) -> np.ndarray:
        filled = np.where(known, values, 0.0).astype(float)
        around = np.where(known, filled - (filled * share).sum(axis=-1, keepdims=True), 0.0)
        # Rounding of the mean of equal values must not count as variation.
        largest, scale = (np.abs(one).max(axis=-1, initial=0) for one in (around, filled))
        around[largest <= 1e-13 * scale] = 0.0
        return around

    first, second = centred(left), centred(right)
    norm = np.sqrt((first**2).sum(axis=-1)) * np.sqrt((second**2).sum(axis=-1))
    usable = (count >= LEAST) & (norm > 0)
    return np.where(usable, (first * second).sum(axis=-1) / np.where(usable, norm, 1.0), np.nan)
