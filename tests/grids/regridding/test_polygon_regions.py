from typing import ClassVar

import numpy as np
import pytest
import shapely
from grid_kinds import KINDS, regular

from flexclim.errors import GridError
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.polygon_regions import regions_of


def ring(*corners):
    return [*corners, corners[0]]


def polygon(*rings, **properties):
    geometry = {"type": "Polygon", "coordinates": [ring(*one) for one in rings]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


BOX = polygon([(0, 10), (40, 10), (40, 50), (0, 50)], name="box")
HOLE = [(10, 20), (30, 20), (30, 40), (10, 40)]


def box_area(south, north, width):
    return np.diff(np.sin(np.deg2rad([south, north])))[0] * np.deg2rad(width)


def test_boxes_holes_and_parts_by_hand():
    holed = polygon([(0, 10), (40, 10), (40, 50), (0, 50)], HOLE)
    two = shapely.MultiPolygon([shapely.box(0, 10, 40, 50), shapely.box(60, -20, 70, 0)])
    regions = regions_of([BOX, holed, two])
    box, hole = box_area(10, 50, 40), box_area(20, 40, 20)
    np.testing.assert_allclose(regions.areas, [box, box - hole, box + box_area(-20, 0, 10)])
    assert regions.labels == ["box", 1, 2]


def test_sloping_edges_are_straight_in_longitude_and_latitude():
    triangle = shapely.Polygon([(0, 0), (80, 0), (80, 60)])
    # The integral of sin(lat) from 0 to 60 degrees, times 80 / 60.
    expected = np.deg2rad(80) / np.deg2rad(60) * (1 - np.cos(np.deg2rad(60)))
    np.testing.assert_allclose(regions_of(triangle).areas, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_cells_of_any_kind_fill_polygons(kind):
    shapes = [
        shapely.Polygon(ring((-20, 55), (30, 60), (50, 85), (5, 70), (-25, 80))),
        shapely.box(-180, 75, 180, 90),
        shapely.Polygon(
            ring((170, 62), (230, 65), (200, 85)), [ring((190, 66), (200, 66), (195, 70))]
        ),
    ]
    cells = cells_of(KINDS[kind](9))
    found = regions_of(shapes).overlaps(cells.polygons).sum(axis=1)
    areas = regions_of(shapes).areas
    np.testing.assert_allclose(found, areas, rtol=1e-3 if kind == "curvilinear" else 1e-6)


def test_overlaps_are_those_of_many_points():
    cells = cells_of(regular(18))
    shape = shapely.Polygon(ring((3, -12), (77, 5), (50, 61), (20, 30)))
    found = regions_of(shape).overlaps(cells.polygons).toarray()[0]
    low, high = np.sin(np.deg2rad([-12, 61]))
    middles = (np.arange(500) + 0.5) / 500
    x, z = (part.ravel() for part in np.meshgrid(80 * middles, low + (high - low) * middles))
    inside = shapely.contains_xy(shape, x, np.rad2deg(np.arcsin(z)))
    rows = ((90 - np.rad2deg(np.arcsin(z))) // 10).astype(int)
    counts = np.bincount(rows[inside] * 36 + (x[inside] // 10).astype(int), minlength=cells.size)
    area = np.deg2rad(80) * (high - low)
    np.testing.assert_allclose(found, counts / x.size * area, atol=5e-4)


def test_interfaces_and_collections():
    class Interface:
        __geo_interface__: ClassVar = {"type": "FeatureCollection", "features": [BOX, BOX]}

    assert regions_of(Interface()).labels == ["box", "box"]
    assert regions_of(BOX["geometry"]).labels == [0]
    assert regions_of("healpix:3") is None
    assert regions_of(np.zeros(3)) is None


def test_projected_frames_are_converted():
    class Frame:
        crs = type("crs", (), {"is_geographic": False})
        __geo_interface__: ClassVar = {"type": "FeatureCollection", "features": []}

        def to_crs(self, crs):
            assert crs == "EPSG:4326"
            return BOX

    assert regions_of(Frame()).labels == ["box"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)]), "not valid: Self-intersection"),
        (shapely.LineString([(0, 0), (1, 1)]), "is a LineString, not a polygon"),
        (shapely.Polygon(), "is empty, not a polygon"),
        (shapely.box(170, 0, -170, 10), "jumps from -?170 to -?170 degrees of longitude"),
        (
            {"type": "Polygon", "coordinates": [[(7, 47), (9, 46)]]},
            "region 0 has no valid geometry",
        ),
        (shapely.box(2e5, 3e5, 4e5, 5e5), "these are not latitudes and longitudes"),
    ],
)
def test_what_is_no_polygon_is_an_error(shape, message):
    with pytest.raises(GridError, match=message):
        regions_of(shape)
