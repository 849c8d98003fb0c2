"""Averages of fields whose values have no arithmetic mean: directions and categories."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Average = Callable[[np.ndarray], np.ndarray]
UNDEFINED = 1e-6  # length of a mean of unit vectors that has no direction
TIE = 1e-9


def average_directions(values: np.ndarray, period: float, average: Average) -> np.ndarray:
    """Average directions as unit vectors.

    Parameters
    ----------
    values
        Directions in any range; NaN are missing.
    period
        360 for degrees.
    average
        Averages or interpolates a field; it is given the eastward and northward components.

    Returns
    -------
    ndarray
        From 0 to below ``period``; NaN also where opposite directions cancel.

    >>> float(average_directions(np.array([350.0, 20.0]), 360.0, np.mean).round(6))
    5.0
    """
    angles = values.astype(float) * (2 * np.pi / period)
    east, north = np.asarray(average(np.sin(angles))), np.asarray(average(np.cos(angles)))
    result = np.arctan2(east, north) * (period / (2 * np.pi)) % period
    result = np.where(np.hypot(east, north) < UNDEFINED, np.nan, result)
    rounded = result.astype(np.result_type(values.dtype, np.float32))
    return np.where(rounded >= period, rounded.dtype.type(0), rounded)


def most_frequent(values: np.ndarray, average: Average) -> np.ndarray:
    """Return the category with the largest share of each average; the lowest of equals.

    Parameters
    ----------
    values
        Numbers of categories; NaN are missing.
    average
        Averages a field, leaving NaN out.

    Returns
    -------
    ndarray
        In the type of ``values``; NaN where all are missing.

    >>> most_frequent(np.array([3, 7, 7, 1]), np.mean)
    array(7)
    """
    missing = np.isnan(values)
    result, share = None, None
    for category in np.unique(values[~missing]):
        own = np.asarray(average(np.where(missing, np.nan, values == category)))
        if result is None or share is None:
            result, share = np.full(own.shape, category), own
            continue
        more = own > share + TIE
        result, share = np.where(more, category, result), np.where(more, own, share)
    if result is None or share is None:
        return np.asarray(average(values.astype(float))).astype(values.dtype)
    if np.isnan(share).any():
        result = np.where(np.isnan(share), np.nan, result)
    return result.astype(values.dtype)
