import datetime
import warnings

import cftime
import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimWarning, verify


def daily(calendar, start="2020-02-27", periods=5, freq="D", **options):
    times = xr.date_range(start, periods=periods, freq=freq, calendar=calendar, **options)
    return xr.DataArray(np.arange(periods, dtype=float), {"time": times}, ["time"])


def test_dates_of_two_calendars_are_matched():
    noleap = daily("noleap")  # 27, 28 February, 1, 2, 3 March
    standard = daily("standard", periods=6)  # with 29 February
    with pytest.warns(FlexclimWarning, match=r"1 of 6 times of the truth .* first 2020-02-29") as w:
        found = verify.mae(noleap, standard, dim=(), weights=None)
    assert len(w) == 1
    assert found.values.tolist() == [0, 0, 1, 1, 1]  # 1 March is the third and the fourth day
    assert found.time.dt.strftime("%m-%d").values.tolist() == [
        *("02-27", "02-28", "03-01", "03-02", "03-03")
    ]


def test_each_calendar_may_lack_dates_of_the_other():
    left = daily("360_day", start="2021-01-30", periods=32)  # 30 January to 1 March, 30 February
    right = daily("standard", start="2021-01-30", periods=31)  # 31 January, no 29 or 30 February
    with pytest.warns(FlexclimWarning) as found:
        score = verify.bias(left, right, dim=())
    assert [str(w.message).split(" ")[0] for w in found] == ["2", "1"]
    assert score.sizes["time"] == 30
    assert score.values[[0, 1, -1]].tolist() == [0, -1, 1]


@pytest.mark.parametrize("right", ["standard", "proleptic_gregorian", "noleap", "360_day"])
def test_the_same_dates_need_no_warning(right):
    left = daily("standard", start="2021-03-01", periods=20, use_cftime=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FlexclimWarning)
        assert float(verify.mae(left, daily(right, start="2021-03-01", periods=20))) == 0


def test_monthly_means_are_matched_by_month():
    middles = {
        "standard": ["2001-01-16T12:00", "2001-02-15T00:00", "2001-03-16T12:00"],
        "360_day": ["2001-01-16T00:00", "2001-02-16T00:00", "2001-03-16T00:00"],
    }
    left, right = (
        xr.DataArray(
            [1.0, 2.0, 3.0],
            {"time": [cftime.datetime.strptime(t, "%Y-%m-%dT%H:%M", calendar=c) for t in texts]},
            ["time"],
        )
        for c, texts in middles.items()
    )
    assert float(verify.mae(left, right)) == 0
    later = right.assign_coords(time=right.time.values + datetime.timedelta(5))
    with pytest.raises(AlignmentError, match="2001-01"):
        verify.mae(left, later)


def test_other_dates_are_an_error():
    with pytest.raises(AlignmentError, match=r"'time' differs in 5 .*2020-02-27.*2021-02-27"):
        verify.mae(daily("noleap"), daily("standard", start="2021-02-27"))
    with (
        pytest.warns(FlexclimWarning, match="2020-02-29"),
        pytest.raises(AlignmentError, match=r"2020-03-03 .*only in the forecast"),
    ):
        verify.mae(daily("noleap"), daily("standard", periods=5))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_units_of_times_and_steps_do_not_matter(unit):
    hours = np.array([0, 6, 12], "timedelta64[h]")
    left = xr.DataArray([1.0, 2.0, 3.0], {"step": hours.astype(f"timedelta64[{unit}]")}, ["step"])
    right = left.assign_coords(step=hours.astype("timedelta64[ns]"))
    assert float(verify.mae(left, right)) == 0
    numbers = left.assign_coords(step=("step", [0, 6, 12], {"units": "hours"}))
    assert float(verify.mae(numbers, right)) == float(verify.mae(right, numbers)) == 0
    with pytest.raises(AlignmentError, match=r"first at index 1: 6 h .* 7 h .*difference is 1 h"):
        verify.mae(left, right.assign_coords(step=hours + np.array([0, 1, 0], "timedelta64[h]")))
    dates = np.datetime64("2020-01-01") + hours
    times = [
        left.rename(step="time").assign_coords(time=dates.astype(f"M8[{u}]")) for u in (unit, "ns")
    ]
    assert float(verify.mae(*times)) == 0


def test_undecoded_dates_are_decoded():
    dates = np.array(["2020-01-01T00", "2020-01-01T06"], "datetime64[ns]")
    left = xr.DataArray([1.0, 2.0], {"time": dates}, ["time"])
    for epoch, shift in (("2020-01-01", 0), ("2019-12-31", 24)):
        units = {"units": f"hours since {epoch}"}
        right = left.assign_coords(time=("time", [shift, shift + 6], units))
        assert float(verify.mae(left, right)) == 0
    same_numbers = left.assign_coords(time=("time", [0, 6], {"units": "hours since 1900-01-01"}))
    other_epoch = left.assign_coords(time=("time", [0, 6], {"units": "hours since 1970-01-01"}))
    with pytest.raises(AlignmentError, match="'time' differs in 2 of 2"):
        verify.mae(same_numbers, other_epoch)
