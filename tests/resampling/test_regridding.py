import dask.array
import numpy as np
import pytest
import shapely
import xarray as xr
from grid_kinds import (
    KINDS,
    curvilinear,
    gaussian,
    healpix_field,
    points,
    projected,
    regular,
    smooth,
)

import flexclim
from flexclim.errors import FlexclimError, FlexclimWarning, GridError
from flexclim.grids.regridding.methods import METHODS

STATIONS = xr.Dataset(
    coords={
        "station": ["a", "b", "c"],
        "lat": ("station", np.array([70.0, 78.5, 85.0], "f4"), {"comment": "kept"}),
        "lon": ("station", [10.0, -150.0, 260.0]),
        "elevation": ("station", [1.0, 2.0, 3.0]),
    }
)
BOX = shapely.box(-30, 65, 30, 80)
TO = {
    "degrees": 15,
    "object": gaussian(8),
    "curvilinear": curvilinear(6, corners=True),
    "healpix": "healpix:2",
    "stations": STATIONS,
    "polygons": [BOX, shapely.box(100, 70, 200, 85)],
}


def refuse(*args, **kwargs):
    raise AssertionError("something was computed")


def with_times(obj, times=3):
    """Return a field with times, which differ, and a missing value in one of them."""
    field = obj.t if isinstance(obj, xr.Dataset) else obj
    time = np.arange(times).astype("M8[D]").astype("M8[ns]")
    noise = np.random.default_rng(0).normal(size=(times, *field.shape))
    values = field.expand_dims(time=time) + xr.DataArray(noise, dims=("time", *field.dims))
    values[(1, *(0,) * field.ndim)] = np.nan
    values.attrs = {"units": "K", "standard_name": "air_temperature", **field.attrs}
    return obj.assign(t=values) if isinstance(obj, xr.Dataset) else values.rename("t")


@pytest.mark.parametrize("to", TO)
@pytest.mark.parametrize("kind", KINDS)
def test_dask_gives_what_numpy_gives_and_nothing_is_computed(kind, to):
    obj = with_times(KINDS[kind](8))
    now = flexclim.regrid(obj, TO[to])
    field = obj.t if isinstance(obj, xr.Dataset) else obj
    field = field.copy(data=dask.array.from_array(field.values, chunks=2))
    lazy = obj.assign(t=field) if isinstance(obj, xr.Dataset) else field
    with dask.config.set(scheduler=refuse):
        later = flexclim.regrid(lazy, TO[to])
    values = later.t if isinstance(later, xr.Dataset) else later
    assert values.chunks is not None
    assert values.chunksizes["time"] == (2, 1)
    xr.testing.assert_identical(later.compute().drop_attrs(), now.drop_attrs())


@pytest.mark.parametrize("to", TO)
def test_coordinates_are_those_of_the_target(to):
    found = flexclim.regrid(with_times(regular(9)), TO[to])
    wanted = TO[to]
    if isinstance(wanted, (xr.Dataset, xr.DataArray)):
        for name, coordinate in wanted.coords.items():
            assert found[name].dtype == coordinate.dtype
            np.testing.assert_array_equal(found[name], coordinate)
            assert (
                coordinate.attrs.items() <= {**found[name].attrs, "bounds": f"{name}_bnds"}.items()
            )
    if to != "polygons":
        assert found.lat.attrs["standard_name"] == "latitude"
        assert found.lon.attrs["units"] == "degrees_east"
    assert found.dims[0] == "time"
    assert found.attrs["units"] == "K"
    assert "regrid(to=" in found.attrs["history"]
    assert found.attrs.get("cell_methods") == (None if to == "stations" else "area: mean")


def test_a_difference_needs_no_help():
    truth = gaussian(6, lambda lat, lon: 0 * lat * lon)
    difference = flexclim.regrid(regular(9), truth) - truth
    assert difference.shape == truth.shape


def test_conservative_means_of_blocks_are_those_of_coarsen():
    field = regular(12)
    coarse = flexclim.coarsen(field, 3)
    found = flexclim.regrid(field, coarse)
    np.testing.assert_allclose(found, coarse, rtol=1e-12)
    holes = field.where(field > 1.5)
    expected = flexclim.coarsen(holes, 3)
    found = flexclim.regrid(holes, expected, nan_threshold=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_interpolation_is_that_of_interpolate(method):
    field = regular(12)
    fine = flexclim.interpolate(field, 3, method)
    np.testing.assert_allclose(flexclim.regrid(field, fine, method), fine, atol=1e-6)
    wind = field.rename("u10")
    fine = flexclim.interpolate(wind, 3, method)
    np.testing.assert_allclose(flexclim.regrid(wind, fine, method), fine, atol=1e-6)


def test_stations_by_hand():
    field = regular(9)  # centres at 80, 60, ..., -80 and 10, 30, ..., 350
    station = xr.Dataset(coords={"lat": ("s", [65.0, -70]), "lon": ("s", [-5.0, 200])})
    cell = flexclim.regrid(field, station)
    expected = [field.sel(lat=60, lon=350), field.sel(lat=-80, lon=190)]
    # 200 is an edge between cells, -70 too.
    assert cell[0] == expected[0]
    bilinear = flexclim.regrid(field, station, "bilinear")
    corners = field.sel(lat=[80, 60], lon=[350, 10])
    by_hand = np.array([0.25, 0.75]) @ corners.values @ np.array([0.75, 0.25])
    np.testing.assert_allclose(bilinear[0], by_hand)


def test_a_coordinate_named_like_the_field_is_refused():
    """It would take the place of the result."""
    field = regular(9).rename("t2m")
    station = xr.Dataset(coords={"lat": ("s", [65.0, -70]), "lon": ("s", [-5.0, 200])})
    observed = station.assign_coords(t2m=("s", [11.0, 12.0]), height=("s", [5.0, 7.0]))
    with pytest.raises(GridError, match="coordinate 't2m' has the name of a field"):
        flexclim.regrid(field, observed)
    found = flexclim.regrid(field, observed.rename(t2m="observed"))
    assert found.observed.values.tolist() == [11, 12]
    series = field.expand_dims(time=np.array(["2001-01-01"], "M8[ns]"))
    dated = station.assign_coords(time=("s", [1, 2]))
    with pytest.raises(GridError, match="'time' has the name of a dimension"):
        flexclim.regrid(series, dated)
    levels = field.to_dataset().assign(height=("level", [1.0, 2.0]))
    with pytest.raises(GridError, match="'height' has the name of a variable"):
        flexclim.regrid(levels, observed.drop_vars("t2m"))
    assert "time" not in flexclim.regrid(field, station.assign_coords(time=0)).dims


def test_area_means_are_weighted_by_overlap():
    field = regular(9, lambda lat, lon: lat + 0 * lon)
    found = flexclim.regrid(field, shapely.box(0, 55, 33, 75)).item()
    sine = np.sin(np.deg2rad([55, 70, 75]))
    low, high = sine[1] - sine[0], sine[2] - sine[1]
    np.testing.assert_allclose(found, (60 * low + 80 * high) / (low + high))


def test_mode_of_categories():
    field = regular(6, lambda lat, lon: np.where(lat > 30, 7, np.where(lon > 180, 2, 1))).astype(
        "i2"
    )
    found = flexclim.regrid(field, 60, "mode")
    assert found.values.tolist() == [[7] * 6, [1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2]]
    assert found.attrs["cell_methods"] == "area: mode"


@pytest.mark.parametrize("method", ["conservative", "bilinear"])
def test_categories_are_not_averaged(method):
    field = regular(6, lambda lat, lon: np.where(lon > 100, 7, 1 + 0 * lat))
    field.attrs["flag_values"] = np.array([1, 7])
    with pytest.warns(FlexclimWarning, match="'t' holds flags or categories: the one with the la"):
        found = flexclim.regrid(field[:, 1:8], regular(9), method)
    assert set(np.unique(found.values[~np.isnan(found)])) == {1, 7}
    assert np.isnan(found).any()


def test_directions_are_averaged_on_the_circle():
    field = regular(6, lambda lat, lon: np.where(lon % 60 > 30, 350.0, 30 + 0 * lat))
    field.attrs = {"standard_name": "wind_from_direction", "units": "degree"}
    np.testing.assert_allclose(flexclim.regrid(field, 60), 10)


def test_declared_fill_values_are_missing():
    field = regular(6)
    field[0, 0] = -999.0
    field.attrs["missing_value"] = -999.0
    found = flexclim.regrid(field, 30, nan_threshold=0.0)
    assert np.isnan(found).sum() == 1


def test_datasets_keep_their_other_variables():
    ds = with_times(projected(8))
    ds["crs"].attrs["comment"] = "of the old grid"
    ds = ds.assign(index=("time", [1.0, 2.0, 3.0]), number=5)
    found = flexclim.regrid(ds, 5.0)
    assert set(found.data_vars) == {"t", "index", "number"}
    assert "crs" not in found.variables
    assert "grid_mapping" not in found.t.attrs
    assert found.lat.attrs["bounds"] in found.variables
    back = flexclim.regrid(found, ds.drop_vars("t"), "bilinear")
    assert back.t.attrs["grid_mapping"] == "crs"
    assert back.crs.attrs == ds.crs.attrs


def test_dimensions_stay_in_place():
    field = with_times(regular(6)).transpose("lon", "time", "lat")
    assert flexclim.regrid(field, 30).dims == ("lon", "time", "lat")
    assert flexclim.regrid(field, "healpix:1").dims == ("cell", "time")
    assert flexclim.regrid(with_times(healpix_field(1)), 30).dims == ("time", "lat", "lon")


@pytest.mark.parametrize("method", METHODS)
def test_accessors_and_weights_from_a_file(tmp_path, method):
    field = regular(9)
    expected = flexclim.regrid(field, 45, method)
    for _ in range(2):
        found = field.flex.regrid(45, method, weights=tmp_path / "w.nc")
        np.testing.assert_array_equal(found, expected)
        ds = field.to_dataset().flex.regrid(45, method=method, weights=str(tmp_path / "w.nc"))
        np.testing.assert_array_equal(ds.t, expected)


def test_inputs_are_not_changed():
    ds = with_times(projected(6))
    before = ds.copy(deep=True)
    flexclim.regrid(ds, STATIONS)
    xr.testing.assert_identical(ds, before)


def test_healpix_without_attributes():
    field = healpix_field(1).drop_vars("crs")
    nested = flexclim.regrid(field, 30, grid="healpix")
    np.testing.assert_allclose(nested, flexclim.regrid(healpix_field(1), 30))
    with pytest.raises(GridError, match="HEALPix"):
        flexclim.regrid(field, 30)


def test_points_on_missing_cells_are_named():
    field = regular(9)
    field[0] = np.nan
    stations = STATIONS.assign_coords(lat=("station", [60.0, 78.5, 85]))
    with pytest.warns(
        FlexclimWarning, match=r"2 of 3 points lie on missing cells of 't'.*at 78\.5"
    ):
        found = flexclim.regrid(field, stations)
    assert np.isnan(found.values).tolist() == [False, True, True]


def test_components_along_the_grid_are_noticed():
    ds = projected(6)
    ds.t.attrs["standard_name"] = "x_wind"
    with pytest.warns(FlexclimWarning, match="'t' is a component along the rows or columns"):
        flexclim.regrid(ds, 5.0)


@pytest.mark.parametrize(
    ("obj", "to", "options", "message"),
    [
        (regular(6), 30, {"method": "cubic"}, "method 'cubic' is not known. Pass one of conserv"),
        (regular(6), 30, {"nan_threshold": 2}, "nan_threshold 2 is no share"),
        (regular(6), 30, {"weight": 2}, "did you mean 'weights'"),
        (regular(6), xr.DataArray(1.0), {}, "to=<DataArray> has no grid"),
        (
            regular(6)[1:3, 1:3],
            STATIONS,
            {},
            "3 of 3 points lie outside the input, the first at 70",
        ),
        (regular(6)[4:, :3], BOX, {}, "1 of 1 regions lie outside the input, the first at 0"),
        (with_times(regular(6)), STATIONS.rename(station="time"), {}, "has a dimension 'time'"),
        (
            xr.merge(
                [with_times(regular(4)), points(50).rename("u", lat="latitude", lon="longitude")]
            ),
            30,
            {},
            "the dataset has several grids: 'u' lies along cell",
        ),
        (regular(6).to_dataset().drop_vars("t"), 30, {}, "no variable of the dataset has numbers"),
        (regular(6) / 0, 30, {}, "infinite or fill values"),
    ],
)
def test_errors_in_one_line(obj, to, options, message):
    with pytest.raises(FlexclimError, match=message) as error:
        flexclim.regrid(obj, to, **options)
    assert "\n" not in str(error.value)


def test_smooth_fields_come_through_two_grids():
    """From a rotated grid to HEALPix to Gaussian rows: within the spacing's error."""
    pixels = flexclim.regrid(curvilinear(24), "healpix:3", "conservative_2nd")
    found = flexclim.regrid(pixels, gaussian(12), "conservative_2nd")
    assert np.abs(found - smooth(found.lat, found.lon)).max() < 0.15
