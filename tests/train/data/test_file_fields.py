import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimError, GridError, RecipeError
from flexclim.planning.source import resolve
from flexclim.train.data.source_fields import open_fields
from flexclim.train.data.splits import select_times
from flexclim.train.recipes.source_settings import Derived, Reading


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


def test_a_name_that_is_taken_is_told(described):
    with pytest.raises(RecipeError, match="rename: u can't be called v, as another variable"):
        open_fields(Reading(path="a.nc", rename={"u": "v"}), str(described), ["v"])
    swapped = Reading(path="a.nc", rename={"u": "v", "v": "u"})
    assert open_fields(swapped, str(described), ["v"]).series


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


def list_of_cells(kind):
    """Return a Dataset of two fields along one dimension of cells, and what a recipe says."""
    random = np.random.default_rng(0)
    time = ("time", np.arange(4).astype("M8[h]").astype("M8[ns]"))
    if kind == "points":  # a slanted lattice, 3 degrees apart
        i, j = (part.ravel() for part in np.mgrid[:14, :14])
        coords = {"lat": ("cell", 40 + 3.0 * i), "lon": ("cell", 3.0 * j + 1.5 * (i % 2))}
    elif kind == "reduced Gaussian":
        rows = np.repeat([70.0, 25, -25, -70], [8, 16, 16, 8])
        east = np.concatenate([np.arange(n) * 360 / n for n in (8, 16, 16, 8)])
        coords = {"lat": ("cell", rows), "lon": ("cell", east)}
    else:
        coords = {}
    size = 192 if not coords else coords["lat"][1].size
    values = random.gamma(1.0, size=(2, 4, size)).astype("float32")
    fields = {name: (("time", "cell"), values[n]) for n, name in enumerate(("t2m", "tp"))}
    ds = xr.Dataset(fields, {"time": time, **coords})
    ds.t2m.attrs["units"], ds.tp.attrs["units"] = "K", "mm"
    ds.tp[1, 5] = np.nan
    if kind == "HEALPix":
        ds["crs"] = 0
        ds.crs.attrs |= {"grid_mapping_name": "healpix", "refinement_level": 2}
        ds.crs.attrs |= {"indexing_scheme": "ring"}
    return ds, ({"healpix": "ring"} if kind == "HEALPix unsaid" else {})


@pytest.mark.parametrize("kind", ["points", "reduced Gaussian", "HEALPix", "HEALPix unsaid"])
def test_cells_in_a_list_are_taken_to_rows_as_downscale_does(tmp_path, planes, caplog, kind):
    ds, said = list_of_cells(kind)
    ds.to_netcdf(tmp_path / "a.nc")
    with caplog.at_level("INFO", "flexclim"):
        fields = open_fields(Reading(path="a.nc", **said), str(tmp_path), ["t2m", "tp"])
    rows = resolve(ds, "healpix:ring" if said else None).dataset
    for name in ("t2m", "tp"):
        np.testing.assert_allclose(planes(fields, name), rows[name], rtol=1e-5)
        window = fields.series[name].read(2, slice(1, 3), slice(4, 9))
        np.testing.assert_allclose(window, rows[name][2, 1:3, 4:9], rtol=1e-5)
    np.testing.assert_array_equal(fields.template.lat, rows.lat)
    np.testing.assert_array_equal(fields.template.lon, rows.lon)
    assert f"a.nc: {rows.attrs['input_grid']}" in caplog.text
    assert fields.input_grid == rows.attrs["input_grid"]


def test_cells_in_a_list_are_limited_and_combined_before_they_are_averaged(tmp_path, planes):
    ds, _ = list_of_cells("HEALPix")
    ds = ds.rename(t2m="u", tp="v")
    ds.u.attrs["units"] = ds.v.attrs["units"] = "m s-1"
    ds.to_netcdf(tmp_path / "a.nc")
    speed = {"speed": Derived(wind_speed=("u", "v"))}
    reading = Reading(path="a.nc", largest=3.0, derive=speed)
    fields = open_fields(reading, str(tmp_path), ["u", "speed"])
    cut = ds.assign(u=ds.u.where(ds.u <= 3), v=ds.v.where(ds.v <= 3))
    cut["speed"] = np.hypot(cut.u, cut.v)
    cut["speed"] = cut.speed.where(cut.speed <= 3)
    cut.speed.attrs |= {"standard_name": "wind_speed", "units": "m s-1"}
    rows = resolve(cut).dataset
    for name in ("u", "speed"):
        np.testing.assert_allclose(planes(fields, name), rows[name], rtol=1e-5)


def test_files_of_other_cells_are_refused(tmp_path):
    ds, _ = list_of_cells("points")
    ds.to_netcdf(tmp_path / "a1.nc")
    later = ds.assign_coords(lon=ds.lon + 1, time=ds.time + np.timedelta64(1, "D"))
    later.to_netcdf(tmp_path / "a2.nc")
    with pytest.raises(RecipeError, match=r"'t2m' and 't2m' of a.*nc lie on different grids"):
        open_fields(Reading(path="a*.nc"), str(tmp_path), ["t2m"])
    ds, _ = list_of_cells("HEALPix unsaid")
    ds.to_netcdf(tmp_path / "b.nc")
    with pytest.raises(GridError, match="healpix: nested or ring in a recipe") as caught:
        open_fields(Reading(path="b.nc"), str(tmp_path), ["t2m"])
    assert "\n" not in str(caught.value)


def test_bounds_of_rows_are_those_of_the_file(tmp_path):
    """Uneven rows, whose edges don't lie halfway between centres."""
    edges = np.array([60.0, 52, 43, 36, 27, 20])
    lat = edges[:-1] - [3.9, 4.6, 3.4, 4.6, 3.4]
    ds = xr.Dataset(
        {"u": (("time", "lat", "lon"), np.zeros((2, 5, 6), "float32"))},
        {"lat": ("lat", lat, {"bounds": "lat_b"}), "lon": np.arange(6) * 8.0},
    )
    ds["lat_b"] = ("lat", "two"), np.stack([edges[:-1], edges[1:]], axis=1)
    ds.to_netcdf(tmp_path / "a.nc")
    fields = open_fields(Reading(path="a.nc"), str(tmp_path), ["u"])
    np.testing.assert_allclose(np.abs(fields.grid().y_bounds[:, 0]), edges[:-1])
