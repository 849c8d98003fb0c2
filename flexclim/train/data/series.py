"""Time series of 2-D fields, read window by window: stored, joined, differenced, computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import xarray as xr
from scipy import sparse

from flexclim.cf.missing_values import NOTHING, Declared, masked
from flexclim.cf.times import seconds_of
from flexclim.errors import FlexclimError, RecipeError

ALL = slice(None)


class Series(Protocol):
    """One variable in the stored order of its file.

    It is (time, y, x), or (time, cell) until it is regridded; then only whole planes are read.
    """

    @property
    def usable(self) -> np.ndarray:
        """(time,) whether each time can be read."""

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Return a window (rows, columns) of one time, float32, NaN where missing."""

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Return whole planes (time, y, x), float32."""


@dataclass(frozen=True)
class Stored:
    """A variable of one file, opened lazily; ``name`` and ``title`` (the file) are for messages.

    Values that ``missing`` declares missing or invalid are NaN.
    """

    variable: xr.Variable
    name: str = ""
    title: str = ""
    missing: Declared = NOTHING

    @property
    def usable(self) -> np.ndarray:
        """Every time."""
        return np.ones(self.variable.shape[0], bool)

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Read one window."""
        return self._values((time, rows, columns)[: self.variable.ndim])

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Read all planes with one request, as a chunk may hold many times."""
        ordered = np.unique(times)
        first, last = int(ordered[0]), int(ordered[-1])
        together = last - first + 1 == ordered.size
        planes = self._values(slice(first, last + 1) if together else ordered)
        if np.array_equal(ordered, times):
            return planes
        return np.asarray(planes[np.searchsorted(ordered, times)])

    def _values(self, key: slice | np.ndarray | tuple[int | slice, ...]) -> np.ndarray:
        """Read values; report damaged content in one line."""
        try:
            values = np.asarray(self.variable[key].values, np.float32)
        # For damaged chunks backends and decompressors raise errors of many types.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise RecipeError(
                f"{self.name!r} in {self.title} can't be read: {reason or type(error).__name__}; "
                "check the file, or copy it again."
            ) from None
        try:
            return masked(values, self.missing, self.name, self.title)
        except FlexclimError:  # all are invalid
            return np.full(values.shape, np.nan, np.float32)


@dataclass(frozen=True)
class Memory:
    """Planes (time, y, x) held in memory."""

    planes: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """Every time."""
        return np.ones(len(self.planes), bool)

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Cut one window."""
        return np.asarray(self.planes[time, rows, columns])

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Return planes."""
        return np.asarray(self.planes[times])


class _OneByOne(ABC):
    """Reads many planes one by one."""

    @abstractmethod
    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Return a window (rows, columns) of one time."""

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
    """Amounts per time step of a variable accumulated from 00 UTC.

    ``before`` (time,) is the index of the previous time of the same day, -1 where accumulation
    started with this step, -2 where the previous time is missing.
    """

    series: Series
    before: np.ndarray

    @classmethod
    def of(cls, series: Series, times: np.ndarray) -> Difference:
        """Find the time to subtract from each time; 00 UTC is the end of a day.

        The time step is the shortest between two times. Amounts over other intervals, after a gap
        or at the first time of a day, are left out.
        """
        seconds = np.round(seconds_of(times))
        order = np.argsort(seconds)
        between = np.diff(seconds[order])
        between = between[between > 0]
        step = between.min() if between.size else 3600.0
        day = np.ceil(seconds / 86400) - 1
        before = np.full(len(seconds), -2)
        for last, now in zip((None, *order[:-1]), order, strict=True):
            if seconds[now] - day[now] * 86400 == step:
                before[now] = -1
            elif (
                last is not None and day[last] == day[now] and seconds[now] - seconds[last] == step
            ):
                before[now] = last
        return cls(series, before)

    @property
    def usable(self) -> np.ndarray:
        """Times whose amount is known."""
        return np.asarray(self.series.usable & (self.before > -2))

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Subtract the previous window; negative amounts, due to packing, become 0."""
        now = self.series.read(time, rows, columns)
        before = int(self.before[time])
        if before < 0:
            return now
        earlier = self.series.read(before, rows, columns)
        return np.asarray(np.maximum(now - earlier, np.float32(0)))


@dataclass(frozen=True)
class Computed(_OneByOne):
    """A variable computed from others, cell by cell."""

    function: Callable[..., np.ndarray]
    parts: Sequence[Series]

    @property
    def usable(self) -> np.ndarray:
        """Times that all parts have."""
        return np.asarray(np.logical_and.reduce([part.usable for part in self.parts]))

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Compute one window."""
        return self.function(*(part.read(time, rows, columns) for part in self.parts))


@dataclass(frozen=True)
class Averaged(_OneByOne):
    """Area-weighted block means of a variable.

    ``rows`` and ``columns`` are the weights (blocks, cells) along each axis, ``areas`` (y, x) those
    of curvilinear cells, in stored order. A block is NaN where less than half of its area has
    values.
    """

    series: Series
    rows: sparse.csr_array
    columns: sparse.csr_array
    areas: np.ndarray | None = None

    @property
    def usable(self) -> np.ndarray:
        """Every time of the variable."""
        return self.series.usable

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Average one window."""
        down, own_rows = _trimmed(self.rows[rows])
        across, own_columns = _trimmed(self.columns[columns])
        window = self.series.read(time, own_rows, own_columns)
        known = np.isfinite(window)
        if self.areas is None:
            each = np.ones(window.shape)
            whole = np.outer(down.sum(axis=1), across.sum(axis=1))
        else:
            each = self.areas[own_rows, own_columns]
            whole = down @ each @ across.T
        total = down @ (np.where(known, window, 0.0) * each) @ across.T
        weight = down @ (known * each) @ across.T
        enough = weight > 0.499 * whole  # half of it, but for rounding
        means = np.divide(total, weight, out=np.full(total.shape, np.nan), where=enough)
        return np.asarray(means.astype(np.float32))


def _trimmed(weights: sparse.csr_array) -> tuple[sparse.csr_array, slice]:
    """Return weights (blocks, cells) without the cells outside all blocks, and the cells kept."""
    cells = slice(int(weights.indices.min()), int(weights.indices.max()) + 1)
    return weights[:, cells], cells


def wind_speed(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return sqrt(u^2 + v^2).

    >>> float(wind_speed(np.float32(3), np.float32(4)))
    5.0
    """
    return np.asarray(np.hypot(u, v))


def kinetic_energy(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return (u^2 + v^2) / 2, in m2 s-2.

    >>> float(kinetic_energy(np.float32(3), np.float32(4)))
    12.5
    """
    return np.asarray((u * u + v * v) / 2)
