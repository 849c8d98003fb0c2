import numpy as np
import pytest
from grid_kinds import positions, random_triangles
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim.grids.regridding import healpix
from flexclim.grids.regridding.overlap import containing, overlap_areas, overlap_moments
from flexclim.grids.regridding.polygons import great_circle_polygons, rectangles, vectors


def global_rectangles(rows, columns, west=0.0):
    lat, lon = np.linspace(-90, 90, rows + 1), np.linspace(0, 360, columns + 1) + west
    both = [np.stack([edges[:-1], edges[1:]], axis=1) for edges in (lat, lon)]
    return rectangles(both[0].repeat(columns, axis=0), np.tile(both[1], (rows, 1)))


def in_triangles(triangles, points):
    """Return (triangles, points): which points lie on the inner side of all edges."""
    a, b, c = np.moveaxis(triangles, 1, 0)
    sign = np.sign((a * np.cross(b, c)).sum(axis=1))[:, None]
    sides = [np.cross(first, second) @ points.T for first, second in ((a, b), (b, c), (c, a))]
    return np.all([side * sign > 0 for side in sides], axis=0)


def test_overlaps_of_triangles_are_those_of_points():
    """A sum over points on the sphere: 20 triangles each, also around poles and the date line."""
    first, second = random_triangles(20, 0.5, seed=1), random_triangles(20, 0.5, seed=2)
    found = overlap_areas(*(great_circle_polygons(*positions(one)) for one in (first, second)))
    points = vectors(
        *np.random.default_rng(0).uniform([[0], [-1]], [[2 * np.pi], [1]], (2, 20000))
    ).T
    inside = [in_triangles(one, points).astype(float) for one in (first, second)]
    summed = inside[1] @ inside[0].T * 4 * np.pi / points.shape[0]
    # Five standard deviations of a sum over so many points.
    allowed = 5 * np.sqrt(4 * np.pi * np.maximum(summed, 1e-3) / points.shape[0])
    assert (np.abs(found.toarray() - summed) < allowed).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 7), st.integers(2, 9), st.floats(-180, 180), st.integers(0, 2))
def test_overlaps_fill_both_grids(rows, columns, west, level):
    cells = global_rectangles(rows, columns, west)
    pixels = healpix.outlines(level, np.arange(12 * 4**level), nested=True)
    areas = overlap_areas(cells, pixels)
    np.testing.assert_allclose(areas.sum(axis=1), pixels.areas, rtol=1e-9)
    np.testing.assert_allclose(areas.sum(axis=0), cells.areas, rtol=1e-9)
    np.testing.assert_allclose(
        overlap_areas(pixels, cells).toarray(), areas.toarray().T, atol=1e-12
    )


def test_boxes_overlap_by_hand():
    box = rectangles(np.array([[0.0, 30]]), np.array([[350.0, 370]]))
    other = rectangles(
        np.array([[-10.0, 10], [20, 40], [0, 30]]), np.array([[0.0, 90], [5, 6], [20, 30]])
    )
    found = overlap_areas(box, other).toarray()[:, 0]
    sine = np.sin(np.deg2rad([0, 10, 20, 30]))
    expected = [(sine[1] - sine[0]) * np.deg2rad(10), (sine[3] - sine[2]) * np.deg2rad(1), 0]
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_concave_polygons_need_no_care():
    """An arrow without the square in its notch."""
    lat, lon = np.array([[0.0, 1, 0, 10]]), np.array([[0.0, 5, 10, 5]])
    arrow = great_circle_polygons(lat, lon)
    notch = great_circle_polygons(np.array([[0.0, 0, 1]]), np.array([[0.0, 10, 5]]))
    assert overlap_areas(arrow, notch).nnz == 0
    whole = great_circle_polygons(np.array([[0.0, 0, 10]]), np.array([[0.0, 10, 5]]))
    areas = overlap_areas(arrow, whole).toarray()[0, 0], arrow.areas[0]
    np.testing.assert_allclose(areas, whole.areas[0] - notch.areas[0])


def test_moments_add_up_to_those_of_the_cells():
    cells, pixels = global_rectangles(6, 12, 5.0), healpix.outlines(1, np.arange(48), nested=True)
    areas, of_x, of_z = (part.sum(axis=0) for part in overlap_moments(cells, pixels))
    np.testing.assert_allclose(of_x / areas, cells.centroids[0])
    np.testing.assert_allclose(of_z / areas, cells.centroids[1], atol=1e-12)


def test_containing_finds_the_triangle_of_a_point():
    triangles = random_triangles(30, 0.3, seed=3)
    polygons = great_circle_polygons(*positions(triangles))
    x, z = np.random.default_rng(1).uniform([[-9], [-1]], [[9], [1]], (2, 2000))
    found = containing(polygons, x, z)
    inside = in_triangles(triangles, vectors(x, z).T)
    assert (inside[found[found >= 0], np.flatnonzero(found >= 0)]).mean() > 0.99
    assert ((found >= 0) == inside.any(axis=0)).mean() > 0.99


@pytest.mark.parametrize("z", [-1.0, 1.0])
def test_poles_lie_in_a_cell(z):
    cells = global_rectangles(4, 8)
    assert containing(cells, np.array([1.0]), np.array([z]))[0] in np.arange(32)


def test_nothing_overlaps_nothing():
    cells = global_rectangles(2, 2)
    empty = great_circle_polygons(np.full((1, 3), np.nan), np.zeros((1, 3)))
    assert overlap_areas(cells, empty).shape == (1, 4)
    assert overlap_areas(empty, cells).nnz == 0
