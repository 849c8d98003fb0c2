import numpy as np
import pytest
from grid_kinds import positions, random_triangles, solid_angle

from flexclim.grids.regridding.polygons import great_circle_polygons, rectangles, vectors


@pytest.mark.parametrize("size", [0.02, 0.3])
@pytest.mark.parametrize("centre", [None, (0, 0, 1), (0, 0, -1), (-1, 0, 0)])
def test_areas_of_great_circle_triangles_are_exact(size, centre):
    triangles = random_triangles(100, size, centre)
    areas = great_circle_polygons(*positions(triangles)).areas
    np.testing.assert_allclose(areas, solid_angle(triangles), rtol=1e-6)


def test_areas_of_rows_and_columns_are_exact():
    areas = rectangles(np.array([[90.0, 30], [-10, 20]]), np.array([[350.0, 370], [0, 90]])).areas
    sines = np.sin(np.deg2rad([[30, 90], [-10, 20]]))
    np.testing.assert_allclose(areas, np.diff(sines)[:, 0] * np.deg2rad([20, 90]))


def test_corners_may_run_either_way_and_repeat():
    lat, lon = np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 20, 20, 5]])
    area = great_circle_polygons(lat, lon).areas
    np.testing.assert_allclose(great_circle_polygons(lat[:, ::-1], lon[:, ::-1]).areas, area)
    again = great_circle_polygons(lat[:, [0, 1, 2, 3, 3, 3]], lon[:, [0, 1, 2, 3, 3, 3]])
    np.testing.assert_allclose(again.areas, area)


def test_a_polygon_around_a_pole_is_closed_along_it():
    turn = np.arange(0, 360, 45.0)
    north = great_circle_polygons(np.full((1, 8), 80.0), turn[None])
    south = great_circle_polygons(np.full((1, 8), -80.0), turn[None])
    # Eight triangles with a corner on the pole.
    parts = np.tile([90.0, 80, 80], (8, 1)), np.stack([turn, turn, turn + 45], axis=1)
    total = great_circle_polygons(*parts).areas.sum()
    np.testing.assert_allclose([north.areas[0], south.areas[0]], total)


def test_two_cells_share_an_edge_that_runs_over_a_pole():
    lat, lon = np.array([[80.0, 0, 80], [80, 0, 80]]), np.array([[0.0, 90, 180], [180, 270, 360]])
    cells = great_circle_polygons(lat, lon)
    # Together they are the quadrilateral with those corners, and half of it each.
    whole = great_circle_polygons(np.array([[80.0, 0, 80, 0]]), np.array([[0.0, 90, 180, 270]]))
    np.testing.assert_allclose(cells.areas, whole.areas[0] / 2)


def test_cells_without_position_are_empty():
    lat, lon = np.array([[0.0, 0, 10], [0, np.nan, 10]]), np.array([[0.0, 9, 9], [0, 9, 9]])
    polygons = great_circle_polygons(lat, lon)
    assert polygons.areas[1] == 0
    assert np.isnan(polygons.boxes[1]).all()


def test_centroids_are_means_over_the_plane():
    x, z = rectangles(np.array([[0.0, 30]]), np.array([[0.0, 90]])).centroids
    np.testing.assert_allclose([x[0], z[0]], [np.pi / 4, 0.25])


def test_vectors_have_length_one():
    assert np.linalg.norm(vectors(np.array(1.0), np.array(0.3))) == pytest.approx(1)
