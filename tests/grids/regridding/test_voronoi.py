import numpy as np
import pytest
from grid_kinds import positions, reduced_gaussian, spiral

from flexclim.errors import GridError
from flexclim.grids.regridding.overlap import containing
from flexclim.grids.regridding.voronoi import gaussian_rows, voronoi_polygons


def test_voronoi_cells_hold_what_is_nearest():
    points = spiral(150)
    polygons = voronoi_polygons(*positions(points))
    np.testing.assert_allclose(polygons.areas.sum(), 4 * np.pi, rtol=1e-9)
    rng = np.random.default_rng(0)
    near = rng.normal(size=(400, 3))
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    lat, lon = positions(near)
    found = containing(polygons, np.deg2rad(lon), np.sin(np.deg2rad(lat)))
    assert (found == (near @ points.T).argmax(axis=1)).mean() > 0.99


def test_cells_at_the_border_of_a_region_are_of_usual_size():
    lat, lon = (part.ravel() for part in np.meshgrid(np.arange(40.0, 46), np.arange(5.0, 11)))
    areas = voronoi_polygons(lat, lon).areas
    assert areas.max() < 8 * np.median(areas)
    inner = (lat > 40) & (lat < 45) & (lon > 5) & (lon < 10)
    expected = np.deg2rad(1) ** 2 * np.cos(np.deg2rad(lat[inner]))
    np.testing.assert_allclose(areas[inner], expected, rtol=0.01)


def test_rows_of_a_reduced_gaussian_grid():
    field = reduced_gaussian(8)
    rows, columns = gaussian_rows(field.latitude.values, field.longitude.values)
    areas = np.diff(np.sin(np.deg2rad(rows)))[:, 0] * np.deg2rad(np.diff(columns))[:, 0]
    np.testing.assert_allclose(np.abs(areas).sum(), 4 * np.pi)
    assert gaussian_rows(*positions(spiral(50))) is None


def test_points_without_cells_are_errors():
    with pytest.raises(GridError, match="3 points have no cells"):
        voronoi_polygons(np.zeros(3), np.arange(3.0))
    with pytest.raises(GridError, match="two points lie at 10, 20"):
        voronoi_polygons(np.array([0.0, 10, 10, 30, 50]), np.array([0.0, 20, 20, 40, 60]))
