"""How the grid on which a pair is learned, nested in the coarse grid, lies in the true fine one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexclim.errors import RecipeError
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Kind
from flexclim.grids.grid import Grid
from flexclim.train.data.source_fields import Fields
from flexclim.train.data.windows import stored

EXACT = 1e-2  # of a fine cell: positions this close to a point coincide with it
EDGE = 0.5 + 1e-3  # of a fine cell: how far a grid extends beyond its last centres


@dataclass(frozen=True)
class Axis:
    """Where rows (or columns) of the nested grid lie among those of the true fine grid.

    Nested row n lies at ``offset + ratio * n`` of ``size`` rows, in canonical order.
    """

    offset: float
    ratio: float
    size: int
    wrap: bool = False

    def taps(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the true rows and weights for ``count`` nested rows from ``first``.

        Returns
        -------
        index, lower, weight
            True rows to read; for each nested row, the position among them of the row before it,
            and the weight of the row after it. A weight of None: nested rows are true rows.
        """
        position = self.offset + self.ratio * np.arange(first, first + count)
        nearest = np.round(position)
        exact = bool(np.abs(position - nearest).max() < EXACT)
        lower = (nearest if exact else np.floor(position)).astype(int)
        index = np.arange(lower.min(), lower.max() + (1 if exact else 2))
        known = index % self.size if self.wrap else index.clip(0, self.size - 1)
        return known, lower - index[0], None if exact else position - lower


@dataclass(frozen=True)
class Nesting:
    """The shared part of two grids.

    ``coarse_grid`` is the part of the coarse grid that both cover; the other attributes are those
    of :class:`flexclim.train.data.paired_source.PairedSource`.
    """

    coarse_rows: np.ndarray
    coarse_columns: np.ndarray
    coarse_grid: Grid
    fine_grid: Grid
    rows: Axis
    columns: Axis


def align(coarse: Fields, fine: Fields, factor: int, kind: Kind | None) -> Nesting:
    """Find the part of a coarse grid that a fine one covers, and where the nested cells lie.

    Returns
    -------
    Nesting

    Raises
    ------
    RecipeError
        If the grids cannot be compared, do not overlap, or differ by another factor.
    """
    grids = coarse.grid(kind), fine.grid()
    _check_comparable(coarse, fine, grids, factor)
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
    return Nesting(rows, columns, shared, grids[1], axes[0], axes[1])


def _check_comparable(coarse: Fields, fine: Fields, grids: tuple[Grid, Grid], factor: int) -> None:
    """Check that a fine grid can lie in a coarse one, finer by about ``factor``."""
    for grid, fields in zip(grids, (coarse, fine), strict=True):
        if grid.y_values is None or grid.x_values is None:
            raise RecipeError(
                f"{fields.title} has no 1-D coordinates of its rows and columns, which a pair "
                "needs; regrid it first."
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
            f"that is a factor of {steps[0] / steps[1]:.3g}, not {factor}. Set data.factors to the "
            "factor of the grids."
        )


def _values(grid: Grid, axis: int) -> np.ndarray:
    """Return the coordinate of one axis in canonical order."""
    values = grid.y_values if axis == 0 else grid.x_values
    assert values is not None
    if axis == 0:
        return values[::-1] if grid.flip_y else values
    return np.asarray(grid.canonical(values[None])[0])


def _positions(values: np.ndarray, fine: Grid, axis: int) -> np.ndarray:
    """Return the fractional rows or columns of the fine grid at coordinate values."""
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
    return np.asarray(away / step)


def _shares_points(coarse: Grid, fine: Grid, factor: int) -> bool:
    """Return whether every coarse point is a fine point, ``factor`` cells from the next."""
    for axis in (0, 1):
        steps = [abs(g.y_step if axis == 0 else g.x_step) for g in (coarse, fine)]
        position = _positions(_values(coarse, axis), fine, axis)
        if abs(steps[0] / factor / steps[1] - 1) > 1e-4:
            return False
        if np.abs(position - np.round(position)).max() > EXACT:
            return False
    return True


def _covered(coarse: Grid, fine: Grid, factor: int, axis: int, point: bool) -> np.ndarray:
    """Return the contiguous canonical coarse rows (or columns) that the fine grid covers."""
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
