import dataclasses

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from grid_fields import CENTRES, POLES, field, projected
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim.cf.coordinates import grid_coordinates
from flexclim.errors import GridError
from flexclim.grids.discovery import find_grid
from flexclim.grids.grid import whole_factor


@pytest.mark.parametrize("factor", [0, -2, 2.0, 2.5, "4", None])
def test_factors_are_whole(factor):
    grid = find_grid(field(CENTRES, np.arange(0, 360, 30)))
    for change in (grid.refined, grid.coarsened):
        with pytest.raises(GridError, match="is not a whole number of at least 2"):
            change(factor)
    assert whole_factor(np.int64(4)) == 4
    assert grid.refined(1) is grid
    with pytest.raises(GridError, match="is not a whole number of at least 2"):
        grid.coarsened(1)


def test_a_row_on_the_pole_can_not_be_split():
    grid = find_grid(field(POLES[:-1], np.arange(0, 360, 30)))
    with pytest.raises(GridError, match=r"cells at 90 degrees.*isel\(lat=slice\(1, None\)\)"):
        grid.refined(2)
    with pytest.raises(GridError, match=r"cells at 90 degrees.*isel\(lat=slice\(None, -1\)\)"):
        find_grid(field(POLES[:-1][::-1], np.arange(0, 360, 30))).refined(2)


def test_fine_cells_by_hand():
    fine = find_grid(field([60, 50], np.arange(-180, 180, 90))).refined(2)
    np.testing.assert_array_equal(fine.y_values, [62.5, 57.5, 52.5, 47.5])
    np.testing.assert_array_equal(
        fine.x_values, [-202.5, -157.5, -112.5, -67.5, -22.5, 22.5, 67.5, 112.5]
    )
    assert fine.shift_x == 4


def test_fine_points_by_hand():
    fine = find_grid(field([-90, 0, 90], np.arange(0, 360, 90))).refined(2)
    np.testing.assert_array_equal(fine.y_values, [-90, -45, 0, 45, 90])
    np.testing.assert_array_equal(fine.x_values, np.arange(0, 360, 45))
    region = find_grid(field([2, 1], [5, 6, 7]), "point").refined(2)
    np.testing.assert_array_equal(region.y_values, [2, 1.5, 1])
    np.testing.assert_array_equal(region.x_values, [5, 5.5, 6, 6.5, 7])


def test_descending_points_begin_in_the_west():
    lon = np.arange(270, -1, -90)
    fine = find_grid(field(POLES, lon)).refined(2)
    np.testing.assert_array_equal(fine.x_values, np.arange(315, -1, -45))


def test_a_rolled_field_keeps_its_longitudes():
    fine = find_grid(field(CENTRES, [180, 270, 0, 90])).refined(2)
    np.testing.assert_array_equal(
        fine.x_values, [157.5, 202.5, 247.5, 292.5, -22.5, 22.5, 67.5, 112.5]
    )
    coarse = fine.coarsened(2)
    np.testing.assert_array_equal(coarse.x_values, [180, 270, 0, 90])


def test_coarse_blocks_count_from_zero_degrees():
    lon = np.arange(-180, 180, 20)
    coarse = find_grid(field(CENTRES, lon)).coarsened(3)
    # Blocks are 0-40, ..., 120-160, 180-220, ...; stored columns begin at -180.
    np.testing.assert_array_equal(coarse.x_values, [-160, -100, -40, 20, 80, 140])
    assert coarse.shift_x == 3
    crossing = find_grid(field(CENTRES, np.arange(-170, 190, 20))).coarsened(3)
    np.testing.assert_array_equal(crossing.x_values, [-150, -90, -30, 30, 90, 150])
    uneven = find_grid(field(np.arange(8), np.arange(-180, 180, 15))).coarsened(8)
    np.testing.assert_array_equal(uneven.x_values, [-67.5, 52.5, 172.5])
    assert uneven.canonical(uneven.x_values[None])[0].tolist() == [52.5, 172.5, -67.5]


@pytest.mark.parametrize("start", [0, -180, -90, 30])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_what_was_refined_coarsens_back(start, factor):
    """Also where fine cells begin west of 0 degrees, as cells centred on 0 do."""
    coarse = field(CENTRES, np.arange(start, start + 360, 30))
    fine_grid = find_grid(coarse).refined(factor)
    fine = field(fine_grid.y_values, fine_grid.x_values)
    back = find_grid(fine).aligned(factor).coarsened(factor)
    np.testing.assert_allclose(back.x_values, coarse.lon)
    np.testing.assert_allclose(back.y_values, coarse.lat)


def test_a_coarse_grid_may_have_one_cell():
    grid = find_grid(field([1, 2], [5, 6])).coarsened(2)
    np.testing.assert_array_equal(grid.y_bounds, [[0.5, 2.5]])
    np.testing.assert_array_equal(grid.refined(2).x_values, [5, 6])


def test_row_area():
    grid = find_grid(field(POLES, np.arange(0, 360, 30)))
    area = grid.row_area
    assert area.sum() == pytest.approx(2)
    assert area[0] == pytest.approx(1 - np.sin(np.deg2rad(75)))
    south_first = find_grid(field([10, 20, 30], [1, 2]))
    assert south_first.row_area[0] < south_first.row_area[-1]
    assert grid.refined(4).row_area.sum() == pytest.approx(2)
    assert find_grid(projected()).row_area is None


def test_spacing_km():
    assert find_grid(field(CENTRES, np.arange(0, 360, 30))).spacing_km == pytest.approx(3335.85)
    metres = find_grid(projected(x_attrs={"units": "m"}, y_attrs={"units": "m"}))
    assert metres.spacing_km == 2.5
    assert metres.refined(5).spacing_km == 0.5
    assert find_grid(projected()).spacing_km == pytest.approx(2.5, rel=0.1)
    plain = xr.DataArray(np.zeros((2, 2)), coords={"y": [1, 2], "x": [1, 2]}, dims=("y", "x"))
    assert np.isnan(find_grid(plain).spacing_km)


def test_repr_is_one_line():
    assert repr(find_grid(field(POLES, np.arange(0, 360, 30)))) == (
        "<Grid: global, 7 x 12 points of 30 x 30 degrees, lat 90 to -90, lon 0 to 330>"
    )
    assert repr(find_grid(projected(coords=False))) == (
        "<Grid: regional, 6 x 8 cells at 2-D latitude and longitude>"
    )


def refuse(*args, **kwargs):
    raise AssertionError("something was computed")


def test_planning_computes_nothing():
    lazy = projected().chunk(2)
    lazy = lazy.assign_coords(latitude=lazy.latitude.chunk(2), longitude=lazy.longitude.chunk(2))
    with dask.config.set(scheduler=refuse):
        fine = find_grid(lazy).refined(2)
        coordinates = grid_coordinates(fine, lazy)
        assert "Grid" in repr(fine)
    eager = find_grid(projected()).refined(2)
    np.testing.assert_array_equal(np.asarray(coordinates["latitude"]), eager.latitude)
    np.testing.assert_array_equal(np.asarray(coordinates["longitude"]), eager.longitude)


def test_dask_arrays_stay_lazy():
    stored = field(CENTRES[::-1], np.arange(-180, 180, 30))
    grid = find_grid(stored)
    lazy = da.from_array(stored.values, chunks=2)
    with dask.config.set(scheduler=refuse):
        canonical = grid.canonical(lazy)
        back = grid.restore(canonical)
    np.testing.assert_array_equal(canonical.compute(), grid.canonical(stored.values))
    np.testing.assert_array_equal(back.compute(), stored.values)


@pytest.mark.parametrize("kind", [None, "cell", "point"])
@pytest.mark.parametrize("found_as", [None, "cell", "point"])
@pytest.mark.parametrize(
    "obj",
    [
        field(POLES, np.arange(0, 360, 30)),
        field(POLES[::-1], np.arange(-180, 180, 30)),
        field(POLES, np.arange(9) * 40),
        field(CENTRES, np.arange(0, 360, 30)),
        field(POLES[:3], np.arange(0, 360, 30)),
        field(CENTRES[:4], np.arange(5.0, 50, 5)),
        projected(),
        projected(coords=False),
        projected(coords=False).chunk(),
    ],
)
def test_taken_as_cells_or_points_like_found_as_such(obj, found_as, kind):
    expected, grid = find_grid(obj, kind), find_grid(obj, found_as).as_kind(kind)
    for one in dataclasses.fields(grid):
        np.testing.assert_array_equal(getattr(grid, one.name), getattr(expected, one.name))


def test_a_grid_is_of_cells_or_of_points():
    grid = find_grid(field(POLES, np.arange(0, 360, 30)))
    with pytest.raises(GridError, match="'points' is not known"):
        grid.as_kind("points")


@given(
    columns=st.integers(2, 40),
    start=st.integers(-360, 90),
    roll=st.integers(0, 40),
    descending=st.booleans(),
    north_first=st.booleans(),
    kind=st.sampled_from(["cell", "point"]),
    factor=st.integers(2, 5),
)
@settings(max_examples=100, deadline=None)
def test_stored_orders_of_a_global_field_are_one_canonical_field(
    columns, start, roll, descending, north_first, kind, factor
):
    """Fine cells stay at their place whichever way the coarse field is stored."""
    step = 360 / columns
    east = (np.arange(columns) + 0.25) * step
    lon = np.roll(np.sort((east - start) % 360 + start), roll)[:: -1 if descending else 1]
    lat = (POLES if kind == "point" else CENTRES)[:: 1 if north_first else -1]
    stored, plain = (
        field(lat, lon),
        field(np.sort(lat)[::-1], np.arange(columns) * step + 0.25 * step),
    )
    grid, reference = find_grid(stored, kind), find_grid(plain, kind)
    np.testing.assert_array_equal(grid.canonical(stored.values), plain.values)
    np.testing.assert_array_equal(grid.restore(plain.values), stored.values)
    fine, fine_reference = grid.refined(factor), reference.refined(factor)
    assert fine.domain == fine_reference.domain
    for ours, theirs in ((fine, fine_reference), (fine.coarsened(factor), reference)):
        assert ours.x_values is not None
        angle = np.deg2rad(ours.canonical(ours.x_values[None, :])[0] - theirs.x_values)
        np.testing.assert_allclose(np.cos(angle), 1, atol=1e-12)
        np.testing.assert_allclose(
            ours.canonical(ours.y_values[:, None] + 0 * ours.x_values)[:, 0], theirs.y_values
        )
