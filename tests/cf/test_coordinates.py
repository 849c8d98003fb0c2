import numpy as np
from grid_fields import POLES, field, projected

from flexclim.cf.coordinates import grid_coordinates
from flexclim.grids.discovery import find_grid


def test_bounds_touch_and_end_at_the_poles():
    plain = field(POLES, np.arange(0, 360, 30))
    coordinates = grid_coordinates(find_grid(plain).refined(2), plain)
    edges = coordinates["lat_bnds"].values
    assert edges[0, 0] == 90
    assert edges[-1, 1] == -90
    np.testing.assert_array_equal(edges[:-1, 1], edges[1:, 0])
    assert coordinates["lat_bnds"].attrs == {}
    assert coordinates["lat"].attrs == {
        "standard_name": "latitude",
        "long_name": "latitude",
        "units": "degrees_north",
        "axis": "Y",
        "bounds": "lat_bnds",
    }


def test_attributes_are_carried_but_for_stale_ones():
    plain = field([1, 2], [5, 6])
    plain["lat"].attrs = {
        "long_name": "north",
        "units": "degrees_N",
        "valid_min": 1.0,
        "actual_range": [1.0, 2.0],
        "bounds": "edges",
    }
    coordinates = grid_coordinates(find_grid(plain).refined(2), plain)
    assert coordinates["lat"].attrs == {
        "standard_name": "latitude",
        "long_name": "north",
        "units": "degrees_north",
        "axis": "Y",
        "bounds": "edges",
    }
    assert "edges" in coordinates


def test_units_of_unknown_projections_are_not_invented():
    plain = projected().drop_vars(["latitude", "longitude"])
    coordinates = grid_coordinates(find_grid(plain).refined(2), plain)
    assert coordinates["y"].attrs == {"long_name": "y coordinate", "bounds": "y_bnds"}
    known = projected(x_attrs={"units": "km"}, y_attrs={"units": "km"})
    coordinates = grid_coordinates(find_grid(known).refined(2), known)
    assert coordinates["x"].attrs["standard_name"] == "projection_x_coordinate"
    assert coordinates["x"].attrs["units"] == "km"
    assert coordinates["latitude"].attrs["units"] == "degrees_north"
    assert "axis" not in coordinates["latitude"].attrs
