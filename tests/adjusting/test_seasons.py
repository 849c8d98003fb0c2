"""Days of series in the year, and the windows around them."""

import numpy as np
import pytest
import xarray as xr

from flexclim.adjusting.seasons import (
    MONTHS,
    Seasons,
    Window,
    check_calendar,
    parts_of_year,
    time_step,
    window_for,
)
from flexclim.errors import FlexclimError


def days(first, last, calendar="standard"):
    times = xr.date_range(first, last, calendar=calendar, use_cftime=None)
    return xr.DataArray(times, dims="time", name="time")


def samples(times, window):
    return {part: rest for part, *rest in Seasons.of(times, window).samples(window)}


def test_a_window_holds_the_days_around_each_day_of_every_year():
    times = days("2001-01-01", "2004-12-31")
    found = samples(times, Window(parts=365, days=3))
    centre, sample = found[59]  # 1 March
    assert [str(times.values[at])[:10] for at in centre] == [
        "2001-03-01", "2002-03-01", "2003-03-01", "2004-03-01",
    ]  # fmt: skip
    assert [str(times.values[at])[5:10] for at in sample[-3:]] == ["02-29", "03-01", "03-02"]
    assert sample.size == 12
    # 29 February belongs to 28 February, whose window it widens.
    assert found[58][0].size == 5
    assert found[58][1].size == 13
    # The first day of all has no day before it.
    assert found[0][1].size == 11


def test_gaps_do_not_shift_windows():
    times = days("2001-01-01", "2002-12-31")
    lacking = times[np.delete(np.arange(730), 100)]
    found = samples(lacking, Window(parts=365, days=3))
    days_found = [str(lacking.values[at])[5:10] for at in found[101][1]]
    assert days_found == ["04-12", "04-13", "04-11", "04-12", "04-13"]


@pytest.mark.parametrize(
    ("calendar", "date", "window", "part"),
    [
        ("noleap", "2001-12-31", Window(parts=365, days=31), 364),
        ("standard", "2004-12-31", Window(parts=365, days=31), 364),
        ("360_day", "2001-12-30", Window(parts=360, days=31), 359),
        ("360_day", "2001-02-30", Window(parts=365, days=31, align_on="date"), 58),
        ("360_day", "2001-07-01", Window(parts=365, days=31, align_on="year"), 183),
        ("standard", "2001-07-02", Window(parts=360, days=31, align_on="year"), 180),
        ("360_day", "2001-02-30", Window(parts=MONTHS, days=1), 1),
    ],
)
def test_calendars_meet_on_the_parts_of_the_year(calendar, date, window, part):
    assert parts_of_year(days(date, date, calendar), window).tolist() == [part]


def test_a_rule_is_needed_beside_360_days():
    model, truth = days("2001-01-01", "2001-12-30", "360_day"), days("2001-01-01", "2001-12-31")
    with pytest.raises(FlexclimError, match=r"360_day and proleptic_gregorian.* align_on='year'"):
        window_for([model, truth], 31, None)
    assert window_for([model, truth], 31, "year") == Window(parts=360, days=31, align_on="year")
    assert window_for([model, truth], 31, "date").parts == 365
    assert window_for([model, model], 31, None) == Window(parts=360, days=31)
    assert window_for([model, truth], "month", None) == Window(parts=12, days=1)
    assert window_for([days("2001-01-01", "2001-12-31", "noleap"), truth], 31, None).parts == 365
    with pytest.raises(FlexclimError, match="align_on"):
        check_calendar(truth, Window(parts=360, days=31), "360_day")


def test_time_steps_are_daily_or_monthly():
    daily = days("2001-01-01", "2002-12-31")
    monthly = daily.isel(time=daily.dt.day == 15)
    assert (time_step(daily), time_step(monthly)) == ("daily", "monthly")
    with pytest.raises(FlexclimError, match=r"is monthly, the reference daily"):
        window_for([monthly, daily, monthly], 31, None)
    with pytest.raises(FlexclimError, match=r"6 hours apart.*resample\(time='1D'\)"):
        time_step(daily.copy(data=daily.values[0] + np.arange(730) * np.timedelta64(6, "h")))
    with pytest.raises(FlexclimError, match="2001-01-01 follows 2001-01-02"):
        time_step(daily[[1, 0, 2]])
