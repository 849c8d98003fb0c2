"""Times, lead times and members of the input decide on noise and members of the output."""

import cftime
import coarse_fields
import numpy as np
import pytest
import xarray as xr

from flexclim.downscaling import downscale

STEPS = np.array([0, 6], "timedelta64[h]")
START = np.datetime64("2018-09-14", "ns")


@pytest.fixture
def constant():
    """Return the same field twice, along the dimension ``step``."""
    one = coarse_fields.region().isel(time=0, drop=True)
    return one.expand_dims(step=2).copy()


@pytest.fixture
def run(toy_model):
    def run(obj, **options):
        usual = {"members": 1, "steps": 2, "precision": "float32", "device": "cpu"}
        return downscale(obj, 4, model=toy_model, **(usual | options))

    return run


def by_grib(field):
    """Return a forecast as readers of GRIB give it."""
    return field.assign_coords(step=STEPS, time=START, valid_time=("step", START + STEPS))


def alike(fine, dim):
    """Return the correlation of the first and second field along a dimension."""
    first, second = (fine.isel({dim: n}).values.ravel() for n in (0, 1))
    return np.corrcoef(first, second)[0, 1]


def test_noise_follows_the_valid_times_of_a_forecast(run, constant):
    forecast = by_grib(constant)
    frozen = run(forecast, noise="frozen")
    np.testing.assert_array_equal(frozen[:, 1], frozen[:, 0])
    slow = run(forecast, noise="ar1", noise_timescale="60h")
    series = constant.rename(step="time").assign_coords(time=START + STEPS)
    same = run(series, noise="ar1", noise_timescale="60h")
    np.testing.assert_array_equal(slow.values, same.values)
    assert alike(slow, "step") > alike(run(forecast), "step") + 0.05


@pytest.mark.parametrize("noise", ["independent", "frozen", "ar1"])
def test_a_selected_time_is_as_within_the_whole(run, constant, noise):
    options = {"noise": noise} | ({"noise_timescale": "6h"} if noise == "ar1" else {})
    series = constant.rename(step="valid_time").assign_coords(valid_time=START + STEPS)
    for field in (series, by_grib(constant)):
        last = {field.dims[0]: 1}
        whole, alone = run(field, **options), run(field.isel(last), **options)
        np.testing.assert_array_equal(alone.values, whole.isel(last).values)


def test_undecoded_times_have_noise_of_their_own(run, constant):
    numbers = constant.rename(step="time").assign_coords(time=[2018091400, 2018091401])
    fine = run(numbers)
    assert alike(fine, "time") < 1
    frozen = run(numbers, noise="frozen")
    np.testing.assert_array_equal(frozen[:, 1], frozen[:, 0])


@pytest.mark.parametrize("unit", ["s", "us"])
def test_spans_of_any_resolution_are_dimensions(run, constant, unit):
    spans = STEPS.astype(f"timedelta64[{unit}]")
    fine = run(constant.assign_coords(step=spans))
    nanoseconds = run(constant.assign_coords(step=spans.astype("timedelta64[ns]")))
    np.testing.assert_array_equal(fine.values, nanoseconds.values)
    assert alike(fine, "step") < 1


@pytest.mark.parametrize("noise", ["independent", "ar1"])
def test_other_calendars(run, constant, noise):
    dates = [cftime.Datetime360Day(2001, 2, day) for day in (29, 30)]
    options = {"noise": noise} | ({"noise_timescale": "10D"} if noise == "ar1" else {})
    field = constant.rename(step="time").assign_coords(time=dates)
    fine = run(field, **options)
    assert fine.time.values.tolist() == dates
    one = run(field.isel(time=1), **options)
    np.testing.assert_array_equal(one.values, fine.isel(time=1).values)


def test_an_ensemble_of_any_name_is_paired(run, constant):
    field = constant.rename(step="number").assign_coords(number=[7, 4])
    expected = run(field.rename(number="realization"), members=2)
    fine = run(field, members=None)
    assert fine.dims == ("realization", "lat", "lon")
    xr.testing.assert_equal(fine, expected)
    one = run(field.isel(number=[1]), members=None)
    np.testing.assert_array_equal(one.values, fine.values[1:])


def test_members_with_names_keep_names_and_noise(run, constant):
    names = ["r1i1p1f1", "r2i1p1f1"]
    field = constant.rename(step="member_id").assign_coords(member_id=names)
    fine = run(field, members=None)
    assert fine.member_id.values.tolist() == names
    assert fine.realization.values.tolist() == [0, 1]
    assert alike(fine, "realization") < 1
    last = run(field.isel(member_id=[1]), members=None)
    np.testing.assert_array_equal(last.values, fine.values[1:])


def test_a_member_alone_is_one_field_of_which_members_are_made(run, constant):
    field = constant.rename(step="number").assign_coords(number=[0, 1])
    fine, control, first = (run(one, members=2) for one in (field, field[0], field[1]))
    assert control.sizes["realization"] == first.sizes["realization"] == 2
    np.testing.assert_array_equal(first.values[1], fine.values[1])
    assert len({one.values.tobytes() for one in (*control, *first)}) == 3
