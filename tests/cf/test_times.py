import cftime
import numpy as np
import pytest
import xarray as xr

from flexclim.cf.times import calendar_of, is_time, seconds_of

MAY = cftime.Datetime360Day(1970, 5, 1, 0, 0, 1, 500000)  # months have 30 days


@pytest.mark.parametrize("shape", [(), (1,), (2, 1)])
def test_seconds_are_those_of_the_calendar(shape):
    expected = 120 * 86400 + 1.5
    found = seconds_of(np.full(shape, MAY))
    assert (found.shape, found.dtype) == (shape, np.dtype(float))
    assert (found == expected).all()
    may = np.full(shape, np.datetime64("1970-05-01T00:00:01.5", "ns"))
    assert (seconds_of(may) == expected).all()


def test_what_is_a_date():
    found = {
        "dates": np.array(["2018-10-01"], "datetime64[ns]"),
        "cftime": np.array([[MAY]], object),
        "spans": np.array([1], "timedelta64[ns]"),
        "texts": np.array(["2018-10-01"], object),
        "none": np.array([], object),
        "counts": np.arange(3),
    }
    variables = {name: xr.Variable(list("yx")[: one.ndim], one) for name, one in found.items()}
    assert [name for name, one in variables.items() if is_time(one)] == ["dates", "cftime"]
    calendars = [calendar_of(variables[name]) for name in ("dates", "cftime")]
    assert calendars == ["proleptic_gregorian", "360_day"]


def test_periods_are_no_dates():
    import pandas as pd

    months = {"time": pd.period_range("2021-03", periods=2, freq="M")}
    assert not is_time(xr.DataArray([0, 1], months, ["time"]).time)
