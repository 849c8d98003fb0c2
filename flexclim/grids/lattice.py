"""Evenly spaced coordinates as the numbers that are meant: decimals, or fractions such as k/12.

Files hold them with rounding errors: of float32, of a few decimals, or of sums. The simplest
fractions that these errors allow are taken for what is meant, and the nearest floating-point
numbers for what a file of that grid holds.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor, lcm
from typing import NamedTuple

import numpy as np

# Errors of sums and products of float64, as a fraction of the spacing, and in units of rounding.
NOISE, UNITS = 1e-9, 16
# Largest probability that a fraction so simple is found by chance.
CHANCE = 1e-2
# Fewest values, and largest error as a fraction of the spacing, to tell rounding from unevenness.
FEWEST, COARSEST = 8, 0.13
DECIMALS = range(1, 7)
# Multiples of 1 / SHORT are exact in float32.
SHORT = 1024


class Line(NamedTuple):
    """Evenly spaced numbers: the first one, and their spacing."""

    start: Fraction
    step: Fraction

    def values(self, count: int) -> np.ndarray:
        """Return the first ``count`` numbers, each the nearest float64.

        >>> Line(Fraction(1, 12), Fraction(1, 6)).values(3)
        array([0.08333333, 0.25      , 0.41666667])
        """
        denominator = lcm(self.start.denominator, self.step.denominator)
        first, step = int(self.start * denominator), int(self.step * denominator)
        result: np.ndarray = (first + step * np.arange(count)) / denominator
        return result


def fit_line(values: np.ndarray, error: np.ndarray | float, *, certain: bool = True) -> Line | None:
    """Find the simplest fractions whose multiples lie within ``error`` of all values.

    Parameters
    ----------
    values
        (n,) evenly spaced but for rounding.
    error
        Largest error of each value.
    certain
        Whether fractions must be too simple to be found by chance.

    >>> fit_line(np.array([0.08, 0.17, 0.25, 0.33, 0.42]), 0.005, certain=False)
    Line(start=Fraction(1, 12), step=Fraction(1, 12))
    """
    count = np.arange(values.size)
    slope = (values[-1] - values[0]) / count[-1]
    allowed = np.broadcast_to(np.asarray(error, float), values.shape)
    slack = float(allowed[0] + allowed[-1]) / count[-1]
    for part in (1.0, 0.1, 0.01, 1e-3):
        step = simplest(slope - part * slack, slope + part * slack)
        rest = values - float(step) * count
        low, high = float((rest - allowed).max()), float((rest + allowed).min())
        if low > high:
            continue
        line = Line(_multiple(low, high, step), step)
        common = lcm(line.start.denominator, step.denominator)
        if common * np.abs(values).max() > 2**52:
            continue
        if not certain or common**2 * (high - low + slack) < CHANCE:
            return line
    return None


def decimal_error(values: np.ndarray) -> float | None:
    """Return the largest error of values that were rounded to a few decimals; None: they weren't.

    >>> decimal_error(np.array([0.08, 0.17])), decimal_error(np.array([1 / 3, 2 / 3]))
    (0.005000000005, None)
    """
    for digits in DECIMALS:
        if np.abs(np.round(values, digits) - values).max() < 1e-9 * 10.0**-digits:
            return 0.5 * 10.0**-digits * (1 + 1e-9)
    return None


def was_rounded(values: np.ndarray, step: float) -> Line | None:
    """Return the even spacing of values that a file holds with a few decimals only."""
    error = decimal_error(values)
    if error is None or values.size < FEWEST or error > COARSEST * abs(step):
        return None
    return fit_line(values, error, certain=False)


def is_single(values: np.ndarray) -> bool:
    """Return whether numbers were stored in float32, even if they are float64 now.

    Those that need only a few bits tell nothing.

    >>> is_single(np.float32([0.1, 0.2]).astype(float)), is_single(np.array([0.125, 0.25]))
    (True, False)
    """
    if values.dtype == np.float32:
        return True
    if values.dtype != np.float64 or not (values == values.astype(np.float32)).all():
        return False
    return bool((values * SHORT % 1 != 0).any())


def of_single_precision(values: np.ndarray) -> Line | None:
    """Return the even spacing of (n,) values that were rounded to float32, once or twice."""
    spacing = np.spacing(np.abs(values).astype(np.float32)).astype(float)
    return fit_line(values, 0.5001 * spacing, certain=False) or fit_line(
        values, 1.0001 * spacing, certain=False
    )


def snap(values: np.ndarray, step: float) -> np.ndarray:
    """Return values without the rounding errors of float64 arithmetic.

    Parameters
    ----------
    values
        Multiples of ``step`` from any start; they may jump by whole numbers.
    step
        Their spacing.

    Returns
    -------
    ndarray
        The nearest float64 numbers to simple fractions, if the values mean such, else to decimals
        of 1e-9 steps, if they mean these.

    >>> snap(np.array([0.1 + 0.2]), 0.1)
    array([0.3])
    """
    error = max(NOISE * abs(step), UNITS * float(np.spacing(np.abs(values).max())))
    first = float(values.flat[0])
    part = simplest(abs(step) - error, abs(step) + error)
    start = _multiple(first - error, first + error, part)
    common = lcm(start.denominator, part.denominator)
    if common * np.abs(values).max() < 2**52 and common**2 * 2 * error < CHANCE:
        exact: np.ndarray = np.rint(values * common) / common
        if np.abs(exact - values).max() <= error:
            return exact + 0.0
    rounded: np.ndarray = np.round(values, int(np.ceil(9 - np.log10(abs(step)))))
    close = np.abs(rounded - values).max() <= 4 * UNITS * np.spacing(np.abs(values).max())
    return rounded + 0.0 if close else values


def simplest(low: float | Fraction, high: float | Fraction) -> Fraction:
    """Return the fraction with the smallest denominator between two numbers.

    It is found in the Stern-Brocot tree by continued fractions.

    >>> simplest(0.3333, 0.3334), simplest(-0.11, -0.09)
    (Fraction(1, 3), Fraction(-1, 10))
    """
    low, high = Fraction(low), Fraction(high)
    if low <= 0 <= high:
        return Fraction(0)
    if high < 0:
        return -simplest(-high, -low)
    whole = floor(low)
    if whole == low or whole + 1 <= high:
        return Fraction(whole if whole == low else whole + 1)
    return whole + 1 / simplest(1 / (high - whole), 1 / (low - whole))


def _multiple(low: float, high: float, step: Fraction) -> Fraction:
    """Return a number between two others: half steps if there is one, else the simplest."""
    half = step / 2
    if half:
        near = round((low + high) / 2 / float(half)) * half
        if low <= near <= high:
            return near
    return simplest(low, high)
