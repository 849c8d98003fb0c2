import numpy as np
import pytest
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.resampling.target_grids import (
    check_covered,
    coarse_grid,
    method_between,
    template_of,
)


def rotated(rows=10, columns=13):
    """Cells of 0.1 degree, whose 2-D positions are linear in rows and columns."""
    y, x = 0.1 * np.arange(rows), 0.1 * np.arange(columns)
    places = {
        "rlat": ("rlat", y, {"standard_name": "grid_latitude", "units": "degrees"}),
        "rlon": ("rlon", x, {"standard_name": "grid_longitude", "units": "degrees"}),
        "lat": (("rlat", "rlon"), 45 + y[:, None] + 0.1 * x, {"units": "degrees_north"}),
        "lon": (("rlat", "rlon"), 7 + x - 0.1 * y[:, None], {"units": "degrees_east"}),
    }
    return xr.Dataset({"tas": (("rlat", "rlon"), np.zeros((rows, columns)))}, places)


def test_rows_and_columns_continue_to_whole_coarse_cells():
    lat, lon = 40.05 + 0.1 * np.arange(10), 5.05 + 0.1 * np.arange(16)
    fine = xr.Dataset({"pr": (("lat", "lon"), np.zeros((10, 16)))}, {"lat": lat, "lon": lon})
    coarse = coarse_grid(template_of(fine), 4)
    np.testing.assert_allclose(coarse.lat, [40.2, 40.6, 41.0])
    np.testing.assert_allclose(coarse.lon, [5.2, 5.6, 6.0, 6.4])


def test_two_dimensional_positions_continue_too():
    coarse = coarse_grid(template_of(rotated()), 4)
    assert dict(coarse.sizes) == {"rlat": 3, "rlon": 4}
    # Centres of 4 x 4 cells: 0.15 + 0.4 n along rows and columns.
    y, x = 0.15 + 0.4 * np.arange(3)[:, None], 0.15 + 0.4 * np.arange(4)
    np.testing.assert_allclose(coarse.lat, 45 + y + 0.1 * x, atol=1e-3)
    np.testing.assert_allclose(coarse.lon, 7 + x - 0.1 * y, atol=1e-3)


def test_positions_in_data_variables_and_bounds_do_not_matter():
    fine = rotated().reset_coords(["lat", "lon"])
    assert set(template_of(fine).coords) == {"rlat", "rlon", "lat", "lon"}


def test_the_method_suits_the_spacing():
    grids = {
        step: cells_of(
            xr.Dataset(coords={"lat": np.arange(40, 50, step), "lon": np.arange(0, 10, step)})
        )
        for step in (0.25, 2.0)
    }
    assert method_between(grids[2.0], grids[0.25]) == "bilinear"
    assert method_between(grids[0.25], grids[2.0]) == "conservative"


def test_cells_outside_are_an_error_of_one_line():
    inner, outer = (
        cells_of(xr.Dataset(coords={"lat": np.arange(40.5, n), "lon": np.arange(0.5, 9)}))
        for n in (45, 50)
    )
    check_covered(np.ones(4), outer, "q.nc", inner)
    with pytest.raises(GridError, match=r"q.nc span 40 to 45 north.*2 of 3.*40 to 50 n") as error:
        check_covered(np.array([0, 1, 0.2]), inner, "q.nc", outer)
    assert "\n" not in str(error.value)
