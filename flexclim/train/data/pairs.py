"""Real pairs: coarse and fine fields of different models on different grids.

The network works on the fine grid that nests in the coarse one; the truth is brought there window
by window. Where both grids share points (0.1 and 0.025 degrees from the same corner, say), the
nesting is that of a grid of points and the truth is taken as it is; else bilinear interpolation
smooths it a little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from flexclim.errors import RecipeError
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Domain, Kind
from flexclim.grids.grid import Grid
from flexclim.train.data.series import Series
from flexclim.train.data.sources import Fields
from flexclim.train.data.windows import Described, Window, read_window, stored

EXACT = 1e-2  # of a fine cell: positions this near to a point are that point
EDGE = 0.5 + 1e-3  # of a fine cell: how far beyond the last centres a grid reaches


@dataclass(frozen=True)
class Axis:
    """Where rows (or columns) of the nested fine grid lie among those of the true one.

    Nested row n lies at ``offset + ratio * n`` of ``size`` rows, in canonical order.
    """

    offset: float
    ratio: float
    size: int
    wrap: bool = False

    def taps(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Say what to read and how to weigh it for nested rows ``first`` and on.

        Returns
        -------
        index, lower, weight
            Rows to read, the place among them of the one before each nested row, and the share
            of the one after; None: nested rows are true rows.
        """
        position = self.offset + self.ratio * np.arange(first, first + count)
        nearest = np.round(position)
        exact = bool(np.abs(position - nearest).max() < EXACT)
        lower = (nearest if exact else np.floor(position)).astype(int)
        index = np.arange(lower.min(), lower.max() + (1 if exact else 2))
        known = index % self.size if self.wrap else index.clip(0, self.size - 1)
        return known, lower - index[0], None if exact else position - lower


@dataclass(frozen=True, kw_only=True)
class Pair(Described):
    """Coarse inputs and fine targets at the same times; ``grid`` nests in the coarse one.

    Parameters
    ----------
    coarse, fine
        What was opened.
    coarse_series, fine_series
        To read from, by name.
    coarse_times, fine_times
        Indices into the series of one split, time by time.
    coarse_rows, coarse_columns
        Where the rows and columns of the shared part, in canonical order, lie in the coarse file.
    domain
        Of the shared part of the coarse grid.
    fine_grid
        The true fine grid.
    rows, columns
        Where rows and columns of ``grid`` lie in it.
    """

    coarse: Fields
    fine: Fields
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

    @property
    def title(self) -> str:
        """Path of the source, for messages."""
        return self.fine.title

    def largest_tile(self, kind: Kind) -> tuple[int, int]:
        """Return the largest patch (rows, columns) that fits."""
        height, width = self.grid.domain.shape
        extra = int(self.domain.kind == "point")
        return height - extra, width - (0 if self.domain.wrap else extra)

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
        seen = tile[0] + int(point), tile[1] + int(point)
        row = _start(height, seen[0], factor, False, random)
        column = _start(width, seen[1], factor, self.domain.wrap, random)
        index = int(random.integers(self.coarse_times.size))
        rows, row_start = _surrounded(
            row // factor, -(-tile[0] // factor) + int(point), reach, self.domain.shape[0], False
        )
        columns, column_start = _surrounded(
            column // factor,
            -(-tile[1] // factor) + int(point),
            reach,
            self.domain.shape[1],
            self.domain.wrap,
        )
        inner = (
            slice(row_start * factor, row_start * factor + tile[0]),
            slice(column_start * factor, column_start * factor + tile[1]),
        )
        time = int(self.coarse_times[index])
        own = self.coarse_rows[rows], self.coarse_columns[columns]
        inputs = [read_window(self.coarse_series[name], time, *own) for name in self.inputs]
        at = np.ix_(row + np.arange(seen[0]), (column + np.arange(seen[1])) % width)
        return Window(
            inputs=np.stack(inputs),
            targets=self._truth(int(self.fine_times[index]), row, column, seen),
            domain=Domain(shape=(rows.size, columns.size), kind=self.domain.kind).refine(factor),
            area=None,
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


def align(
    coarse: Fields, fine: Fields, factor: int, kind: Kind | None
) -> tuple[np.ndarray, np.ndarray, Grid, Grid, Axis, Axis]:
    """Find the part of a coarse grid that a fine one covers, and where the nested cells lie.

    Returns
    -------
    coarse_rows, coarse_columns, coarse_grid, fine_grid, rows, columns
        As :class:`Pair` holds them; the coarse grid is that of the shared part.

    Raises
    ------
    RecipeError
        If the grids can't be compared, do not overlap, or differ by another factor.
    """
    grids = coarse.grid(kind), fine.grid()
    for grid, fields in zip(grids, (coarse, fine), strict=True):
        if grid.y_values is None or grid.x_values is None:
            raise RecipeError(
                f"{fields.title} has no 1-D coordinates of its rows and columns; a pair needs "
                "them. Regrid it first."
            )
    if (grids[0].geographic, grids[0].units) != (grids[1].geographic, grids[1].units):
        raise RecipeError(
            f"{coarse.title} and {fine.title} have different projections or units; regrid one "
            "first."
        )
    steps = [abs(grid.y_step) for grid in grids]
    if not 0.6 < steps[0] / factor / steps[1] < 1.6:
        raise RecipeError(
            f"rows of {coarse.title} are {steps[0]:g} apart, those of {fine.title} {steps[1]:g}: "
            f"that is a factor of {steps[0] / steps[1]:.3g}, not {factor}."
        )
    if kind is None and grids[0].domain.kind == "cell" and _shares_points(*grids, factor):
        kind = "point"
        grids = coarse.grid(kind), fine.grid()
    point = grids[0].domain.kind == "point"
    picked, axes = [], []
    for axis in (0, 1):
        chosen = _covered(*grids, factor, axis, point)
        if chosen.size < 2:
            raise RecipeError(
                f"the grids of {coarse.title} and {fine.title} do not overlap: {grids[0]!r} "
                f"and {grids[1]!r}."
            )
        picked.append(chosen)
        axes.append(_axis(*grids, factor, axis, point, chosen))
    rows, columns = stored(grids[0], *picked)
    part = coarse.template.isel(
        {grids[0].y: np.sort(rows), grids[0].x: columns[::-1] if grids[0].flip_x else columns}
    )
    if grids[0].domain.wrap and columns.size == grids[0].domain.shape[1]:
        part = coarse.template.isel({grids[0].y: np.sort(rows)})
    shared = find_grid(part, grids[0].domain.kind)
    return rows, columns, shared, grids[1], axes[0], axes[1]


def match_times(coarse: Fields, fine: Fields) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the times that both have.

    Raises
    ------
    RecipeError
        If there is none.
    """
    usable = [np.flatnonzero(fields.usable) for fields in (coarse, fine)]
    times = [fields.times[index] for fields, index in zip((coarse, fine), usable, strict=True)]
    if times[0].dtype.kind != times[1].dtype.kind:
        raise RecipeError(f"{coarse.title} and {fine.title} count times differently.")
    _, first, second = np.intersect1d(times[0], times[1], return_indices=True)
    if first.size == 0:
        ranges = " and ".join(
            f"{fields.title} from {_text(fields.times.min())} to {_text(fields.times.max())}"
            for fields in (coarse, fine)
        )
        raise RecipeError(f"the pair has no time in common: {ranges}.")
    return usable[0][first], usable[1][second]


def _text(time: Any) -> str:
    return str(time).removesuffix(".000000000").removesuffix(".000000")


def _values(grid: Grid, axis: int) -> np.ndarray:
    """Return the coordinate of one axis in canonical order."""
    values = grid.y_values if axis == 0 else grid.x_values
    assert values is not None
    if axis == 0:
        return values[::-1] if grid.flip_y else values
    turned: np.ndarray = grid.canonical(values[None])[0]
    return turned


def _positions(values: np.ndarray, fine: Grid, axis: int) -> np.ndarray:
    """Return where coordinate values lie among the fine rows or columns."""
    known = _values(fine, axis)
    # Canonical rows run southward, columns eastward.
    step = -abs(fine.y_step) if axis == 0 else abs(fine.x_step)
    if axis == 0 and not fine.geographic:
        step = known[1] - known[0]
    away = values - known[0]
    if axis == 1 and fine.units == "degrees":
        away = away % 360
        beyond = away > (known.size - 1 + EDGE) * step
        away = np.where(beyond & (away - 360 > -EDGE * step), away - 360, away)
    positions: np.ndarray = away / step
    return positions


def _shares_points(coarse: Grid, fine: Grid, factor: int) -> bool:
    """Say whether every coarse point is a fine one, ``factor`` cells apart."""
    for axis in (0, 1):
        steps = [abs(g.y_step if axis == 0 else g.x_step) for g in (coarse, fine)]
        position = _positions(_values(coarse, axis), fine, axis)
        if abs(steps[0] / factor / steps[1] - 1) > 1e-4:
            return False
        if np.abs(position - np.round(position)).max() > EXACT:
            return False
    return True


def _covered(coarse: Grid, fine: Grid, factor: int, axis: int, point: bool) -> np.ndarray:
    """Return the canonical coarse rows (or columns), one after the other, that fine ones cover."""
    if axis == 1 and fine.domain.wrap:
        return np.arange(coarse.domain.shape[1])
    size = fine.domain.shape[axis]
    position = _positions(_values(coarse, axis), fine, axis)
    steps = [abs(g.y_step if axis == 0 else g.x_step) for g in (coarse, fine)]
    reach = 0.0 if point else (factor - 1) / 2 * steps[0] / factor / steps[1]
    slack = EXACT if point else EDGE
    inside = (position - reach >= -slack) & (position + reach <= size - 1 + slack)
    if inside.all() or not inside.any():
        return np.flatnonzero(inside)
    count = inside.size
    first = next(i for i in range(count) if inside[i] and (not inside[i - 1] or i == 0))
    if axis == 1 and coarse.domain.wrap:
        first = next(i for i in range(count) if inside[i] and not inside[i - 1])
    run = next(n for n in range(1, count + 1) if n == count or not inside[(first + n) % count])
    if not coarse.domain.wrap or axis == 0:
        run = min(run, count - first)
    return (first + np.arange(run)) % count


def _axis(
    coarse: Grid, fine: Grid, factor: int, axis: int, point: bool, chosen: np.ndarray
) -> Axis:
    steps = [abs(g.y_step if axis == 0 else g.x_step) for g in (coarse, fine)]
    ratio = steps[0] / factor / steps[1]
    centre = float(_positions(_values(coarse, axis)[chosen[:1]], fine, axis)[0])
    offset = centre if point else centre - (factor - 1) / 2 * ratio
    return Axis(offset, ratio, fine.domain.shape[axis], axis == 1 and fine.domain.wrap)


def _start(size: int, side: int, factor: int, wrap: bool, random: np.random.Generator) -> int:
    """Choose the first cell of a patch, where a block begins."""
    if size < side:
        raise RecipeError(f"a patch of {side} cells is larger than the shared {size}.")
    return factor * int(random.integers(size // factor if wrap else (size - side) // factor + 1))


def _surrounded(
    first: int, count: int, reach: int, size: int, wrap: bool
) -> tuple[np.ndarray, int]:
    """Return ``count`` coarse rows from ``first`` with those around, and where they start there."""
    if wrap and count + 2 * reach <= size:
        return (first - reach + np.arange(count + 2 * reach)) % size, reach
    if wrap:
        # Too few for surroundings on both sides: once around, from where the patch starts.
        return (first + np.arange(max(count, size))) % size, 0
    low, high = max(first - reach, 0), min(first + count + reach, size)
    return np.arange(low, high), first - low


def _blend(
    window: np.ndarray, lower: np.ndarray, weight: np.ndarray | None, axis: int
) -> np.ndarray:
    """Take rows (or columns), or weigh each with the next."""
    below = np.take(window, lower, axis)
    if weight is None:
        return below
    share = weight[:, None] if axis == 0 else weight
    blended: np.ndarray = below * (1 - share) + np.take(window, lower + 1, axis) * share
    return blended
