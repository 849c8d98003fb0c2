import numpy as np
import pytest
from grid_kinds import curvilinear, regular

from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.intervals import common_lengths, near


def pairs(edges):
    return np.stack([edges[:-1], edges[1:]], axis=1)


@pytest.mark.parametrize("turn", [0.0, 10.0])
def test_common_lengths_are_those_of_every_pair(turn):
    random = np.random.default_rng(0)
    source = pairs(np.sort(random.uniform(0, 10, 12)))[::-1]
    target = pairs(np.sort(random.uniform(-3, 14, 7)))[:, ::-1]
    expected = np.zeros((6, 11))
    for t, (high, low) in enumerate(target):
        for s, (start, stop) in enumerate(source):
            for shift in (-turn, 0, turn) if turn else (0,):
                expected[t, s] += max(0, min(high, stop + shift) - max(low, start + shift))
    np.testing.assert_allclose(common_lengths(source, target, turn=turn).toarray(), expected)


def test_near_cells_are_those_in_the_rows_and_columns_of_boxes():
    cells = cells_of(regular(18))
    x, z = np.deg2rad([[-5.0, 5, 361, 364]]).ravel(), np.sin(np.deg2rad([41.0, 49, -5, 5]))
    boxes = np.array([[x[0], z[0], x[1], z[1]], [x[2], z[2], x[3], z[3]]])
    found, number = near(cells, boxes)
    np.testing.assert_array_equal(np.unique(found.latitude), [-5, 5, 45])
    np.testing.assert_array_equal(np.unique(found.longitude), [5, 355])
    np.testing.assert_array_equal(found.latitude, cells.latitude[number])
    np.testing.assert_array_equal(found.longitude, cells.longitude[number])
    np.testing.assert_allclose(found.areas, cells.areas[number])
    np.testing.assert_allclose(found.polygons.areas, cells.areas[number])


def test_cells_in_no_rows_are_all_near():
    cells = cells_of(curvilinear(6, corners=True))
    found, number = near(cells, np.array([[0.0, 0, 0.1, 0.1]]))
    assert found is cells
    np.testing.assert_array_equal(number, np.arange(72))
