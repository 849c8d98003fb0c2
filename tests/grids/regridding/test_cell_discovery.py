import numpy as np
import pytest
import xarray as xr
from grid_kinds import GLOBAL, KINDS, curvilinear, gaussian, projected, reduced_gaussian, triangles

from flexclim.errors import GridError
from flexclim.grids.regridding.cell_discovery import cells_of

FOUND = {
    "regular": "rows and columns",
    "gaussian": "rows and columns",
    "curvilinear": "curvilinear",
    "cornered": "curvilinear",
    "nested": "HEALPix level 3, nested",
    "ring": "HEALPix level 3, ring",
    "reduced": "reduced Gaussian",
    "points": "points",
    "triangles": "unstructured cells",
    "projected": "rotated or projected rows and columns",
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_found(kind):
    assert cells_of(KINDS[kind]()).kind == FOUND[kind]


@pytest.mark.parametrize("kind", GLOBAL)
def test_cells_of_a_global_grid_fill_the_sphere(kind):
    areas = cells_of(GLOBAL[kind]()).areas
    tolerance = 1e-3 if kind == "curvilinear" else 1e-9  # holes where its poles are
    np.testing.assert_allclose(areas.sum(), 4 * np.pi, rtol=tolerance)
    assert areas.min() > 0


def test_fingerprints_tell_cells_apart():
    marks = [[cells_of(make()).fingerprint for make in KINDS.values()] for _ in range(2)]
    assert marks[0] == marks[1]
    assert len(set(marks[0])) == len(KINDS)


def test_bounds_of_the_file_are_used_and_closed_at_the_poles():
    field = gaussian(8)
    edges = np.array([89.0, 60, 40, 20, 0, -20, -40, -60, -89])
    ds = field.to_dataset()
    ds["lat_bnds"] = ("lat", "bnds"), np.stack([edges[:-1], edges[1:]], axis=1)
    ds["lat"].attrs["bounds"] = "lat_bnds"
    rows = cells_of(ds).rows
    assert rows[0].tolist() == [90, 60]
    assert rows[3].tolist() == [20, 0]
    assert cells_of(ds, bounds=False).rows[3].tolist() != [20, 0]


def test_rows_and_columns_with_2d_positions_are_rows_and_columns():
    lat, lon = np.meshgrid([10.0, 20, 35], [0.0, 5, 10, 20], indexing="ij")
    coords = {"lat": (("y", "x"), lat), "lon": (("y", "x"), lon)}
    cells = cells_of(xr.DataArray(np.zeros((3, 4)), coords, ("y", "x")))
    assert cells.rows.tolist() == [[5, 15], [15, 27.5], [27.5, 42.5]]


def test_a_grid_mapping_that_contradicts_positions_is_not_used():
    ds = projected(6)
    lat, lon = np.meshgrid(np.linspace(40, 50, 6), np.linspace(0, 12, 6) ** 1.1, indexing="ij")
    ds = ds.assign_coords(lat=(("y", "x"), lat + 0.1 * lon), lon=(("y", "x"), lon))
    assert cells_of(ds).kind == "curvilinear"


def test_rotated_cells_follow_their_grid_mapping():
    """The same cells from the mapping as from the rotated corners."""
    y, x = np.arange(-4.0, 5, 2), np.arange(-5.0, 6, 2)
    mapping = {
        "grid_mapping_name": "rotated_latitude_longitude",
        "grid_north_pole_latitude": 40.0,
        "grid_north_pole_longitude": -160.0,
    }
    ds = xr.Dataset(
        {"t": (("rlat", "rlon"), np.zeros((5, 6)), {"grid_mapping": "rotated_pole"})},
        {
            "rlat": ("rlat", y, {"standard_name": "grid_latitude", "units": "degrees"}),
            "rlon": ("rlon", x, {"standard_name": "grid_longitude", "units": "degrees"}),
            "rotated_pole": ((), 0, mapping),
        },
    )
    cells = cells_of(ds)
    areas = np.abs(np.diff(np.sin(np.deg2rad([y - 1, y + 1])), axis=0)) * np.deg2rad(2)
    np.testing.assert_allclose(cells.areas.reshape(5, 6), np.tile(areas.T, 6), rtol=2e-4)
    assert abs(cells.latitude.reshape(5, 6)[2].mean() - 50) < 0.2


def test_positions_that_do_not_move_may_have_a_time():
    ds = curvilinear(6)
    moving = ds.assign_coords(
        lat=ds.lat.expand_dims(time=2), lon=ds.lon.expand_dims(time=2)
    ).assign(t=ds.t.expand_dims(time=2))
    assert cells_of(moving).shape == (6, 12)
    moving["lat"] = moving.lat + xr.DataArray([0.0, 1.0], dims="time")
    with pytest.raises(GridError, match="'lat' changes along 'time': the grid moves"):
        cells_of(moving.set_coords("lat"))


def test_radians_of_icon_are_degrees():
    cells = cells_of(triangles(100))
    assert np.abs(cells.latitude).max() > 60


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (xr.DataArray(np.zeros((2, 3)), dims=("a", "b")), "has no rows and no columns"),
        (
            xr.DataArray(np.zeros((2, 2)), {"lat": [0.0, 95], "lon": [0.0, 1]}, ("lat", "lon")),
            "beyond the poles",
        ),
        (
            xr.DataArray(np.zeros((3, 2)), {"lat": [0.0, 9, 4], "lon": [0.0, 1]}, ("lat", "lon")),
            "'lat' is not sorted",
        ),
        (
            reduced_gaussian(8).assign_coords(latitude=("values", [np.nan] * 88)),
            "88 of 88 cells have no position",
        ),
        (
            xr.merge([curvilinear(4), curvilinear(4).rename(t="u", lat="nav_lat", lon="nav_lon")]),
            "has several grids",
        ),
    ],
    ids=["none", "poles", "unsorted", "positions", "several"],
)
def test_what_is_no_grid_is_an_error(obj, message):
    with pytest.raises(GridError, match=message):
        cells_of(obj)
