import numpy as np
import pytest
from grid_kinds import KINDS, curvilinear, gaussian, regular, smooth

from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.stencils import containing_cell, inside, interpolation, nearest


def targets(count=200, seed=0, south=-1.0):
    x, z = np.random.default_rng(seed).uniform([[-180], [south]], [[180], [1]], (2, count))
    return np.rad2deg(np.arcsin(z)), x


def values(obj):
    return (obj.t if hasattr(obj, "data_vars") else obj).values.ravel()


@pytest.mark.parametrize("kind", KINDS)
def test_bilinear_error_falls_with_the_square_of_the_spacing(kind):
    lat, lon = targets(south=0.95 if kind == "projected" else -1.0)
    errors = []
    for n in (9, 36):
        field = KINDS[kind](n)
        matrix = interpolation(cells_of(field), lat, lon, cubic=False).matrix
        np.testing.assert_allclose(matrix.sum(axis=1), 1)
        errors.append(np.sqrt(np.mean((matrix @ values(field) - smooth(lat, lon)) ** 2)))
    assert errors[1] < errors[0] / 8


@pytest.mark.parametrize("cubic", [False, True])
@pytest.mark.parametrize("make", [regular, gaussian, lambda: curvilinear(18)])
def test_interpolation_keeps_values_at_centres(make, cubic):
    field = make()
    cells = cells_of(field)
    matrix = interpolation(cells, cells.latitude, cells.longitude, cubic=cubic).matrix
    np.testing.assert_allclose(matrix @ values(field), values(field), atol=1e-6)


def test_bilinear_by_hand_in_any_order():
    field = regular(2, shift=-45.0)  # lat 45, -45; lon 0, 90, 180, 270
    for obj in (field, field[::-1], field[:, ::-1], field.roll(lon=1, roll_coords=True)):
        cells = cells_of(obj)
        matrix = interpolation(cells, np.array([22.5]), np.array([-45.0]), cubic=False).matrix
        north, south = (field.sel(lat=lat, lon=[270, 0]).values.mean() for lat in (45, -45))
        np.testing.assert_allclose(matrix @ values(obj), 0.75 * north + 0.25 * south)


def test_rows_go_on_beyond_the_pole():
    field = regular(4)
    cells = cells_of(field)
    found = interpolation(cells, np.array([90.0]), np.array([22.5]), cubic=False)
    row = field.values[0]
    np.testing.assert_allclose(found.matrix @ values(field), (row[0] + row[4]) / 2)
    # Half of it comes from the other side, where vectors turn.
    np.testing.assert_allclose(found.turned.sum(), 0.5)


def test_targets_outside_have_no_weights():
    field = regular(18)[4:9, 10:20]
    cells = cells_of(field)
    lat, lon = np.array([0.0, 0.0, 41.0, 49.9]), np.array([99.0, 201.0, 150.0, -160.1])
    expected = [False, False, True, True]
    assert inside(cells, lat, lon).tolist() == expected
    for stencils in (
        nearest(cells, lat, lon),
        interpolation(cells, lat, lon, cubic=True),
        containing_cell(cells, lat, lon),
    ):
        assert (stencils.matrix.sum(axis=1) > 0).tolist() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_and_containing_cells(kind):
    cells = cells_of(KINDS[kind]())
    some = np.arange(0, cells.size, 7)
    for find in (nearest, containing_cell):
        matrix = find(cells, cells.latitude[some], cells.longitude[some]).matrix
        np.testing.assert_array_equal(matrix.indices, some)
