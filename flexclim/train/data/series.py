"""Variables in time that are read window by window: plain, joined, differenced, computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse

from flexclim.errors import RecipeError

ALL = slice(None)


class Series(Protocol):
    """One variable (time, y, x) in the stored order of its file."""

    @property
    def usable(self) -> np.ndarray:
        """(time,) whether a time can be read."""

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Return a window (rows, columns) of one time, float32, NaN where missing."""

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Return whole planes (time, y, x), float32."""


@dataclass(frozen=True)
class Plain:
    """A variable of one file, lazily; ``name`` and ``title`` (of the file) are for messages."""

    variable: xr.Variable
    name: str = ""
    title: str = ""

    @property
    def usable(self) -> np.ndarray:
        """Every time."""
        return np.ones(self.variable.shape[0], bool)

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Read one window."""
        return self._values((time, rows, columns))

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Read in one go: a chunk may hold many times."""
        ordered = np.unique(times)
        first, last = int(ordered[0]), int(ordered[-1])
        together = last - first + 1 == ordered.size
        planes = self._values(slice(first, last + 1) if together else ordered)
        if np.array_equal(ordered, times):
            return planes
        asked: np.ndarray = planes[np.searchsorted(ordered, times)]
        return asked

    def _values(self, chosen: Any) -> np.ndarray:
        """Read; what the storage says of broken content becomes one line."""
        try:
            return np.asarray(self.variable[chosen].values, np.float32)
        # Backends and decompressors raise many kinds for damaged chunks.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise RecipeError(
                f"{self.name!r} in {self.title} can't be read: {reason or type(error).__name__}; "
                "check the file, or copy it again."
            ) from None


@dataclass(frozen=True)
class Memory:
    """Planes that were read once."""

    planes: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """Every time."""
        return np.ones(len(self.planes), bool)

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Cut one window."""
        window: np.ndarray = self.planes[time, rows, columns]
        return window

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Return planes."""
        planes: np.ndarray = self.planes[times]
        return planes


class _OneByOne:
    """Reads many planes one by one."""

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        raise NotImplementedError

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Read plane by plane."""
        return np.stack([self.read(int(time)) for time in times])


@dataclass(frozen=True)
class Joined(_OneByOne):
    """Files that follow each other in time."""

    parts: Sequence[Series]

    @property
    def usable(self) -> np.ndarray:
        """Usable times of all files."""
        return np.concatenate([part.usable for part in self.parts])

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Read one window from the file that holds the time."""
        for part in self.parts:
            count = part.usable.size
            if time < count:
                return part.read(time, rows, columns)
            time -= count
        raise IndexError(time)


@dataclass(frozen=True)
class Difference(_OneByOne):
    """Amounts of each step of a variable that accumulates from 00 UTC.

    ``before`` (time,) is the index of the time before within the same day, -1 where the
    accumulation began with the step, -2 where the time before is not there.
    """

    series: Series
    before: np.ndarray

    @classmethod
    def of(cls, series: Series, times: np.ndarray) -> Difference:
        """Find what to subtract; 00 UTC ends a day.

        The step is the smallest between two times; an amount of a longer one, after a gap, is
        left out.
        """
        stamps = pd.DatetimeIndex(times)
        order = np.argsort(stamps)
        between = np.diff(stamps[order])
        between = between[between > np.timedelta64(0)]
        step = pd.Timedelta(between.min() if between.size else "1h")
        day = (stamps - pd.Timedelta("1ns")).floor("D")
        before = np.full(len(stamps), -2)
        for last, now in zip((None, *order[:-1]), order, strict=True):
            if stamps[now] - day[now] <= step:
                before[now] = -1
            elif last is not None and day[last] == day[now] and stamps[now] - stamps[last] == step:
                before[now] = last
        return cls(series, before)

    @property
    def usable(self) -> np.ndarray:
        """Times whose amount can be told."""
        known: np.ndarray = self.series.usable & (self.before > -2)
        return known

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Subtract the window before; packing may leave less than nothing, which is 0."""
        now = self.series.read(time, rows, columns)
        before = int(self.before[time])
        if before < 0:
            return now
        return np.maximum(now - self.series.read(before, rows, columns), np.float32(0))


@dataclass(frozen=True)
class Computed(_OneByOne):
    """A variable computed from others, cell by cell."""

    function: Callable[..., Any]
    parts: Sequence[Series]

    @property
    def usable(self) -> np.ndarray:
        """Times that all parts have."""
        known: np.ndarray = np.logical_and.reduce([part.usable for part in self.parts])
        return known

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Compute one window."""
        window: np.ndarray = self.function(*(part.read(time, rows, columns) for part in self.parts))
        return window


@dataclass(frozen=True)
class Limited(_OneByOne):
    """A variable whose values above a limit are missing."""

    series: Series
    largest: float

    @property
    def usable(self) -> np.ndarray:
        """Every time of the variable."""
        return self.series.usable

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Read one window; the comparison keeps float32."""
        window = self.series.read(time, rows, columns)
        return np.where(window > self.largest, np.float32(np.nan), window)


@dataclass(frozen=True)
class Averaged(_OneByOne):
    """A variable averaged over blocks, in which cells count by their area.

    ``rows`` and ``columns`` hold the shares of cells in blocks, (blocks, cells) of each axis. A
    block is missing where less than half of it is known.
    """

    series: Series
    rows: sparse.csr_array
    columns: sparse.csr_array

    @property
    def usable(self) -> np.ndarray:
        """Every time of the variable."""
        return self.series.usable

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Average one window."""
        down, seen_rows = _seen(self.rows[rows])
        across, seen_columns = _seen(self.columns[columns])
        window = self.series.read(time, seen_rows, seen_columns)
        known = np.isfinite(window)
        total = down @ np.where(known, window, 0.0) @ across.T
        weight = down @ known.astype(float) @ across.T
        whole = np.outer(down.sum(axis=1), across.sum(axis=1))
        enough = weight > 0.499 * whole  # half of it, rounding apart
        means = np.divide(total, weight, out=np.full(total.shape, np.nan), where=enough)
        return means.astype(np.float32)


def _seen(shares: sparse.csr_array) -> tuple[sparse.csr_array, slice]:
    """Return the part of (blocks, cells) that is not empty, and which cells it is of."""
    cells = slice(int(shares.indices.min()), int(shares.indices.max()) + 1)
    return shares[:, cells], cells


def wind_speed(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return sqrt(u^2 + v^2).

    >>> float(wind_speed(np.float32(3), np.float32(4)))
    5.0
    """
    speed: np.ndarray = np.hypot(u, v)
    return speed


def kinetic_energy(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return (u^2 + v^2) / 2, in m2 s-2.

    >>> float(kinetic_energy(np.float32(3), np.float32(4)))
    12.5
    """
    return (u * u + v * v) / 2
