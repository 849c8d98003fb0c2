import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimError, GridError, RecipeError
from flexclim.train.data.source_fields import open_fields
from flexclim.train.data.splits import select_times
from flexclim.train.recipes.source_settings import Reading


@pytest.fixture
def described(tmp_path, dataset):
    """Return a folder with a file whose variables come with bounds, cell measures and flags."""
    ds = dataset()
    flags = {"flag_values": [0, 1], "flag_meanings": "good bad"}
    ds["lat_bnds"] = (("latitude", "bnds"), np.zeros((6, 2)))
    ds["lat_vertices"] = (("latitude", "longitude", "vertices"), np.zeros((6, 8, 4)))
    ds["area"] = (("latitude", "longitude"), np.ones((6, 8)))
    ds["quality"] = (ds.u.dims, np.zeros(ds.u.shape, "i1"), flags)
    ds["note"] = (ds.u.dims, np.full(ds.u.shape, "a"))
    ds.latitude.attrs["bounds"] = "lat_bnds"
    ds.u.attrs |= {"cell_measures": "area: area", "ancillary_variables": "quality"}
    ds.to_netcdf(tmp_path / "a.nc")
    return tmp_path


@pytest.mark.parametrize("name", ["lat_bnds", "lat_vertices", "area", "quality", "latitude"])
def test_variables_that_describe_others_are_no_fields(described, name):
    with pytest.raises(RecipeError, match=f"'{name}' in a.nc describes other variables") as caught:
        open_fields(Reading(path="a.nc"), str(described), [name])
    assert "lat_" not in str(caught.value).partition(";")[2]
    assert "\n" not in str(caught.value)


def test_other_types_than_numbers_are_named(described):
    with pytest.raises(RecipeError, match=r"'note' in a.nc holds .*, not numbers"):
        open_fields(Reading(path="a.nc"), str(described), ["note"])
    with pytest.raises(RecipeError, match="no variable 'lat_bnd'; it has u, v, note") as caught:
        open_fields(Reading(path="a.nc"), str(described), ["lat_bnd"])
    assert "lat_bnds" not in str(caught.value)


def test_packed_values_are_refused(tmp_path, dataset):
    ds = dataset()
    ds["u"] = (ds.u.dims, np.zeros(ds.u.shape, "i2"), {"scale_factor": 0.1})
    opened = {"a": ds}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flexclim.train.data.source_fields.open_datasets", lambda *_: opened)
        with pytest.raises(FlexclimError, match="'u' holds packed values"):
            open_fields(Reading(path="a.nc"), str(tmp_path), ["u"])


def test_a_level_is_selected_in_the_type_of_the_file(tmp_path, dataset, planes):
    ds = dataset().expand_dims(depth=np.array([0.1, 0.3], "float32"), axis=1)
    ds = ds * xr.DataArray([1.0, 10.0], dims="depth")
    ds.to_netcdf(tmp_path / "a.nc")
    fields = open_fields(Reading(path="a.nc", select={"depth": 0.3}), str(tmp_path), ["u"])
    np.testing.assert_allclose(planes(fields, "u"), ds.u.isel(depth=1), rtol=1e-6)
    with pytest.raises(RecipeError, match=r"no single depth 0.2 to select; it has 0.1, 0.3"):
        open_fields(Reading(path="a.nc", select={"depth": 0.2}), str(tmp_path), ["u"])


@pytest.mark.parametrize("moves", [False, True])
def test_positions_may_be_data_variables_at_every_time(tmp_path, dataset, planes, moves):
    ds = dataset()
    latitude, longitude = np.meshgrid(50.0 - np.arange(6), 5.0 + np.arange(8), indexing="ij")
    shift = np.arange(4) * (0.5 if moves else 0.0)
    u = xr.DataArray(ds.u.values, dims=("time", "south_north", "west_east"))
    positions = {
        name: (u.dims, values + shift[:, None, None])
        for name, values in (("XLAT", latitude), ("XLONG", longitude))
    }
    xr.Dataset({"u": u, **positions}, {"time": ds.time}).to_netcdf(tmp_path / "a.nc")
    if moves:
        with pytest.raises(GridError, match="the grid moves"):
            open_fields(Reading(path="a.nc"), str(tmp_path), ["u"])
        return
    fields = open_fields(Reading(path="a.nc"), str(tmp_path), ["u"])
    np.testing.assert_array_equal(planes(fields, "u"), ds.u)
    np.testing.assert_array_equal(fields.grid().latitude, latitude)


def test_times_that_no_calendar_knows_are_counted(tmp_path, dataset):
    months = ("time", np.arange(4.0), {"units": "months since 2000-01-01"})
    dataset().assign_coords(time=months).to_netcdf(tmp_path / "a.nc")
    times = open_fields(Reading(path="a.nc"), str(tmp_path), ["u"]).times
    assert times.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert select_times(times, np.ones(4, bool), ("1", "2"), "x").tolist() == [1, 2]
