"""Rows and columns: found by attributes and names, or missing."""

import numpy as np
import pytest
import xarray as xr
from grid_fields import CENTRES, field, projected

from flexclim.errors import GridError
from flexclim.grids.discovery import find_grid


@pytest.mark.parametrize(
    "names",
    [("lat", "lon"), ("latitude", "longitude"), ("Latitude", "Longitude"), ("nav_lat", "nav_lon")],
)
def test_plain_names_without_attributes(names):
    grid = find_grid(field(CENTRES, np.arange(0, 360, 30), names))
    assert (grid.y, grid.x, grid.geographic, grid.units) == (*names, True, "degrees")


def test_attributes_come_before_names():
    plain = field([10, 11, 12], [50, 51], ("rows", "columns"))
    with pytest.raises(
        GridError, match=r"no rows and no columns.*rows, columns|rows, columns.*no rows"
    ):
        find_grid(plain)
    plain["rows"].attrs["units"] = "degrees_north"
    plain["columns"].attrs["standard_name"] = "longitude"
    plain = plain.assign_coords(lat=("columns", [1.0, 1.5]))
    grid = find_grid(plain)
    assert (grid.y, grid.x, grid.geographic) == ("rows", "columns", True)


def test_coordinates_need_not_be_dimensions():
    plain = xr.DataArray(np.zeros((2, 3)), dims=("j", "i"))
    plain = plain.assign_coords(lat=("j", [5.0, 4.0]), lon=("i", [1.0, 2.0, 3.0]))
    grid = find_grid(plain)
    assert (grid.y, grid.x, grid.y_name, grid.x_name) == ("j", "i", "lat", "lon")


def test_missing_dimensions():
    full = field([1, 2, 3], [5, 6], name="t2m")
    with pytest.raises(GridError, match=r"'t2m' with dimensions \(lon\) has 'lon' but no"):
        find_grid(full.isel(lat=0))
    with pytest.raises(GridError, match=r"dimensions \(lat\) has 'lat' but no coordinate"):
        find_grid(full.isel(lon=0, drop=True))
    with pytest.raises(GridError, match=r"no rows and no columns"):
        find_grid(xr.DataArray(np.zeros(3), dims="time"))
    with pytest.raises(GridError, match="dimension 'y' of 'u' has no coordinate values"):
        find_grid(xr.DataArray(np.zeros((2, 2)), dims=("y", "x"), name="u"))
    with pytest.raises(GridError, match="has 'lat' but no coordinate that goes with it"):
        find_grid(full.drop_vars("lon"))


def test_lists_of_points():
    unstructured = xr.DataArray(np.zeros(4), dims="cell")
    unstructured = unstructured.assign_coords(
        lat=("cell", [1.0, 2, 3, 4]), lon=("cell", [1.0, 2, 3, 4])
    )
    with pytest.raises(GridError, match="share the dimension 'cell'"):
        find_grid(unstructured)


def test_several_grids():
    one = field([1, 2], [3, 4]).to_dataset(name="a")
    two = field([1, 2], [3, 4], ("latitude", "longitude")).to_dataset(name="b")
    with pytest.raises(GridError, match="several grids: 'lat', 'latitude' could all be meant"):
        find_grid(one.merge(two))


def test_units_that_differ_and_radians():
    with pytest.raises(GridError, match="'y' and 'x' have different units, 'km' and 'm'"):
        find_grid(projected(x_attrs={"units": "m"}, y_attrs={"units": "km"}))
    bad = field([0.1, 0.2], [0.3, 0.4])
    bad["lat"].attrs["units"] = "radian"
    with pytest.raises(GridError, match="'lat' is in radians"):
        find_grid(bad)


def test_projected_grids_with_positions_as_data_variables():
    ds = projected().to_dataset().reset_coords(["latitude", "longitude"])
    grid = find_grid(ds)
    assert (grid.latitude_name, grid.longitude_name) == ("latitude", "longitude")
