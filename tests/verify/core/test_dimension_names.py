import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, verify
from flexclim.cf.ensembles import MEMBER_NAMES
from flexclim.verify.core.dimension_names import member_dimension


@pytest.fixture
def expected(ensemble):
    return float(verify.crps(*ensemble))


@pytest.mark.parametrize("name", MEMBER_NAMES)
def test_members_are_found_by_name(ensemble, expected, name):
    forecast, truth = ensemble
    assert float(verify.crps(forecast.rename(realization=name), truth)) == expected
    assert float(verify.crps(forecast.rename(realization=name.upper()), truth)) == expected


def test_members_are_found_by_standard_name(ensemble, expected):
    forecast, truth = ensemble
    renamed = forecast.rename(realization="M")
    renamed.M.attrs["standard_name"] = "realization"
    assert float(verify.crps(renamed, truth)) == expected
    beside = forecast.drop_vars("realization").rename(realization="i")
    beside = beside.assign_coords(run=("i", list("abcdef"), {"standard_name": "realization"}))
    assert member_dimension(beside) == "i"
    assert float(verify.crps(beside, truth.expand_dims(member_id=1))) == expected


@pytest.mark.parametrize(
    "names",
    [
        {"lat": "latitude", "lon": "longitude"},
        {"time": "valid_time"},
        {"time": "t", "lat": "nav_lat", "lon": "nav_lon"},
    ],
)
def test_other_names_of_dimensions(ensemble, expected, names):
    forecast, truth = ensemble
    renamed = forecast.rename(names)
    assert float(verify.crps(renamed, truth)) == expected
    score = verify.crps(forecast, truth.rename(names), dim=())
    assert score.dims == tuple(names.get(name, name) for name in truth.dims)
    assert float(verify.rmse(forecast, truth.rename(names))) == float(verify.rmse(forecast, truth))
    weights = xr.DataArray(np.arange(8.0), {"lat": truth.lat.values}, ["lat"])
    expected = verify.crps(forecast, truth, weights=weights)
    assert float(verify.crps(forecast, truth.rename(names), weights=weights)) == float(expected)


def test_valid_times_along_steps(ensemble, expected):
    forecast, truth = ensemble
    steps = forecast.rename(time="step").assign_coords(
        step=np.arange(3) * np.timedelta64(24, "h"),
        valid_time=("step", truth.time.values, {"standard_name": "time"}),
        time=np.datetime64("2019-12-31", "ns"),
    )
    assert float(verify.crps(steps, truth)) == expected
    assert float(verify.mae(truth, steps.isel(realization=0))) == float(
        verify.mae(truth, forecast.isel(realization=0))
    )
    with pytest.raises(AlignmentError, match="differs in 3 of 3"):
        verify.crps(
            steps.assign_coords(valid_time=steps.valid_time + np.timedelta64(1, "D")), truth
        )


def test_a_label_of_rows_makes_no_members(ensemble, expected):
    forecast, truth = ensemble
    labelled = forecast.assign_coords(band=("lat", np.arange(8), {"standard_name": "realization"}))
    assert float(verify.crps(labelled, truth)) == expected


def test_equal_steps_from_other_starts_are_other_times(ensemble, expected):
    forecast, truth = (
        one.rename(time="step").assign_coords(
            step=np.arange(3) * np.timedelta64(24, "h"), valid_time=("step", one.time.values)
        )
        for one in ensemble
    )
    assert float(verify.crps(forecast.isel(step=[2, 0, 1]), truth)) == expected
    later = forecast.assign_coords(valid_time=forecast.valid_time + np.timedelta64(1, "D"))
    with pytest.raises(AlignmentError, match="'valid_time' differs in 3 of 3"):
        verify.crps(later, truth)
    assert float(verify.crps(later.drop_vars("valid_time"), truth)) == expected


def test_stations_are_compared_by_place():
    place = {"lat": ("station", [1.0, 2.0, 3.0]), "lon": ("station", [5.0, 5.0, 6.0])}
    truth = xr.DataArray([1.0, 2.0, 3.0], place, ["station"])
    assert float(verify.mae(truth, truth)) == 0
    assert float(verify.mae(truth[[2, 0, 1]], truth)) == 0
    with pytest.raises(AlignmentError, match="'lon' differs in 1 of 3"):
        verify.mae(truth.assign_coords(lon=("station", [5.0, 5.0, 7.0])), truth)


def test_dimensions_of_no_common_meaning_are_an_error(ensemble):
    forecast, truth = ensemble
    with pytest.raises(AlignmentError, match=r"'south', 'lon'.*'lat', 'lon'"):
        verify.crps(forecast.drop_vars("lat").rename(lat="south"), truth)
