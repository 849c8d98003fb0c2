"""The windows of a part are those that a search over all pixels finds."""

import numpy as np
import pytest
from regional_winds import field as winds

from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Domain
from flexclim.planning.parts import part_grid, part_of
from flexclim.planning.regions import Region
from flexclim.planning.tiles import plan_tiles

CELLS = Domain(shape=(30, 60), wrap=True, north="pole_edge", south="pole_edge")
POINTS = Domain(shape=(31, 60), kind="point", wrap=True, north="pole_row", south="pole_row")
REGION = Domain(shape=(30, 61), kind="point")


def searched(asked, tiles, steps):
    """Return for each step the windows that the pixels of a mask depend on, by row and column."""
    rows, columns, _ = np.broadcast_arrays(*tiles.frame())
    weights = [one > 0 for one in tiles.weights()]
    height, width = tiles.tile
    found = []
    for _ in range(steps):
        used, read = set(), np.zeros_like(asked)
        for number in range(tiles.count):
            i, j = divmod(number, len(tiles.columns.starts))
            top, left = tiles.corner(number)
            place = np.s_[top : top + height, left : left + width]
            inside = np.outer(weights[0][i], weights[1][j])
            if (asked[rows[place], columns[place]] & inside).any():
                used.add((i, j))
                read[rows[place], columns[place]] = True
        found.insert(0, used)
        asked = read
    return found


@pytest.mark.parametrize("coarse", [CELLS, POINTS, REGION], ids=["cells", "points", "region"])
@pytest.mark.parametrize(
    "areas",
    [
        [((60, 69), (100, 109))],
        [((60, 69), (0, 9))],
        [((60, 69), (231, 240))],
        [((0, 5), (50, 60))],
        [((105, 117), (30, 31))],
        [((40, 50), (60, 70)), ((80, 90), (130, 140))],
        [((40, 50), (220, 230)), ((70, 80), (10, 20))],  # of a region across the date line
    ],
)
def test_windows_are_those_that_pixels_depend_on(coarse, areas):
    tiles = plan_tiles(coarse.refine(4), (32, 32), 4, 8)
    width, asked = tiles.domain.shape[1], np.zeros(tiles.domain.shape, bool)
    for rows, columns in areas:
        asked[slice(*rows), slice(*columns)] = True
    across = coarse.wrap and areas[-1][1][0] < areas[0][1][0]
    spans = [min(row for (row, _), _ in areas), max(row for (_, row), _ in areas)]
    left = areas[0][1][0]
    right = areas[-1][1][1] + width * across
    if not coarse.wrap:
        left, right = min(one[0] for _, one in areas), max(one[1] for _, one in areas)
    region = Region((0, 0), (spans[0], spans[1]), (left, right))
    part, plan = part_of(region, areas, tiles, coarse, 4, 2, conserve=False)
    (top, _), first = part.origin, part.origin[1]
    starts = [
        [one + offset for one in axis.starts]
        for axis, offset in ((plan.rows, top), (plan.columns, first))
    ]
    numbers = [
        {divmod(window, len(plan.columns.starts)) for window in step} for step in part.windows
    ]
    found = [
        {
            (tiles.rows.starts.index(starts[0][i]), tiles.columns.starts.index(starts[1][j]))
            for i, j in step
        }
        for step in numbers
    ]
    assert found == searched(asked, tiles, 2)
    (low, high), (west, east) = part.core
    assert 0 <= low < high <= plan.domain.shape[0]
    assert (low + top, west + first) == (spans[0], left)
    assert 0 <= west < east
    assert east <= plan.domain.shape[1] or plan.domain.wrap


@pytest.mark.parametrize("west", [-180.0, 0.0, 180.0])
@pytest.mark.parametrize("flipped", [False, True])
def test_part_of_a_globe_keeps_its_longitudes(west, flipped):
    """Where stored columns begin within the part too."""
    lon = west + np.arange(0.0, 360, 6)
    field = winds(np.arange(87.0, -90, -6), lon[::-1] if flipped else lon)
    grid = find_grid(field.isel(time=0))
    whole = grid.canonical(np.broadcast_to(field.lon.values, grid.domain.shape))[0]
    for columns in ((10, 25), (25, 40), (40, 58)):
        part = part_grid(grid, (5, 12), columns)
        found = part.canonical(part.x_values[None])[0]
        np.testing.assert_allclose(found % 360, whole[slice(*columns)] % 360)
        assert (np.diff(found) == 6).all()
