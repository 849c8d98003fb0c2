"""The part of a field that a region of the output depends on.

It holds, for the last sampler step, the windows with weight in the region; for the step before,
those with weight in the former windows, and so on; then the coarse cells that scaling and block
means read. So a region has the same values as in the whole field, except for rounding.

Windows beyond a pole read cells on the other side of it, and those at the date line follow on each
other. A part that such windows belong to has all columns; any other is cut along both axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flexclim.execution.batch_size import kept_tiles
from flexclim.grids.domain import Domain
from flexclim.grids.grid import Grid
from flexclim.models.settings import SCALING_REACH
from flexclim.planning.plan import SamplingPlan
from flexclim.planning.regions import Region, Span, along
from flexclim.planning.tiles import AxisPlan, TilePlan

# Blocks beyond a region that the correction of its block means reads. Blocks of point grids share
# cells, and the influence of a block falls about tenfold per block.
CELL_MARGIN, POINT_MARGIN = 1, 3
# Coarse cells beyond a window that interpolation and scaling read.
INPUT_MARGIN = SCALING_REACH + 2
# Coarse cells beside the date line: noise is related to that of so many cells.
DATE_LINE_MARGIN = 4
# Share of the windows of a part by which its batches may be padded.
PADDING = 0.1

# Rows, and columns, which on a globe may reach beyond the first and the last one.
Area = tuple[Span, Span]


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
        The region's rows and columns within the part; on a globe they may reach beyond its last
        column.
    windows
        For each sampler step the numbers of the windows to evaluate.
    """

    rows: Span
    columns: Span
    origin: tuple[int, int]
    core: tuple[Span, Span]
    windows: tuple[tuple[int, ...], ...]


def part_of(
    region: Region,
    areas: Sequence[Area],
    tiles: TilePlan,
    coarse: Domain,
    factor: int,
    steps: int,
    *,
    conserve: bool = True,
) -> tuple[Part, TilePlan]:
    """Find the part of the field that a region is computed from, and plan its tiles.

    Parameters
    ----------
    region
        Canonical fine cells.
    areas
        Rows and columns of the cells in the region that are asked for.
    tiles
        Tile plan of the whole field.
    coarse
        The whole coarse domain.
    factor
        Fine cells along one side of a coarse cell.
    steps
        Number of sampler steps.
    conserve
        Whether block means are restored.

    Returns
    -------
    Part, TilePlan
        The tile plan has those windows of the whole field that the part needs.
    """
    needed = list(areas)
    if conserve:
        needed = [one for area in areas for one in _corrected(area, coarse, factor)]
    used: list[set[tuple[int, int]]] = []
    for _ in range(steps):
        used.insert(0, set())
        read: set[Area] = set()
        for area in needed:
            down, across, extent = _windows_in(area, tiles)
            used[0] |= {(i, j) for i in down for j in across}
            read |= set(_areas(extent, tiles.domain))
        needed = sorted(read)
    ends = tiles.rows.starts[0], tiles.rows.starts[-1] + tiles.rows.tile
    last = len(tiles.rows.starts) - 1
    around = region.columns[1] > tiles.columns.size or any(
        (i == 0 and ends[0] < 0) or (i == last and ends[1] > tiles.rows.size) for i, _ in used[0]
    )
    rows, columns = _cells_read(needed, coarse, factor, entire=around)
    return _part(region, tiles, coarse, factor, used, rows, columns)


def filled(plan: SamplingPlan) -> SamplingPlan:
    """Return the plan of a part in batches that its windows fill.

    Features are kept where the part has few windows, though those of the whole field are not.
    """
    counts = [len(step) for step in plan.active]
    batch = plan.batch
    while sum(-(-count // batch) * batch for count in counts) > (1 + PADDING) * sum(counts):
        batch //= 2
    network = plan.settings.network.model_copy(update={"tile": plan.tiles.tile})
    return replace(plan, batch=batch, keeps_features=counts[0] <= kept_tiles(network, plan.batch))


def part_grid(grid: Grid, rows: Span, columns: Span) -> Grid:
    """Return the subgrid of some canonical rows and columns, in stored order."""
    height, width = grid.domain.shape
    y = slice(*along(rows, height, grid.flip_y))
    x: slice | np.ndarray = slice(*along(columns, width, grid.flip_x))
    shift, x_values = grid.shift_x, grid.x_values
    cut = grid.domain.wrap and columns != (0, width)
    if cut:
        # Stored columns may begin within the part.
        first = np.arange(*along(columns, width, grid.flip_x))
        x, shift = (first + (-shift if grid.flip_x else shift)) % width, 0
    if x_values is not None:
        x_values = np.unwrap(x_values[x], period=360) if cut else x_values[x]
    return replace(
        grid,
        domain=part_domain(grid.domain, rows, columns),
        shift_x=shift,
        y_values=None if grid.y_values is None else grid.y_values[y],
        x_values=x_values,
        latitude=None if grid.latitude is None else grid.latitude[y, x],
        longitude=None if grid.longitude is None else grid.longitude[y, x],
        corners=None if grid.corners is None else grid.corners[:, y, x],
    )


def part_domain(domain: Domain, rows: Span, columns: Span) -> Domain:
    """Return the subdomain of some rows and columns; where it is cut it has an edge."""
    entire = columns == (0, domain.shape[1])
    # Cells across a pole are among the others of a globe.
    poles = entire or not domain.wrap
    return replace(
        domain,
        shape=(rows[1] - rows[0], columns[1] - columns[0]),
        wrap=domain.wrap and entire,
        north=domain.north if poles and rows[0] == 0 else "edge",
        south=domain.south if poles and rows[1] == domain.shape[0] else "edge",
        y_edges=domain.y_edges and domain.y_edges[rows[0] : rows[1] + 1],
        x_edges=domain.x_edges and domain.x_edges[columns[0] : columns[1] + 1],
    )


def _part(
    region: Region,
    tiles: TilePlan,
    coarse: Domain,
    factor: int,
    used: Sequence[set[tuple[int, int]]],
    rows: Span,
    columns: Span,
) -> tuple[Part, TilePlan]:
    """Return the part that holds some windows of each step and some coarse cells."""
    domain = part_domain(coarse, rows, columns).refine(factor)
    top, left = rows[0] * factor, columns[0] * factor
    in_rows, in_columns = zip(*used[0], strict=True)
    entire = columns == (0, coarse.shape[1])
    across = range(len(tiles.columns.starts)) if entire else _covering(in_columns)
    down = _covering(in_rows)
    plan = TilePlan(
        domain,
        _part_axis(tiles.rows, down, top, domain.shape[0], wrap=False),
        _part_axis(tiles.columns, across, left, domain.shape[1], wrap=domain.wrap),
    )
    windows = tuple(
        tuple(sorted((i - down.start) * len(across) + j - across.start for i, j in step))
        for step in used
    )
    (first_row, last_row), (first_column, last_column) = region.rows, region.columns
    core = (first_row - top, last_row - top), (first_column - left, last_column - left)
    return Part(rows, columns, (top, left), core, windows), plan


def _corrected(area: Area, coarse: Domain, factor: int) -> list[Area]:
    """Return the fine cells by whose block means an area is corrected."""
    rows, columns = (_blocks(span, factor, coarse.kind) for span in area)
    return _areas((rows, columns), coarse.refine(factor))


def _blocks(span: Span, factor: int, kind: str) -> Span:
    """Return the fine cells of the blocks of a span, with a margin of further blocks."""
    if kind == "cell":
        return (span[0] // factor - CELL_MARGIN) * factor, (
            -(-span[1] // factor) + CELL_MARGIN
        ) * factor
    half = factor // 2
    first = -((half - span[0]) // factor) - POINT_MARGIN
    last = (span[1] - 1 + half) // factor + POINT_MARGIN
    return first * factor - half, last * factor + half + 1


def _areas(extent: Area, domain: Domain) -> list[Area]:
    """Return the cells of a domain that an extent reads: within it, and across its poles."""
    (top, bottom), columns = extent
    height, width = domain.shape
    if not domain.wrap:
        columns = max(0, columns[0]), min(width, columns[1])
    elif columns[1] - columns[0] >= width:
        columns = 0, width
    found: list[Area] = [((max(0, top), min(height, bottom)), columns)]
    shifted = columns
    if columns != (0, width):
        shift = width // 2 if columns[0] < width // 2 else -(width // 2)
        shifted = columns[0] + shift, columns[1] + shift
    if top < 0 and domain.north != "edge":
        found.append(((0, min(height, 1 - top)), shifted))
    if bottom > height and domain.south != "edge":
        found.append(((max(0, 2 * height - bottom - 1), height), shifted))
    return found


def _windows_in(area: Area, tiles: TilePlan) -> tuple[range, list[int], Area]:
    """Return the windows with weight in an area, by row and column, and what they read."""
    rows, columns = area
    down = [i for i, (low, high) in enumerate(_supports(tiles.rows)) if _meet(low, high, rows)]
    axis = tiles.columns
    around = axis.wrap and len(axis.starts) > 1
    laps = [lap * axis.size for lap in range(-2, 3)] if around else [0]
    found = [
        (j, axis.starts[j] + lap)
        for j, (low, high) in enumerate(_supports(axis))
        for lap in laps
        if _meet(low + lap, high + lap, columns)
    ]
    starts = [start for _, start in found]
    extent = (
        (tiles.rows.starts[down[0]], tiles.rows.starts[down[-1]] + tiles.rows.tile),
        (min(starts), max(starts) + axis.tile),
    )
    if axis.wrap and not around:
        extent = extent[0], (0, axis.size)
    return range(down[0], down[-1] + 1), sorted({j for j, _ in found}), extent


def _supports(axis: AxisPlan) -> list[Span]:
    """Return for each window the pixels in which it has weight."""
    weights = axis.weights() > 0
    first = weights.argmax(axis=1)
    last = axis.tile - weights[:, ::-1].argmax(axis=1)
    return [
        (start + int(low), start + int(high))
        for start, low, high in zip(axis.starts, first, last, strict=True)
    ]


def _meet(low: int, high: int, span: Span) -> bool:
    return low < span[1] and high > span[0]


def _cells_read(
    areas: Sequence[Area], coarse: Domain, factor: int, *, entire: bool
) -> tuple[Span, Span]:
    """Return the rows and columns of coarse cells that areas of fine cells are computed from.

    ``entire`` states that a globe has all columns.
    """
    height, width = coarse.shape
    rows, columns = (
        (
            min(span[0] for span in spans) // factor - INPUT_MARGIN,
            -(-max(span[1] for span in spans) // factor) + 1 + INPUT_MARGIN,
        )
        for spans in zip(*areas, strict=True)
    )
    rows = max(0, rows[0]), min(height, rows[1])
    if not coarse.wrap:
        return rows, (max(0, columns[0]), min(width, columns[1]))
    inside = columns[0] >= DATE_LINE_MARGIN and columns[1] <= width - DATE_LINE_MARGIN
    return rows, columns if inside and not entire else (0, width)


def _covering(numbers: Sequence[int]) -> range:
    return range(min(numbers), max(numbers) + 1)


def _part_axis(axis: AxisPlan, windows: range, first: int, size: int, *, wrap: bool) -> AxisPlan:
    starts = tuple(axis.starts[number] - first for number in windows)
    return replace(axis, size=size, starts=starts, wrap=wrap)
