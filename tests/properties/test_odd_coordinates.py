"""Coordinates of odd types in single cases: the right answer, or one line that says why not."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim import FlexclimError, downscale, downscale_to_zarr, forecast, regrid, verify
from flexclim.models.channels import Target
from flexclim.resampling import coarsen, interpolate

OPTIONS = {"members": 1, "steps": 1, "batch": 1}
TARGET = xr.Dataset(coords={"lat": [52.5, 51.5], "lon": [6.5, 8.5]})
CHANGES = (lambda f: coarsen(f, 2), lambda f: interpolate(f, 2), lambda f: regrid(f, TARGET))


@pytest.fixture
def field():
    values = 280 + np.random.default_rng(0).normal(size=(2, 4, 6))
    times = pd.date_range("2018-09-14", periods=2, freq="6h")
    coords = {"time": times, "lat": [53.0, 52, 51, 50], "lon": np.arange(5.0, 11)}
    return xr.DataArray(values, coords=coords, dims=("time", "lat", "lon"), name="t")


@pytest.mark.parametrize(
    "members",
    [
        ["r1i1p1f1", "r2i1p1f1"],
        [0.5, 1.5],
        [np.nan, 1.0],
        np.array(["a", 1], object),
        [-1, 2**40],
        np.array(["2000", "2001"], "M8[ns]"),
    ],
)
def test_members_without_small_numbers_keep_their_names(field, members):
    ensemble = field.expand_dims(realization=2).assign_coords(realization=members)
    for change in CHANGES:
        changed = change(ensemble)
        np.testing.assert_array_equal(changed.realization.values, ensemble.realization.values)
        np.testing.assert_array_equal(changed.isel(realization=1), change(field))


def test_dimensions_of_the_same_name_are_refused(field):
    with pytest.warns(UserWarning, match="[Dd]uplicate"):
        twice = xr.DataArray(
            np.zeros((3, 3, 4, 6)), coords={"lat": field.lat, "lon": field.lon},
            dims=("a", "a", "lat", "lon"), name="t",
        )  # fmt: skip
    for change in CHANGES:
        with pytest.raises(FlexclimError, match=r"dimensions .a, a, lat, lon."):
            change(twice)


@pytest.mark.parametrize("dim", ["lat", "lon"])
def test_regrid_refuses_no_rows(field, dim):
    for method in ("conservative", "bilinear"):
        with pytest.raises(FlexclimError, match=f"{dim}' has size 0"):
            regrid(field.isel({dim: slice(0, 0)}), TARGET, method)


def test_times_in_a_time_zone_are_refused(field, toy_model):
    local = field.assign_coords(time=field.indexes["time"].tz_localize("UTC"))
    with pytest.raises(FlexclimError, match=r"'time' are in the time zone UTC.*tz_convert\(None\)"):
        downscale(local, 2, model=toy_model, **OPTIONS)
    np.testing.assert_array_equal(coarsen(local, 2), coarsen(field, 2))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.expand_dims(level=[1, 2]).stack(s=("time", "level")), "'s' has a MultiIndex"),
        (
            lambda f: f.assign_coords(time=pd.period_range("2018", periods=2, freq="D")),
            "'time' .peri",
        ),
        (lambda f: f.assign_coords(z=("time", np.array([1, 2], "g"))), "'z' .(float|longdouble)"),
        (
            lambda f: f.assign_coords(z=("time", pd.IntervalIndex.from_breaks([0, 1, 2]))),
            "'z' .interval",
        ),
    ],
)
def test_coordinates_that_a_store_can_not_hold_are_named(field, toy_model, tmp_path, change, said):
    if np.finfo("g").bits <= 64 and "float" in said:
        pytest.skip("no long doubles here")
    with pytest.raises(FlexclimError, match=said) as error:
        downscale_to_zarr(change(field), tmp_path / "a.zarr", 2, model=toy_model, **OPTIONS)
    assert "\n" not in str(error.value)


def test_attributes_of_undecoded_times_do_not_stop_a_store(field, toy_model, tmp_path):
    odd = field.copy()
    odd.time.attrs = {"units": "hours since 1900-01-01", "calendar": "standard"}
    stored = downscale_to_zarr(odd, tmp_path / "a.zarr", 2, model=toy_model, **OPTIONS)
    np.testing.assert_array_equal(stored.time, field.time)


def test_coordinates_of_long_doubles_are_stored(field, toy_model, tmp_path):
    odd = field.assign_coords(lat=field.lat.astype("g"), lon=field.lon.astype("g"))
    stored = downscale_to_zarr(odd, tmp_path / "a.zarr", 2, model=toy_model, **OPTIONS)
    right = downscale(field, 2, model=toy_model, **OPTIONS)
    np.testing.assert_array_equal(stored["t"].lat, right.lat)
    np.testing.assert_array_equal(stored["t"], right)


def test_a_past_along_stacked_times_is_refused(field, make_forecaster):
    model = make_forecaster((Target(name="t"),), past=2, leads=(6.0,), steps=1)
    stacked = field.expand_dims(level=[1]).stack(s=("time", "level"))
    with pytest.raises(FlexclimError, match=r"stacked along 's'.*unstack"):
        forecast(stacked, 1, model=model, **OPTIONS)


def test_a_field_named_like_bounds_keeps_its_values(field, toy_model, tmp_path):
    odd, right = field.rename("lat_bnds"), coarsen(field, 2)
    np.testing.assert_array_equal(coarsen(odd, 2), right)
    made = coarsen(odd.to_dataset(), 2)
    assert made.lat.attrs["bounds"] == "lat_bounds"
    assert made["lat_bounds"].shape == (2, 2)
    fine = downscale(odd, 2, model=toy_model, **OPTIONS)
    stored = downscale_to_zarr(odd, tmp_path / "a.zarr", 2, model=toy_model, **OPTIONS)
    np.testing.assert_array_equal(stored["lat_bnds"], fine)


@pytest.mark.parametrize("dim", ["lat", "lon"])
def test_no_rows_beside_2_d_positions_are_refused(field, dim):
    positions = dict(zip(("nav_lat", "nav_lon"), xr.broadcast(field.lat, field.lon), strict=True))
    odd = field.assign_coords(
        {name: (("lat", "lon"), one.values) for name, one in positions.items()}
    )
    for change in CHANGES:
        with pytest.raises(FlexclimError, match=f"'{dim}' has (size 0|0 value)"):
            change(odd.isel({dim: slice(0, 0)}))


def test_a_scalar_that_is_called_like_a_dimension_is_refused(field):
    odd = field.drop_vars("time").assign_coords(time=0)
    for change in CHANGES:
        with pytest.raises(FlexclimError, match="'time' is a dimension and a scalar coordinate"):
            change(odd)


@pytest.mark.parametrize("where", ["t", "lat", "time"])
@pytest.mark.parametrize("key", ["units", "standard_name", "long_name", "axis", "bounds"])
def test_scores_take_attributes_of_wrong_types(field, where, key):
    for value in (None, ["a", 1], np.array([1, 2]), np.nan):
        odd = field.to_dataset()
        odd[where].attrs[key] = value
        scores = (verify.rmse(field + 1, odd["t"]), verify.rmse(odd + 1, odd)["t"])
        for score in scores:
            np.testing.assert_allclose(score, 1)
        np.testing.assert_array_equal(verify.spectrum(odd["t"]), verify.spectrum(field))


@pytest.fixture
def curved(field):
    """Return the field with 2-D positions alone."""
    lat, lon = xr.broadcast(field.lat, field.lon)
    plain = field.drop_vars(["lat", "lon"]).rename(lat="y", lon="x")
    turned = (lat + 0.02 * (lon - 5)).values, (lon + 0.01 * (lat - 50)).values
    return plain.assign_coords(lat=(("y", "x"), turned[0]), lon=(("y", "x"), turned[1]))


@pytest.mark.parametrize("dtype", [object, str, complex, "m8[ns]", bool])
def test_positions_that_are_no_numbers_are_refused(curved, dtype):
    odd = curved.assign_coords(lat=curved.lat.astype(dtype))
    for change in CHANGES[:2]:
        with pytest.raises(FlexclimError, match="'lat' holds values of type"):
            change(odd)


def test_positions_without_values_are_refused(curved):
    for change in CHANGES:
        with pytest.raises(FlexclimError, match=r"no cell has|no two neighbours|values"):
            change(curved.assign_coords(lon=curved.lon * np.nan))


def test_a_forecast_beside_lazy_positions_is_computed(curved, make_forecaster):
    model = make_forecaster((Target(name="t"),), past=2, leads=(6.0,), steps=1)
    ahead = forecast(curved.chunk(y=2), 1, model=model, **OPTIONS)
    right = forecast(curved, 1, model=model, **OPTIONS)
    np.testing.assert_allclose(ahead.compute(), right, atol=1e-4)
    both = ahead.to_dataset().assign(other=curved.isel(time=0, drop=True).chunk())
    np.testing.assert_array_equal(both.compute()["t"], ahead)


def test_truths_of_a_vector_are_averaged_as_fractions():
    rows = {"lat": [67.5, 22.5, -22.5, -67.5], "lon": np.arange(22.5, 360, 45)}
    values = np.random.default_rng(0).random((4, 8)) > 0.5
    truths = xr.DataArray(values, rows, ("lat", "lon"), "t", {"standard_name": "eastward_wind"})
    for change in CHANGES[:2]:
        np.testing.assert_array_equal(change(truths), change(truths.astype("f4")))
