"""Corners and areas of curvilinear cells, against exact boxes and another triangulation."""

import numpy as np
import pytest
from grid_kinds import curvilinear

from flexclim.grids.cell_corners import (
    cell_areas,
    cell_corners,
    joined_corners,
    split_corners,
)
from flexclim.grids.regridding.cells import cornered_cells


def corners_of(ds):
    return np.stack([ds.lat_bnds.values, ds.lon_bnds.values])


def test_areas_are_those_of_polygons_and_fill_the_sphere():
    ds = curvilinear(9, corners=True)
    corners = corners_of(ds)
    cells = cornered_cells("", ("y", "x"), ds.lat.values, ds.lon.values, tuple(corners))
    np.testing.assert_allclose(cell_areas(corners).ravel(), cells.areas, rtol=1e-4)
    assert cell_areas(corners).sum() == pytest.approx(4 * np.pi)


@pytest.mark.parametrize("factor", [2, 3])
def test_parts_fill_cells(factor):
    corners = corners_of(curvilinear(6, corners=True))
    parts = split_corners(corners, factor)
    blocks = cell_areas(parts).reshape(6, factor, 12, factor).sum(axis=(1, 3))
    np.testing.assert_allclose(blocks, cell_areas(corners), rtol=1e-10)
    again = joined_corners(parts, factor)
    apart = (again - corners + 180) % 360 - 180
    assert abs(np.where(abs(corners[:1]) > 89.99, 0, apart)).max() < 1e-6


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("way", [1, -1])
def test_corners_of_a_file_may_begin_anywhere(start, way):
    ds = curvilinear(9, corners=True)
    corners = corners_of(ds)
    order = [(start + way * step) % 4 for step in range(4)]
    given = tuple(corners[..., order])
    found = cell_corners(ds.lat.values, ds.lon.values, given, wraps=True)
    np.testing.assert_array_equal(found, corners)


def test_missing_corners():
    ds = curvilinear(9, corners=True)
    corners = corners_of(ds)
    given = corners.copy()
    given[:, 3, 5, 1] = np.nan
    found = cell_corners(ds.lat.values, ds.lon.values, tuple(given), wraps=True)
    assert np.isfinite(found).all()
    assert abs(found[0] - corners[0]).max() < 3  # of 20 degrees
    given[:, 3, 5] = np.nan
    areas = cell_areas(given)
    assert areas[3, 5] == np.median(np.delete(areas.ravel(), 3 * 18 + 5))
    assert (cell_areas(np.full((2, 2, 2, 4), np.nan)) == 1).all()
