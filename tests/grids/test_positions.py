"""2-D latitudes and longitudes of projected grids."""

import numpy as np
import pytest
import xarray as xr
from grid_fields import plane_positions, projected

from flexclim.errors import GridError
from flexclim.grids.discovery import find_grid
from flexclim.grids.remap import positions


@pytest.mark.parametrize("kind", ["cell", "point"])
def test_fine_positions_follow_the_projection(kind):
    height, width, factor = 20, 24, 4
    stored = projected(height, width)
    fine = find_grid(stored, kind).refined(factor)
    latitude, longitude = plane_positions(fine.y_values, fine.x_values)
    metres = 111195 * np.hypot(
        fine.latitude - latitude, (fine.longitude - longitude) * np.cos(np.deg2rad(latitude))
    )
    assert metres.max() < 2
    back = fine.coarsened(factor)
    assert np.abs(back.latitude - stored.latitude.values).max() * 111195 < 2
    assert np.abs(back.longitude - stored.longitude.values).max() * 111195 < 2


def test_positions_across_the_date_line():
    stored = projected(8, 8)
    lon = (stored.longitude.values + 180 + 180) % 360 - 180
    east = lon.copy()
    lon = lon - lon.mean() + 180
    for convention in (lon, (lon + 180) % 360 - 180):
        moved = stored.assign_coords(longitude=(("y", "x"), convention))
        fine = find_grid(moved).refined(2).longitude
        assert (fine.max() > 180) == (convention.max() > 180)
        step = (np.diff(fine, axis=1) + 180) % 360 - 180
        assert np.abs(step).max() < 1.1 * np.abs(np.diff(east, axis=1)).max() / 2


def test_real_positions_survive_coarsening(data_dir):
    with xr.open_dataset(data_dir / "small" / "arome_2p5km_6x128x128.nc") as ds:
        grid = find_grid(ds)
        fine = grid.coarsened(4).refined(4)
        off = np.hypot(
            fine.latitude - ds.latitude.values,
            (fine.longitude - ds.longitude.values) * np.cos(np.deg2rad(ds.latitude.values)),
        )
    assert off.max() * 111195 < 20  # m, of 2500


@pytest.mark.parametrize("rows", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize("columns", [slice(None), slice(None, None, -1)])
def test_without_coordinates_positions_tell_the_order(rows, columns):
    stored = projected(coords=False).isel(y=rows, x=columns)
    grid = find_grid(stored)
    latitude = grid.canonical(stored.latitude.values)
    longitude = grid.canonical(stored.longitude.values)
    assert (np.diff(latitude, axis=0) < 0).all()
    assert (np.diff(longitude, axis=1) > 0).all()
    assert (grid.y_name, grid.y_values, grid.refined(2).y_values) == (None, None, None)


def test_points_keep_their_positions_beside_missing_ones():
    stored = projected(6, 6)
    holed = stored.assign_coords(
        {name: stored[name].where(stored.x > stored.x[1]) for name in ("latitude", "longitude")}
    )
    fine = find_grid(holed, "point").refined(3)
    whole = find_grid(stored, "point").refined(3)
    np.testing.assert_array_equal(np.isnan(fine.latitude[0]), np.arange(16) < 5)
    np.testing.assert_allclose(fine.latitude[:, 5:], whole.latitude[:, 5:], atol=1e-5)


def test_network_inputs_have_the_nearest_position_where_none_is_known():
    stored = projected(4, 4)
    holed = stored.assign_coords(
        {name: stored[name].where(stored.x > stored.x[0]) for name in ("latitude", "longitude")}
    )
    latitude, longitude = positions(find_grid(holed))
    np.testing.assert_array_equal(latitude[:, 0], latitude[:, 1])
    np.testing.assert_array_equal(longitude[:, 1:], stored.longitude.values[::-1, 1:])


def test_positions_without_values_are_refused():
    empty = projected(4, 4, coords=False)
    empty["latitude"] = empty["latitude"] * np.nan
    with pytest.raises(GridError, match="2-D latitudes or longitudes have no two neighbours"):
        find_grid(empty)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("declared", [True, False])
def test_fill_values_are_no_positions(declared, lazy):
    """Of 2 x 2 cells, three give the position of a block, 2 400 km from one with a fill value."""
    stored = projected(8, 8)
    latitude = stored.latitude.copy()
    latitude[0, 0], latitude[4:6, 4:6] = 9.97e36, 9.97e36
    if declared:
        latitude.attrs["_FillValue"] = 9.97e36
    broken = stored.assign_coords(latitude=latitude)
    if lazy:
        broken = broken.assign_coords(latitude=latitude.chunk(), longitude=stored.longitude.chunk())
    if not declared:
        message = r"'latitude' holds 9\.97e\+36 at 5 of 64 points, where degrees are at most 90"
        with pytest.raises(GridError, match=message):
            np.asarray(find_grid(broken).latitude)
        return
    coarse = np.asarray(find_grid(broken).coarsened(2).latitude)
    whole = find_grid(stored).coarsened(2).latitude
    assert np.argwhere(np.isnan(coarse)).tolist() == [[2, 2]]
    known = stored.latitude.values[[0, 1, 1], [1, 0, 1]].mean()
    assert coarse[0, 0] == pytest.approx(known, abs=1e-3)
    coarse[0, 0], coarse[2, 2] = whole[0, 0], whole[2, 2]
    np.testing.assert_array_equal(coarse, whole)
    fine = np.asarray(find_grid(broken).refined(2).latitude)
    expected = find_grid(stored).refined(2).latitude
    holes = latitude.values > 90
    np.testing.assert_array_equal(np.isnan(fine), holes.repeat(2, 0).repeat(2, 1))
    off = np.abs(fine - expected)[~np.isnan(fine)] * 111195
    assert off.max() < 1  # m, of 1250, beside the holes
    assert (off == 0).mean() > 0.8
