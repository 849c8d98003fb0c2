import numpy as np
import pytest
import xarray as xr
from grid_kinds import GLOBAL, gaussian, points, projected, regular

from flexclim.errors import GridError
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.targets import target_of


def test_degrees_over_the_globe_follow_the_input():
    north_first = target_of(30, cells_of(regular(9))).coordinates
    assert north_first["lat"].values.tolist() == [75, 45, 15, -15, -45, -75]
    assert north_first["lon"].values.tolist() == list(range(15, 360, 30))
    assert north_first["lat_bnds"].values[0].tolist() == [90, 60]
    other = regular(9, shift=-180.0)[::-1]
    south_first = target_of(30, cells_of(other)).coordinates
    assert south_first["lat"].values[0] == -75
    assert south_first["lon"].values.tolist() == list(range(-165, 180, 30))


def test_degrees_over_a_region_lie_at_multiples():
    region = regular(18, shift=-180.0)[3:6, 2:5]  # lat 60 to 30, lon -160 to -130
    found = target_of(2.5, cells_of(region)).coordinates
    assert found["lat"].values[[0, -1]].tolist() == [58.75, 31.25]
    assert found["lon"].values[[0, -1]].tolist() == [-158.75, -131.25]
    across = regular(18)[3:6].isel(lon=[34, 35, 0, 1])
    assert target_of(5, cells_of(across)).coordinates["lon"].values.tolist() == [
        *(342.5, 347.5, 352.5, 357.5, 362.5, 367.5, 372.5, 377.5),
    ]


@pytest.mark.parametrize("kind", GLOBAL)
def test_degrees_over_any_globe(kind):
    target = target_of(45, cells_of(GLOBAL[kind]()))
    assert target.shape == (4, 8)


def test_coordinates_of_objects_stay_as_they_are():
    ds = gaussian(6).to_dataset()
    ds = ds.assign_coords(lat=ds.lat.astype("f4")).assign(other=("time", [1.0]))
    ds["lat_bnds"] = ("lat", "bnds"), np.linspace(90, -90, 7)[[[n, n + 1] for n in range(6)]]
    ds["lat"].attrs = {"bounds": "lat_bnds", "comment": "kept"}
    target = target_of(ds, cells_of(regular(9)))
    assert set(target.coordinates) == {"lat", "lon", "lat_bnds"}
    for name, variable in target.coordinates.items():
        assert variable.identical(ds[name].variable.to_base_variable())


def test_grid_mappings_go_with_their_grid():
    target = target_of(projected(6), cells_of(regular(9)))
    assert target.grid_mapping == "crs"
    assert set(target.coordinates) == {"y", "x", "crs"}


def test_points_keep_what_lies_along_them():
    stations = xr.Dataset(
        {"lat": ("station", [1.0, 2]), "lon": ("station", [3.0, 4])},
        {"station": ["a", "b"], "elevation": ("station", [5.0, 6]), "run": 1},
    )
    target = target_of(stations, cells_of(regular(9)))
    assert target.kind == "points"
    assert set(target.coordinates) == {"lat", "lon", "station", "elevation"}
    assert target_of(points(50), cells_of(regular(9))).kind == "points"


def test_healpix_covers_the_input():
    assert target_of("healpix:1", cells_of(regular(9))).shape == (48,)
    region = target_of("healpix:4", cells_of(regular(18)[3:6, 2:5]))
    assert 20 < region.shape[0] < 200
    assert region.coordinates["crs"].attrs["refinement_level"] == 4


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("healpix", "to='healpix' is no target. Pass an object with a grid, a number of degrees"),
        ("healpix:x", "is no target"),
        (None, "to=None is no target"),
        (0, "to=0 is no spacing in degrees"),
        (7, "7 degrees do not divide the globe"),
        ("healpix:40", "level 40 is not one of 0 to 29"),
        (xr.Dataset({"t": ("time", [1.0])}), "to=<Dataset> has no grid"),
    ],
)
def test_what_is_no_target_is_an_error(to, message):
    with pytest.raises(GridError, match=message):
        target_of(to, cells_of(regular(9)))


def test_a_spacing_larger_than_the_input_is_an_error():
    with pytest.raises(GridError, match="cells of 60 degrees are larger than the input"):
        target_of(60, cells_of(regular(18)[3:5, 2:5]))
