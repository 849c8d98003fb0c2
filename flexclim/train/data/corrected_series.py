"""Series whose values are changed or checked as they are read: converted, limited, checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flexclim.cf.conversion import Conversion
from flexclim.cf.missing_values import LARGEST, check_values
from flexclim.errors import FlexclimError
from flexclim.train.data.series import ALL, Series


@dataclass(frozen=True)
class _Corrected(ABC):
    """A series whose values are changed one by one."""

    series: Series

    @property
    def usable(self) -> np.ndarray:
        """Every time of the series."""
        return self.series.usable

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Read and change one window."""
        return self._changed(self.series.read(time, rows, columns))

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Read and change whole planes."""
        return self._changed(self.series.read_all(times))

    @abstractmethod
    def _changed(self, values: np.ndarray) -> np.ndarray:
        """Return other values, float32."""


@dataclass(frozen=True)
class Converted(_Corrected):
    """A variable in other units than those of its file."""

    conversion: Conversion

    def _changed(self, values: np.ndarray) -> np.ndarray:
        scaled = values.astype(float) * self.conversion.scale + self.conversion.offset
        return np.asarray(scaled.astype(np.float32))


@dataclass(frozen=True)
class Limited(_Corrected):
    """A variable with values above a limit set to NaN."""

    largest: float

    def _changed(self, values: np.ndarray) -> np.ndarray:
        # The comparison keeps float32.
        return np.where(values > self.largest, np.float32(np.nan), values)


@dataclass(frozen=True)
class Regridded:
    """A variable (time, cell) on rows and columns.

    ``means`` takes (..., cell) to (..., y, x). Whole planes are read, as cells are in no order.
    """

    series: Series
    means: Callable[[np.ndarray], np.ndarray]

    @property
    def usable(self) -> np.ndarray:
        """Every time of the series."""
        return self.series.usable

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Read and regrid one plane."""
        return self.means(self.series.read(time))[rows, columns]

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Read and regrid whole planes."""
        return self.means(self.series.read_all(times))


@dataclass(frozen=True)
class Checked:
    """A variable without undeclared fill values, infinite or impossible ones: these are refused.

    Parameters
    ----------
    series
        The values.
    name, title
        Variable and file, for messages.
    largest
        Absolute value that none exceeds.
    """

    series: Series
    name: str
    title: str
    largest: float = LARGEST

    @property
    def usable(self) -> np.ndarray:
        """Every time of the series."""
        return self.series.usable

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Read one window."""
        window = self.series.read(time, rows, columns)
        try:
            self._check(window)
        except FlexclimError:
            # An ordinary value may stand alone in a window, but not in the whole plane.
            self._check(self.series.read(time))
        return window

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Read whole planes."""
        planes = self.series.read_all(times)
        for plane in planes:
            self._check(plane)
        return planes

    def _check(self, values: np.ndarray) -> None:
        check_values(values, self.name, self.title, self.largest)
