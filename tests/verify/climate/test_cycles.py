import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify


@pytest.mark.parametrize("calendar", ["360_day", "standard"])
def test_months_are_averaged(daily_field, calendar):
    field = daily_field(2, calendar=calendar, members=2)
    found = verify.climate.seasonal_cycle(field.chunk(time=100))
    assert found.dims == ("month", "realization", "lat", "lon")
    assert found.chunks is not None
    np.testing.assert_allclose(found, field.groupby("time.month").mean().transpose("month", ...))


def test_a_month_without_values_is_nan_and_float32_keeps_its_digits(days):
    times = days(30)[:-31]
    field = xr.DataArray(np.full(times.size, 273.16, "f4"), {"time": times}, name="tas")
    found = verify.climate.seasonal_cycle(field.where(times.month != 2))
    assert np.isnan(found[1])
    np.testing.assert_array_equal(found[2:], np.float32(273.16).astype(float))


def test_the_day_has_its_hours():
    times = xr.date_range("2001-01-01T01:30", periods=80, freq="3h")
    field = xr.DataArray(np.arange(80.0), {"time": times}, name="tas", attrs={"units": "K"})
    found = verify.climate.diurnal_cycle(field)
    np.testing.assert_array_equal(found.hour, np.arange(1.5, 24, 3))
    np.testing.assert_allclose(found, np.arange(8) + 36)
    assert found.hour.attrs["units"] == "h"


def test_one_time_a_day_has_no_cycle(daily_field):
    with pytest.raises(FlexclimError, match="all times of the field are at 0 h"):
        verify.climate.diurnal_cycle(daily_field(1))
    times = xr.date_range("2001-01-01", periods=1000, freq="100s")
    field = xr.DataArray(np.zeros(1000), {"time": times})
    with pytest.raises(FlexclimError, match="864 different times of the day"):
        verify.climate.diurnal_cycle(field)
