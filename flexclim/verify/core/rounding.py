"""Differences of coordinates that rounding in files explains."""

from __future__ import annotations

import numpy as np

SNAP = 1e-4  # of a spacing
DECIMALS = range(5)
FEWEST = 5  # units of the last decimal in a spacing; half a unit of larger ones is a tenth of it


def tolerance(
    here: np.ndarray, there: np.ndarray, turn: float = 0.0, *, angle: bool = False
) -> float:
    """Return the largest difference between two coordinates that count as equal.

    1e-4 of a spacing; if their float type is coarser than that, one unit in the last place of each
    at its largest value or at ``turn``; if one was rounded to decimals, half a unit of the last
    decimal. Never more than a tenth of a spacing.

    Parameters
    ----------
    here, there
        (n,) values; the spacing is that of ``there``.
    turn
        A value at which longitudes may have been rounded.
    angle
        Whether they are latitudes or longitudes, whose spacing may be uneven.

    >>> fine = np.arange(0, 360, 0.01)
    >>> round(tolerance(fine, fine), 9), round(tolerance(fine.astype("float32"), fine), 9)
    (1e-06, 3.0518e-05)
    >>> twelfths = np.arange(40) / 12
    >>> round(tolerance(twelfths.round(2), twelfths), 6)
    0.005
    """
    step = typical_step(there)
    floats = _last_place(here, turn) + _last_place(there, turn)
    decimals = max(_last_decimal(here, angle), _last_decimal(there, angle))
    return min(max(SNAP * step, floats, decimals), 0.1 * step)


def typical_step(values: np.ndarray) -> float:
    """Return the smallest difference of neighbours, or 1."""
    if values.size < 2:
        return 1.0
    return float(np.abs(np.diff(values.astype(float))).min()) or 1.0


def _last_place(values: np.ndarray, turn: float) -> float:
    """Return one unit in the last place of the largest value, or of ``turn``; 0 for integers."""
    if values.dtype.kind != "f" or values.size == 0:
        return 0.0
    largest = np.fmax.reduce(np.abs(values), axis=None, initial=0.0)
    return float(np.spacing(values.dtype.type(max(largest, turn))))


def _last_decimal(values: np.ndarray, angle: bool) -> float:
    """Return half a unit of the decimal to which values were rounded; 0 if none were.

    Values with few decimals are rounded if these make the spacing uneven: those of a regular grid
    with a spacing of as few decimals, also with gaps, are as they are meant.
    """
    if values.dtype.kind != "f" or values.size < 3 or not np.isfinite(values).all():
        return 0.0
    for decimals in DECIMALS:
        scaled = values.astype(float) * 10.0**decimals
        units = np.round(scaled)
        if (np.abs(scaled - units) <= 2 * 10.0**decimals * _last_place(values, 0.0)).all():
            return 0.5001 * 10.0**-decimals if _uneven(units, angle) else 0.0
    return 0.0


def _uneven(units: np.ndarray, angle: bool) -> bool:
    """Return whether whole numbers are a rounded grid: regular, or any of latitudes."""
    steps = np.abs(np.diff(units))
    least = steps[steps > 0].min(initial=np.inf)
    gaps = bool((steps % least == 0).all())
    return bool(least >= FEWEST and not gaps and (angle or np.ptp(steps) == 1))
