import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim import FlexclimError
from flexclim.verify.climate.yearly_series import (
    daily,
    each_variable,
    season_years,
    seasons_of,
    time_series,
)


def test_dates_are_sorted_and_named_whatever_a_file_calls_them(daily_field):
    field = daily_field(members=2)
    other = field.isel(time=slice(None, None, -1)).rename(time="valid_time", member="number")
    found = time_series(other.chunk(valid_time=100))
    assert found.dims == ("realization", "time", "lat", "lon")
    assert found.chunks is not None
    np.testing.assert_array_equal(found, field)
    assert time_series(field).identical(field.rename(member="realization").drop_vars("realization"))


def test_lead_times_of_a_forecast_are_a_series(daily_field):
    field = daily_field(1, members=2).rename(time="step", member="number")
    dates = field.step.values
    forecast = field.assign_coords(
        step=dates - dates[0], time=dates[0], valid_time=("step", dates), realization=7
    )
    found = time_series(forecast)
    assert found.dims == ("realization", "time", "lat", "lon")
    np.testing.assert_array_equal(found.time, dates)


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "standard"])
def test_seasons_and_their_years(days, calendar):
    times = xr.DataArray(days(calendar=calendar), dims=["time"])
    seasons, years = seasons_of(times), season_years(times)
    winter = {"360_day": 180, "noleap": 180, "standard": 180}[calendar]
    assert (seasons == 0).sum() == winter
    december = times.dt.month.values == 12
    assert (years[december] == times.dt.year.values[december] + 1).all()
    assert (years[~december] == times.dt.year.values[~december]).all()


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "standard"])
def test_missing_days_are_filled_with_nan(daily_field, calendar):
    field = daily_field(1, 2004, calendar)
    gaps = field.isel(time=[*range(30), *range(32, 300)])
    found = daily(time_series(gaps))
    assert found.sizes["time"] == field.sizes["time"]
    known = np.ones(field.sizes["time"], bool)
    known[30:32], known[300:] = False, False
    np.testing.assert_array_equal(found.notnull().all(["lat", "lon"]), known)
    np.testing.assert_array_equal(found[known], field[known])


def test_days_after_2262_and_in_a_time_zone():
    days = np.arange("2291-01-01", "2292-11-01", dtype="datetime64[D]").astype("datetime64[s]")
    field = xr.DataArray(np.ones(days.size), {"time": days}, name="tas")
    found = daily(time_series(field))
    assert found.sizes["time"] == 365 + 366
    assert int(found.sum()) == days.size
    zoned = pd.date_range("2001", "2002", tz="Europe/Lisbon")
    with pytest.raises(FlexclimError, match="are in the time zone Europe/Lisbon"):
        time_series(xr.DataArray(np.ones(zoned.size), {"time": zoned}))


def test_days_may_be_at_noon(daily_field):
    field = daily_field(1)
    noon = field.assign_coords(time=field.time + np.timedelta64(12, "h"))
    np.testing.assert_array_equal(daily(time_series(noon)), field)


def test_times_that_are_no_series_are_errors(daily_field):
    field = daily_field(1)
    with pytest.raises(FlexclimError, match="no dates along one of its dimensions"):
        time_series(field.isel(time=0))
    with pytest.raises(FlexclimError, match="the past has no dates"):
        time_series(field.assign_coords(time=range(365)), "past")
    with pytest.raises(FlexclimError, match="occurs twice along 'time'"):
        time_series(field.isel(time=[0, 1, 1]))
    with pytest.raises(FlexclimError, match="lacks a date"):
        time_series(field.assign_coords(time=np.r_[field.time[:-1], np.datetime64("NaT")]))
    with pytest.raises(FlexclimError, match="are 744 h apart"):
        daily(time_series(field.resample(time="MS").mean()))
    with pytest.raises(FlexclimError, match="one time only"):
        daily(time_series(field.isel(time=[0])))
    with pytest.raises(FlexclimError, match="is a direction"):
        time_series(field.rename("wd").assign_attrs(units="degree"))


def test_variables_that_describe_others_are_left_aside(daily_field):
    field = daily_field(1)
    ds = field.to_dataset().assign(time_bnds=("time", np.zeros(365)), mask=("lat", np.ones(3)))
    ds.time.attrs["bounds"] = "time_bnds"
    found = each_variable(lambda one: one.mean("time"), ds)
    assert list(found) == ["tas"]
    with pytest.raises(FlexclimError, match="no variable of the dataset has dates"):
        each_variable(lambda one: one, ds[["mask"]])
