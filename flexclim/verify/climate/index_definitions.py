"""Definitions of indices of extremes, as ETCCDI and xclim have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flexclim.verify.climate.precipitation import WET_DAY

Compute = Callable[[np.ndarray, float], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index of extremes.

    Parameters
    ----------
    variable
        ``"pr"`` in mm d-1, ``"tasmax"`` or ``"tasmin"``.
    text
        What it is, for readers.
    of
        Returns the index of each cell from (..., days) of one year, in which missing days are NaN,
        and the limit in the units of the values.
    limit
        In mm d-1 or degC.
    window
        Days of the moving sums of which the index is computed.
    units
        Default: those of the variable.
    """

    variable: str
    text: str
    of: Compute
    limit: float = 0.0
    window: int = 1
    units: str | None = None


def highest(days: np.ndarray, limit: float) -> np.ndarray:
    """Return the largest value; -inf where all are missing."""
    return np.asarray(np.where(np.isnan(days), -np.inf, days).max(axis=-1))


def lowest(days: np.ndarray, limit: float) -> np.ndarray:
    """Return the smallest value; inf where all are missing."""
    return np.asarray(np.where(np.isnan(days), np.inf, days).min(axis=-1))


def intensity(days: np.ndarray, limit: float) -> np.ndarray:
    """Return the mean of the values of at least ``limit``; NaN where there are none."""
    wet = days >= limit
    count = wet.sum(axis=-1)
    total = np.where(wet, days, 0.0).sum(axis=-1, dtype=float)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def longest_spell(state: np.ndarray) -> np.ndarray:
    """Return the largest number of consecutive true values along the last axis.

    >>> longest_spell(np.array([True, True, False, True]))
    array(2)
    """
    run = np.zeros(state.shape[:-1], int)
    longest = run.copy()
    for day in np.ascontiguousarray(np.moveaxis(state, -1, 0)):
        run = (run + 1) * day
        np.maximum(longest, run, out=longest)
    return longest


INDICES = {
    "rx1day": Index(variable="pr", of=highest, text="highest precipitation of a day"),
    "rx5day": Index(
        variable="pr", of=highest, text="highest precipitation of five days", window=5, units="mm"
    ),
    "sdii": Index(
        variable="pr", of=intensity, text="mean precipitation of wet days", limit=WET_DAY
    ),
    "r10mm": Index(
        variable="pr",
        of=lambda days, limit: (days >= limit).sum(axis=-1),
        text="days with at least 10 mm of precipitation",
        limit=10.0,
        units="d",
    ),
    "cdd": Index(
        variable="pr",
        of=lambda days, limit: longest_spell(days < limit),
        text="longest dry spell",
        limit=WET_DAY,
        units="d",
    ),
    "cwd": Index(
        variable="pr",
        of=lambda days, limit: longest_spell(days >= limit),
        text="longest wet spell",
        limit=WET_DAY,
        units="d",
    ),
    "txx": Index(variable="tasmax", of=highest, text="highest daily maximum"),
    "txn": Index(variable="tasmax", of=lowest, text="lowest daily maximum"),
    "su": Index(
        variable="tasmax",
        of=lambda days, limit: (days > limit).sum(axis=-1),
        text="summer days, with a maximum above 25 degC",
        limit=25.0,
        units="d",
    ),
    "tnn": Index(variable="tasmin", of=lowest, text="lowest daily minimum"),
    "tnx": Index(variable="tasmin", of=highest, text="highest daily minimum"),
    "fd": Index(
        variable="tasmin",
        of=lambda days, limit: (days < limit).sum(axis=-1),
        text="frost days, with a minimum below 0 degC",
        units="d",
    ),
}
