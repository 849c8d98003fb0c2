"""Windows (a patch and its surroundings), and fine fields that training coarsens on the fly.

Patches start at block boundaries, as tiles do in sampling, also after mirroring. A mirrored block
of points ends where it started, so windows of points extend one row and column beyond the patch.

Legend: I inputs, T targets, Y X the window, H W the patch within it, E 1 for points, else 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from flexclim.errors import RecipeError
from flexclim.grids.domain import Domain, Kind
from flexclim.grids.grid import Grid
from flexclim.grids.operators import block_mean
from flexclim.train.data.series import Series
from flexclim.train.data.source_fields import Fields
from flexclim.train.data.time_axis import Time
from flexclim.train.recipes.source_settings import SourceSettings


@dataclass(frozen=True)
class Window:
    """One patch and its surroundings at one time, in canonical order.

    Parameters
    ----------
    inputs
        (I, Y, X) fine values, or (I, y, x) coarse ones of a pair; NaN where missing.
    targets
        (T, H + E, W + E) truth from the patch's first cell on; NaN where missing.
    domain
        Fine domain of the window.
    row_sines
        (Y, 3) sines of the latitudes of the edges and centre of each row, or None.
    areas
        (Y, X) areas of curvilinear cells, or None.
    inner
        Rows and columns of the patch within the window.
    statics
        (H + E, W + E) static fields, by name.
    time
        datetime64 or cftime, or an index where the source has no dates.
    paired
        Whether inputs are coarse already.
    turned
        Whether rows and columns were swapped, so that components along x run along y.
    """

    inputs: np.ndarray
    targets: np.ndarray
    domain: Domain
    row_sines: np.ndarray | None
    inner: tuple[slice, slice]
    statics: Mapping[str, np.ndarray]
    time: Time
    paired: bool = False
    areas: np.ndarray | None = None
    turned: bool = False

    def coarse(self, factor: int) -> np.ndarray:
        """Return the inputs (I, y, x) on the coarse grid."""
        if self.paired:
            return self.inputs
        return block_mean(self.inputs, self.domain, factor, self.row_sines, self.areas)

    @property
    def truth(self) -> np.ndarray:
        """(T, H, W) targets of the patch."""
        return self.targets[(..., *self._patch)]

    @property
    def predictors(self) -> dict[str, np.ndarray]:
        """(H, W) static fields of the patch, by name."""
        return {name: values[self._patch] for name, values in self.statics.items()}

    @property
    def _patch(self) -> tuple[slice, slice]:
        rows, columns = (slice(part.stop - part.start) for part in self.inner)
        return rows, columns

    def mirrored(self, axis: int) -> Window:
        """Return the window with its rows (0) or columns (1) reversed; no sign changes."""
        part = self.inner[axis]
        size = self.domain.shape[axis] - int(self.domain.kind == "point")
        reverse = slice(size - part.stop, size - part.start)
        inner = (reverse, self.inner[1]) if axis == 0 else (self.inner[0], reverse)
        sines = self.row_sines
        if sines is not None and axis == 0:
            sines = sines[::-1, ::-1]
        return replace(
            self,
            inputs=np.flip(self.inputs, axis + 1),
            targets=np.flip(self.targets, axis + 1),
            row_sines=sines,
            areas=None if self.areas is None else np.flip(self.areas, axis),
            inner=inner,
            statics={name: np.flip(values, axis) for name, values in self.statics.items()},
        )

    def transposed(self) -> Window:
        """Return the window with rows and columns swapped; with mirroring, a quarter turn."""
        assert self.row_sines is None, self.domain
        return replace(
            self,
            inputs=self.inputs.swapaxes(-2, -1),
            targets=self.targets.swapaxes(-2, -1),
            domain=replace(self.domain, shape=self.domain.shape[::-1]),
            areas=None if self.areas is None else self.areas.T,
            inner=self.inner[::-1],
            statics={name: values.T for name, values in self.statics.items()},
            turned=not self.turned,
        )


@dataclass(frozen=True, kw_only=True)
class SourceSplit:
    """One split of a source that windows are cut from.

    Parameters
    ----------
    settings
        The source in the recipe.
    inputs, targets
        Names of variables.
    input_fields, target_fields
        The variables as opened.
    weight
        Share of patches, relative to other sources.
    stamps
        (time,) values of the times of the split.
    grid
        Grid of the targets.
    statics
        (y, x) static fields of the whole grid in canonical order, by name.
    """

    settings: SourceSettings
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    input_fields: Fields
    target_fields: Fields
    weight: float
    stamps: np.ndarray
    grid: Grid
    statics: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Path of the source, for messages."""
        return self.target_fields.title

    def largest_tile(self, kind: Kind) -> tuple[int, int]:
        """Return the largest patch (rows, columns) that fits a coarse grid of this kind."""
        height, width = self.grid.domain.shape
        extra = int(kind == "point")
        return height - extra, width - (0 if self.grid.domain.wrap else extra)


@dataclass(frozen=True, kw_only=True)
class Coarsened(SourceSplit):
    """Fine variables on one grid, whose block means are the inputs.

    Parameters
    ----------
    series
        Their values on disk or in memory, by name.
    times
        Indices of the split into ``series``.
    areas
        (y, x) areas of curvilinear cells in canonical order, or None.
    """

    series: Mapping[str, Series]
    times: np.ndarray
    areas: np.ndarray | None = None

    def cut(
        self,
        random: np.random.Generator,
        factor: int,
        kind: Kind,
        tile: tuple[int, int],
        reach: int,
    ) -> Window:
        """Cut a window at a random place and time.

        Parameters
        ----------
        reach
            Surrounding coarse cells on each side, fewer at the edge of the field.
        """
        height, width = self.grid.domain.shape
        extra = int(kind == "point")
        rows, row_start = _span(height, tile[0], factor, extra, reach, random)
        around = tile[1] + 2 * reach * factor + extra
        if self.grid.domain.wrap and width >= around:
            columns = (int(random.integers(width)) + np.arange(around)) % width
            column_start = reach * factor
        else:
            columns, column_start = _span(width, tile[1], factor, extra, reach, random)
        index = int(random.integers(self.times.size))
        inner = (
            slice(row_start, row_start + tile[0]),
            slice(column_start, column_start + tile[1]),
        )
        patch = tuple(slice(part.start, part.stop + extra) for part in inner)
        own_rows, own_columns = stored(self.grid, rows, columns)
        values = {
            name: read_window(series, int(self.times[index]), own_rows, own_columns)
            for name, series in self.series.items()
        }
        row_sines = self._row_sines
        at = np.ix_(rows[patch[0]], columns[patch[1]])
        return Window(
            inputs=np.stack([values[name] for name in self.inputs]),
            targets=np.stack([values[name][patch] for name in self.targets]),
            domain=Domain(shape=(rows.size, columns.size), kind=kind),
            row_sines=None if row_sines is None else row_sines[rows],
            inner=inner,
            statics={name: static[at] for name, static in self.statics.items()},
            time=self.stamps[index],
            areas=None
            if self.areas is None or kind == "point"
            else self.areas[np.ix_(rows, columns)],
        )

    @cached_property
    def _row_sines(self) -> np.ndarray | None:
        return self.grid.row_sines


def stored(grid: Grid, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of canonical rows and columns in the file."""
    height, width = grid.domain.shape
    order = grid.canonical(np.arange(width)[None])[0]
    return height - 1 - rows if grid.flip_y else rows, order[columns]


def read_window(series: Series, time: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Read stored rows and columns of one time, in the order given."""
    low, left = int(rows.min()), int(columns.min())
    right = int(columns.max()) + 1
    window = series.read(time, slice(low, int(rows.max()) + 1), slice(left, right))
    return np.asarray(window[np.ix_(rows - low, columns - left)])


def _span(
    size: int, side: int, factor: int, extra: int, reach: int, random: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Place a patch on an axis that does not wrap.

    Returns
    -------
    indices, start
        Rows (or columns) of the window, and where the patch starts among them.
    """
    if size < side + extra:
        raise RecipeError(f"a patch of {side} cells is larger than the field of {size}.")
    start = int(random.integers(size - side - extra + 1))
    before = min(start // factor, reach) * factor
    after = min((size - extra - start - side) // factor, reach) * factor
    return np.arange(start - before, start + side + after + extra), before
