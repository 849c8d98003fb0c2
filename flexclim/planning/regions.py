"""Regions of a field that is too large for memory, and the part of the field each depends on.

A region is a chunk of the output. Its part of the field holds everything that its values depend
on: for the last sampler step the windows with weight in the region, for the step before those with
weight in the former windows, and so on; then the coarse cells that scaling and block means read.
So a region has the same values as in the whole field, except for rounding.

A global field is cut into bands of rows, so that columns still wrap and cells across a pole are
available.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from flexclim.grids.domain import Domain
from flexclim.grids.grid import Grid
from flexclim.models.settings import SCALING_REACH
from flexclim.planning.tiles import AxisPlan, TilePlan

Span = tuple[int, int]
# Fine cells of a region, and the divisor of its sides; larger regions recompute less.
PIXELS, MULTIPLE = 2048**2, 256
# Minimum rows of a global band: narrow bands would recompute much of their neighbours.
BAND = 768
# Coarse cells beyond a region that the correction of its block means reads. Blocks of point grids
# share cells, and the influence of a block falls about tenfold per cell.
CELL_MARGIN, POINT_MARGIN = 2, 12
# Coarse cells beyond a window that interpolation and scaling read.
INPUT_MARGIN = SCALING_REACH + 2


@dataclass(frozen=True)
class Region:
    """One chunk of the output: ``rows`` and ``columns`` are canonical fine cells."""

    index: tuple[int, int]
    rows: Span
    columns: Span


@dataclass(frozen=True)
class Part:
    """The part of a field that a region is computed from.

    Parameters
    ----------
    rows, columns
        Canonical coarse cells of the part.
    origin
        Canonical fine row and column of its first cell.
    core
        The region's rows and columns within the part.
    windows
        For each sampler step the numbers of the windows to evaluate.
    """

    rows: Span
    columns: Span
    origin: tuple[int, int]
    core: tuple[Span, Span]
    windows: tuple[tuple[int, ...], ...]


def region_shape(fine: Domain, pixels: int = PIXELS) -> tuple[int, int]:
    """Return the shape of the regions of a fine domain; a small domain is one region.

    >>> region_shape(Domain(shape=(8000, 8000)))
    (2048, 2048)
    >>> region_shape(Domain(shape=(7200, 14400), wrap=True))
    (768, 14400)
    >>> region_shape(Domain(shape=(721, 1440), wrap=True))
    (721, 1440)
    """
    height, width = fine.shape
    if height * width <= pixels:
        return height, width
    if fine.wrap:
        return _side(height, max(BAND, pixels / width)), width
    columns = _side(width, max(math.sqrt(pixels), pixels / height))
    return _side(height, pixels / columns), columns


def regions(grid: Grid, shape: tuple[int, int]) -> list[Region]:
    """Cut a fine grid into regions of ``shape``, in stored order."""
    height, width = grid.domain.shape
    return [
        Region((row, column), rows, columns)
        for row, rows in enumerate(_cut(height, shape[0], grid.flip_y))
        for column, columns in enumerate(_cut(width, shape[1], grid.flip_x))
    ]


def part_of(
    region: Region, tiles: TilePlan, coarse: Domain, factor: int, steps: int
) -> tuple[Part, TilePlan]:
    """Find the part of the field that a region is computed from, and plan its tiles.

    Parameters
    ----------
    region
        From :func:`regions`.
    tiles
        Tile plan of the whole field.
    coarse
        The whole coarse domain.
    factor
        Fine cells along one side of a coarse cell.
    steps
        Number of sampler steps.

    Returns
    -------
    Part, TilePlan
        The tile plan has those windows of the whole field that the part needs.
    """
    point = coarse.kind == "point"
    rows = _needed(tiles.rows, region.rows, coarse.shape[0], factor, steps, point)
    columns = _needed(tiles.columns, region.columns, coarse.shape[1], factor, steps, point)
    domain = part_domain(coarse, rows.cells, columns.cells).refine(factor)
    plan = TilePlan(
        domain,
        _part_axis(tiles.rows, rows, domain.shape[0]),
        _part_axis(tiles.columns, columns, domain.shape[1]),
    )
    across = columns.windows[0][1] - columns.windows[0][0]
    windows = tuple(
        tuple(
            (i - rows.windows[0][0]) * across + j - columns.windows[0][0]
            for i in range(*of_rows)
            for j in range(*of_columns)
        )
        for of_rows, of_columns in zip(rows.windows, columns.windows, strict=True)
    )
    part = Part(
        rows=rows.cells,
        columns=columns.cells,
        origin=(rows.first, columns.first),
        core=(rows.within(region.rows), columns.within(region.columns)),
        windows=windows,
    )
    return part, plan


def part_grid(grid: Grid, rows: Span, columns: Span) -> Grid:
    """Return the subgrid of some canonical rows and columns, in stored order."""
    y = _stored(rows, grid.domain.shape[0], grid.flip_y)
    x = _stored(columns, grid.domain.shape[1], grid.flip_x)
    return replace(
        grid,
        domain=part_domain(grid.domain, rows, columns),
        y_values=None if grid.y_values is None else grid.y_values[y],
        x_values=None if grid.x_values is None else grid.x_values[x],
        latitude=None if grid.latitude is None else grid.latitude[y, x],
        longitude=None if grid.longitude is None else grid.longitude[y, x],
        corners=None if grid.corners is None else grid.corners[:, y, x],
    )


def part_domain(domain: Domain, rows: Span, columns: Span) -> Domain:
    """Return the subdomain of some rows and columns; where it is cut it has an edge."""
    assert not domain.wrap or columns == (0, domain.shape[1]), columns
    return replace(
        domain,
        shape=(rows[1] - rows[0], columns[1] - columns[0]),
        north=domain.north if rows[0] == 0 else "edge",
        south=domain.south if rows[1] == domain.shape[0] else "edge",
        y_edges=domain.y_edges and domain.y_edges[rows[0] : rows[1] + 1],
        x_edges=domain.x_edges and domain.x_edges[columns[0] : columns[1] + 1],
    )


@dataclass(frozen=True)
class _Needed:
    """Along one axis: coarse cells, the first fine cell, and the windows of each step in order."""

    cells: Span
    first: int
    windows: tuple[Span, ...]

    def within(self, span: Span) -> Span:
        return span[0] - self.first, span[1] - self.first


def _needed(
    axis: AxisPlan, core: Span, cells: int, factor: int, steps: int, point: bool
) -> _Needed:
    if core == (0, axis.size):
        return _Needed((0, cells), 0, ((0, len(axis.starts)),) * steps)
    low, high = _cells(core, cells, factor, POINT_MARGIN if point else CELL_MARGIN)
    need = low * factor, min(high * factor, axis.size)
    starts = np.array(axis.starts)
    places = starts[:, None] + np.arange(axis.tile) + 0.5
    weights = axis.weights()
    windows: list[Span] = []
    for _ in range(steps):
        weighs = ((weights > 0) & (places > need[0]) & (places < need[1])).any(axis=1)
        (used,) = np.nonzero(weighs)
        windows.insert(0, (int(used[0]), int(used[-1]) + 1))
        need = (
            max(0, min(need[0], int(starts[used[0]]))),
            min(axis.size, max(need[1], int(starts[used[-1]]) + axis.tile)),
        )
    low, high = _cells(need, cells, factor, INPUT_MARGIN)
    return _Needed((low, high), low * factor, tuple(windows))


def _cells(span: Span, cells: int, factor: int, margin: int) -> Span:
    """Return the coarse cells that overlap a span of fine cells, with a margin."""
    return max(0, span[0] // factor - margin), min(cells, -(-span[1] // factor) + 1 + margin)


def _part_axis(axis: AxisPlan, needed: _Needed, size: int) -> AxisPlan:
    first, last = needed.windows[0]
    starts = tuple(start - needed.first for start in axis.starts[first:last])
    return replace(axis, size=size, starts=starts)


def _cut(size: int, side: int, flipped: bool) -> list[Span]:
    """Cut an axis in stored order and return canonical spans."""
    spans = [(first, min(first + side, size)) for first in range(0, size, side)]
    return [(size - high, size - low) for low, high in spans] if flipped else spans


def _stored(span: Span, size: int, flipped: bool) -> slice:
    return slice(size - span[1], size - span[0]) if flipped else slice(*span)


def _side(size: int, wanted: float) -> int:
    """Return the multiple of ``MULTIPLE`` that cuts ``size`` most evenly, near ``wanted``."""
    largest = max(MULTIPLE, int(wanted) // MULTIPLE * MULTIPLE)
    parts = -(-size // largest)
    return min(size, -(-size // parts // MULTIPLE) * MULTIPLE)
