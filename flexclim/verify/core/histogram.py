"""Histograms that merge: their bins need no known range, and double in width as the range grows.

The bins of a cell are 2**level wide and start at multiples of that, so each bin is the union of two
of the level below, exactly. The level is the lowest at which the values from the smallest to the
largest take no more than ``BINS`` bins; it depends on these two values alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BITS = 17
BINS = 2**BITS  # the range spans more than half of them
DENSE = 2**20
LOWEST = -1200  # the level of a cell without values
DIGITS = 53


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Values to be counted.

    Parameters
    ----------
    source
        Which of several fields the values belong to; the limits of each are kept.
    values
        (n,) numbers, none missing.
    amounts
        (n,) arrays by column: what each value adds to its bin, in some column more than 0.
    """

    source: int
    values: np.ndarray
    amounts: dict[int, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Sums by cell and bin; only bins that hold a value are stored.

    Parameters
    ----------
    low, high
        (sources, cells) smallest and largest value; infinite where there is none.
    key
        (n,) ascending: cell * BINS + number of the bin from the lowest one of the cell on.
    sums
        (columns, n).
    """

    low: np.ndarray
    high: np.ndarray
    key: np.ndarray
    sums: np.ndarray

    @property
    def level(self) -> np.ndarray:
        """The level of each cell."""
        return find_level(self.low.min(axis=0), self.high.max(axis=0))

    @property
    def first(self) -> np.ndarray:
        """The lowest bin of each cell."""
        low = self.low.min(axis=0)
        return find_bin(np.where(np.isfinite(low), low, 0.0), self.level)

    def merge(self, other: Histogram) -> Histogram:
        """Return the histogram of the values of both."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        whole = Histogram(low=low, high=high, key=self.key, sums=self.sums)
        level, first = whole.level, whole.first
        entries = []
        for part in (self, other):
            cell, offset = part.key >> BITS, part.key & (BINS - 1)
            wider = np.minimum(level - part.level, 62)
            place = ((offset + part.first[cell]) >> wider[cell]) - first[cell]
            key = (cell << BITS) + place
            entries += [(column, key, amounts) for column, amounts in enumerate(part.sums)]
        key, sums = _collect(entries, low.shape[1], len(self.sums))
        return Histogram(low=low, high=high, key=key, sums=sums)

    def of_cell(self, cell: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the bins of one cell, their sums (columns, bins), and their width."""
        part = slice(*np.searchsorted(self.key, [cell << BITS, (cell + 1) << BITS]))
        bins = (self.key[part] & (BINS - 1)) + self.first[cell]
        return bins, self.sums[:, part], float(np.ldexp(1.0, self.level[cell]))


def count_values(batches: Sequence[Batch], cell: np.ndarray, cells: int, columns: int) -> Histogram:
    """Return the histogram of all batches; ``cell`` (n,) is the cell of each of their values."""
    sources = 1 + max(batch.source for batch in batches)
    low, high = np.full((sources, cells), np.inf), np.full((sources, cells), -np.inf)
    for batch in batches:
        _extend(low[batch.source], high[batch.source], cell, batch.values)
    empty = np.empty(0, np.int64), np.empty((columns, 0))
    whole = Histogram(low=low, high=high, key=empty[0], sums=empty[1])
    level = whole.level
    base = (np.arange(cells) << BITS) - whole.first
    if cells > 1:
        level, base = level[cell], base[cell]
    entries = []
    for batch in batches:
        key = find_bin(batch.values, level) + base
        entries += [(column, key, amount) for column, amount in batch.amounts.items()]
    key, sums = _collect(entries, cells, columns)
    return Histogram(low=low, high=high, key=key, sums=sums)


def find_level(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the lowest level at which values from ``low`` to ``high`` take at most BINS bins.

    A bin is never narrower than the last digit of the larger of the two.

    >>> find_level(np.array([0.0, np.inf]), np.array([131071.5, -np.inf])).tolist()
    [0, -1200]
    """
    some = high >= low
    low, high = np.where(some, low, 0.0), np.where(some, high, 0.0)
    span, top = high - low, np.maximum(np.abs(low), np.abs(high))
    finest = np.where(top > 0, np.frexp(top)[1] - DIGITS, LOWEST)
    level = np.where(span > 0, np.frexp(span / (BINS - 1))[1], LOWEST)
    level = np.maximum(level, finest)
    # Bins half as wide may do, depending on where they start.
    lower = np.maximum(level - 1, finest)
    fits = find_bin(high, lower) - find_bin(low, lower) < BINS
    return np.where(fits, lower, level)


def find_bin(values: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return floor(values / 2**level), the bin of each value."""
    return np.asarray(np.floor(np.ldexp(values.astype(float), -level)), np.int64)


def _extend(low: np.ndarray, high: np.ndarray, cell: np.ndarray, values: np.ndarray) -> None:
    """Widen the limits of each cell by ``values``, in place."""
    if low.size > 1:
        np.minimum.at(low, cell, values)
        np.maximum.at(high, cell, values)
    elif values.size:
        low[0], high[0] = min(low[0], values.min()), max(high[0], values.max())


def _collect(
    entries: Sequence[tuple[int, np.ndarray, np.ndarray]], cells: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Add up entries (column, key, amount) with the same column and key."""
    space = cells << BITS
    if space <= DENSE:
        table = np.zeros((columns, space))
        for column, key, amount in entries:
            table[column] += np.bincount(key, amount, minlength=space)
        found = np.flatnonzero(table.any(axis=0))
        return found, table[:, found]
    keys = np.concatenate([key for _, key, _ in entries])
    found, place = np.unique(keys, return_inverse=True)
    sums, start = np.zeros((columns, found.size)), 0
    for column, key, amount in entries:
        part = place[start : start + key.size]
        sums[column] += np.bincount(part, amount, minlength=found.size)
        start += key.size
    return found, sums
