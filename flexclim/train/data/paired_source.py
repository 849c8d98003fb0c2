"""Pairs: coarse inputs and fine targets from different models, on different grids.

The network works on the fine grid that nests in the coarse one, to which the truth is interpolated
window by window. Where both grids share points (0.1 and 0.025 degrees from the same corner, for
example), the nested grid is one of points and the truth is used as it is; elsewhere bilinear
interpolation smooths it slightly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.grids.domain import Domain, Kind
from flexclim.grids.grid import Grid
from flexclim.train.data.nesting import Axis
from flexclim.train.data.series import Series
from flexclim.train.data.source_fields import Fields
from flexclim.train.data.time_axis import has_dates, text_of
from flexclim.train.data.windows import SourceSplit, Window, read_window, stored
from flexclim.verify.core.dates import DAY, time_numbers


@dataclass(frozen=True, kw_only=True)
class PairedSource(SourceSplit):
    """Coarse inputs and fine targets at the same times; ``grid`` nests in the coarse grid.

    Parameters
    ----------
    coarse_series, fine_series
        Their values on disk or in memory, by name.
    coarse_times, fine_times
        Indices of the split into the series, time by time.
    coarse_rows, coarse_columns
        Indices in the coarse file of the rows and columns that both grids cover, in canonical
        order.
    domain
        The part of the coarse grid that both cover.
    fine_grid
        The true fine grid.
    rows, columns
        Where rows and columns of ``grid`` lie in it.
    """

    coarse_series: Mapping[str, Series]
    fine_series: Mapping[str, Series]
    coarse_times: np.ndarray
    fine_times: np.ndarray
    coarse_rows: np.ndarray
    coarse_columns: np.ndarray
    domain: Domain
    fine_grid: Grid
    rows: Axis
    columns: Axis
    factor: int

    def largest_tile(self, kind: Kind) -> tuple[int, int]:
        """Return the largest patch (rows, columns) that fits the coarse grid, whatever ``kind``."""
        return super().largest_tile(self.domain.kind)

    def cut(
        self,
        random: np.random.Generator,
        factor: int,
        kind: Kind,
        tile: tuple[int, int],
        reach: int,
    ) -> Window:
        """Cut a window at a random place and time; its kind is that of the coarse grid."""
        height, width = self.grid.domain.shape
        point = self.domain.kind == "point"
        shape = tile[0] + int(point), tile[1] + int(point)
        row = _start(height, shape[0], factor, False, random)
        column = _start(width, shape[1], factor, self.domain.wrap, random)
        index = int(random.integers(self.coarse_times.size))
        coarse = [-(-side // factor) + int(point) for side in tile]
        rows, row_start = _surrounded(row // factor, coarse[0], reach, self.domain.shape[0], False)
        columns, column_start = _surrounded(
            column // factor, coarse[1], reach, self.domain.shape[1], self.domain.wrap
        )
        inner = (
            slice(row_start * factor, row_start * factor + tile[0]),
            slice(column_start * factor, column_start * factor + tile[1]),
        )
        time = int(self.coarse_times[index])
        own = self.coarse_rows[rows], self.coarse_columns[columns]
        inputs = [read_window(self.coarse_series[name], time, *own) for name in self.inputs]
        at = np.ix_(row + np.arange(shape[0]), (column + np.arange(shape[1])) % width)
        return Window(
            inputs=np.stack(inputs),
            targets=self._truth(int(self.fine_times[index]), row, column, shape),
            domain=Domain(shape=(rows.size, columns.size), kind=self.domain.kind).refine(factor),
            row_sines=None,
            inner=inner,
            statics={name: static[at] for name, static in self.statics.items()},
            time=self.stamps[index],
            paired=True,
        )

    def _truth(self, time: int, row: int, column: int, shape: tuple[int, int]) -> np.ndarray:
        rows, below, row_weight = self.rows.taps(row, shape[0])
        columns, left, column_weight = self.columns.taps(column, shape[1])
        own = stored(self.fine_grid, rows, columns)
        truth = []
        for name in self.targets:
            window = read_window(self.fine_series[name], time, *own)
            window = _blend(window, below, row_weight, 0)
            truth.append(_blend(window, left, column_weight, 1))
        return np.stack(truth).astype(np.float32)


def match_times(coarse: Fields, fine: Fields) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices, in each of the two, of the times that both have.

    Raises
    ------
    RecipeError
        If there is none.
    """
    usable = [np.flatnonzero(fields.usable) for fields in (coarse, fine)]
    times = [fields.times[index] for fields, index in zip((coarse, fine), usable, strict=True)]
    kinds = [_kind(part) for part in times]
    if kinds[0] != kinds[1]:
        raise RecipeError(
            f"times of {coarse.title} are {kinds[0]}, those of {fine.title} {kinds[1]}; give both "
            "dates, or both none."
        )
    _, first, second = np.intersect1d(*shared_numbers(*times), return_indices=True)
    if first.size == 0:
        ranges = " and ".join(
            f"{fields.title} from {text_of(fields.times.min())} to {text_of(fields.times.max())}"
            for fields in (coarse, fine)
        )
        raise RecipeError(f"the pair has no time in common: {ranges}.")
    return usable[0][first], usable[1][second]


def shared_numbers(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return times as numbers that are equal where the times are the same.

    Dates are counted as in :func:`flexclim.verify.core.dates.time_numbers`, and in whole days
    where each has times of one hour of the day, and these hours differ.
    """
    numbers = time_numbers(*(xr.DataArray(part, dims="time") for part in (first, second)))
    if numbers is None:
        return first, second
    hours = [np.unique(part % DAY) for part in numbers]
    if has_dates(first) and all(part.size == 1 for part in hours) and hours[0] != hours[1]:
        numbers = numbers[0] // DAY, numbers[1] // DAY
    return numbers


def _kind(times: np.ndarray) -> str:
    if has_dates(times):
        return "dates"
    return "offsets" if times.dtype.kind == "m" else "numbers"


def _start(size: int, side: int, factor: int, wrap: bool, random: np.random.Generator) -> int:
    """Draw the first row (or column) of a patch, at a block boundary."""
    if size < side:
        raise RecipeError(f"a patch of {side} cells is larger than the shared {size}.")
    return factor * int(random.integers(size // factor if wrap else (size - side) // factor + 1))


def _surrounded(
    first: int, count: int, reach: int, size: int, wrap: bool
) -> tuple[np.ndarray, int]:
    """Return ``count`` coarse rows (or columns) from ``first`` with their surroundings.

    Returns
    -------
    indices, start
        The rows, and where ``first`` lies among them.
    """
    if wrap and count + 2 * reach <= size:
        return (first - reach + np.arange(count + 2 * reach)) % size, reach
    if wrap:
        # Too few for surroundings on both sides: the whole circle, from the start of the patch.
        return (first + np.arange(max(count, size))) % size, 0
    low, high = max(first - reach, 0), min(first + count + reach, size)
    return np.arange(low, high), first - low


def _blend(
    window: np.ndarray, lower: np.ndarray, weight: np.ndarray | None, axis: int
) -> np.ndarray:
    """Take rows (or columns), or interpolate between each and the next."""
    below = np.take(window, lower, axis)
    if weight is None:
        return below
    share = weight[:, None] if axis == 0 else weight
    return np.asarray(below * (1 - share) + np.take(window, lower + 1, axis) * share)
