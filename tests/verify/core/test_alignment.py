import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, verify


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda f, t: (f.isel(realization=0, drop=True), t), FlexclimError, "no ensemble"),
        (lambda f, t: (f.isel(realization=[0]), t), FlexclimError, "at least 2"),
        (lambda f, t: (f, t.isel(time=[0, 1])), AlignmentError, "2020-01-03.*only in the forecast"),
        (lambda f, t: (f.assign_coords(lat=f.lat + 0.1), t), AlignmentError, "'lat' differs in 8"),
        (lambda f, t: (f, t.isel(lon=slice(0, 5))), AlignmentError, "'lon' has 10 .* but 5"),
        (lambda f, t: (f, t.mean("time")), AlignmentError, "dimensions"),
        (lambda f, t: (f, t.assign_attrs(units="K")), AlignmentError, "neither converts"),
        (lambda f, t: (f.isel(time=[]), t.isel(time=[])), FlexclimError, "'time' is empty"),
        (lambda f, t: (f.to_dataset(name="a"), t.to_dataset(name="b")), AlignmentError, "common"),
        (lambda f, t: (f, f), AlignmentError, "truth has an ensemble"),
    ],
)
def test_bad_input_is_named(ensemble, change, error, words):
    forecast, truth = ensemble
    with xr.set_options(keep_attrs=True):
        forecast, truth = change(forecast.assign_attrs(units="m s-1"), truth)
    with pytest.raises(error, match=words):
        verify.crps(forecast, truth)


def test_a_missing_coordinate_matches_nothing(ensemble):
    forecast, truth = ensemble
    lat = truth.lat.values.copy()
    lat[2] = np.nan
    with pytest.raises(AlignmentError, match="'lat' differs in 1 of 8"):
        verify.crps(forecast.assign_coords(lat=lat), truth)


def test_a_point_with_any_missing_value_does_not_count(ensemble):
    forecast, truth = ensemble
    holes = forecast.copy()
    holes[2, 0, 1, 1] = np.nan
    gaps = truth.copy()
    gaps[1, 3] = np.nan
    whole = holes.notnull().all("realization") & gaps.notnull()
    for score in (verify.crps, verify.rmse, verify.bias, verify.spread_skill):
        points = score(holes, gaps, dim=())
        assert (points.isnull() == ~whole).all()
    expected = verify.crps(forecast, truth, dim=()).where(whole).mean()
    np.testing.assert_allclose(verify.crps(holes, gaps, weights=None), expected, rtol=1e-12)


def test_weights_are_aligned_as_strictly(ensemble, area):
    forecast, truth = ensemble
    there = area.assign_coords(lat=truth.lat + 1e-9)
    for score in (verify.crps, verify.ssim):
        expected = score(forecast, truth, weights=area)
        np.testing.assert_allclose(score(forecast, truth, weights=there), expected, rtol=1e-12)
        with pytest.raises(AlignmentError, match="in the weights"):
            score(forecast, truth, weights=area.assign_coords(lat=truth.lat + 1))


def test_units_are_converted(ensemble):
    forecast, truth = ensemble
    other = (truth * 3.6).assign_attrs(units="km h-1")
    np.testing.assert_allclose(verify.crps(forecast, other), verify.crps(forecast, truth))
    same = truth.assign_attrs(units="m s**-1")
    assert float(verify.crps(forecast, same)) == float(verify.crps(forecast, truth))


@pytest.mark.parametrize(
    ("attributes", "offset"),
    [
        ({"standard_name": "air_temperature"}, 273.15),
        ({"long_name": "2 metre temperature"}, 273.15),
        ({}, 273.15),
        ({"standard_name": "air_temperature_anomaly"}, 0.0),
        ({"standard_name": "air_temperature", "units_metadata": "temperature: difference"}, 0.0),
        ({"standard_name": "air_temperature", "cell_methods": "time: standard_deviation"}, 0.0),
    ],
)
def test_differences_of_temperatures_have_no_offset(ensemble, attributes, offset):
    forecast, truth = (field.assign_attrs(attributes, units="K") for field in ensemble)
    celsius = (truth - offset).assign_attrs(attributes, units="degC")
    expected = float(verify.crps(forecast, truth))
    assert float(verify.crps(forecast, celsius)) == pytest.approx(expected, rel=1e-12)
    moved = (forecast - offset).assign_attrs(attributes, units="degC")
    assert float(verify.bias(moved, truth)) == pytest.approx(float(verify.bias(forecast, truth)))


def test_a_difference_is_no_temperature(ensemble):
    forecast, truth = ensemble
    absolute = forecast.assign_attrs(standard_name="air_temperature", units="K")
    anomaly = truth.assign_attrs(standard_name="air_temperature_anomaly", units="degC")
    with pytest.raises(AlignmentError, match="the truth alone holds differences"):
        verify.crps(absolute, anomaly)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"standard_name": "wind_from_direction", "units": "degree"},
            "'wind' is a direction, and 0 is next to 360",
        ),
        ({"flag_values": [0, 1, 2]}, "'wind' holds flags or categories, whose differences have no"),
    ],
)
def test_what_has_no_differences_is_not_scored(ensemble, attributes, message):
    forecast, truth = (field.drop_attrs() for field in ensemble)
    for pair in (
        (forecast.assign_attrs(attributes), truth),
        (forecast, truth.assign_attrs(attributes)),
    ):
        with pytest.raises(FlexclimError, match=message):
            verify.mae(*pair)
    mask = truth.assign_attrs(flag_values=[0, 1], flag_meanings="sea land")
    assert float(verify.mae(forecast, mask)) == float(verify.mae(forecast, truth))


def test_scores_of_temperatures_are_differences(ensemble):
    """An error of 2 degC is 2 K, a quantile of 2 degC is 275.15 K."""
    forecast, truth = (field.assign_attrs(units="degC") for field in ensemble)
    for score in (verify.crps, verify.rmse, verify.bias, verify.spread):
        attributes = score(forecast, truth).attrs
        assert attributes["units_metadata"] == "temperature: difference"
        assert attributes["units"] == "degC"
    assert "units_metadata" not in verify.quantiles(forecast, truth, levels=[0.5]).attrs
    assert "units_metadata" not in verify.crps(*ensemble).attrs
    assert "units_metadata" not in verify.spread_skill(forecast, truth).attrs


def test_a_mass_of_precipitation_is_a_depth():
    flux = xr.DataArray([1 / 86400, 2 / 86400], dims=["x"], name="pr")
    depth = xr.DataArray([1.0, 2.0], dims=["x"], name="pr", attrs={"units": "mm d-1"})
    found = verify.mae(depth, flux.assign_attrs(units="kg m-2 s-1"))
    assert float(found) == pytest.approx(0, abs=1e-6)
    with pytest.raises(AlignmentError, match="neither converts"):
        verify.mae(depth.rename("t"), flux.rename("t").assign_attrs(units="kg m-2 s-1"))
