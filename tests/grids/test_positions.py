"""2-D latitudes and longitudes of projected grids."""

import numpy as np
import pytest
import xarray as xr
from grid_fields import plane_positions, projected

from flexclim.grids.discovery import find_grid


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
