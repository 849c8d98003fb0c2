"""Time steps of forecasts, worked by hand."""

from datetime import timedelta

import cftime
import numpy as np
import pandas as pd
import pytest

from flexclim.errors import FlexclimError, ModelError
from flexclim.models.settings import Forecasting
from flexclim.planning.leads import hours_between, kept_steps, later, step_hours

SIX = Forecasting(past=2, leads=(6.0, 12.0), residual_scale=((1.0,), (1.0,)))


def times(*hours):
    return np.datetime64("2018-09-14", "ns") + np.array(hours) * np.timedelta64(1, "h")


@pytest.mark.parametrize(
    ("hours", "step"), [((0, 6), 6.0), ((-30, 0, 12), 12.0), ((0.0, 6.0), 6.0)]
)
def test_only_the_last_times_count(hours, step):
    assert step_hours(times(*(int(hour) for hour in hours)), SIX, "toy") == step


def test_other_calendars():
    noleap = np.array([cftime.DatetimeNoLeap(2000, 2, 28, 18), cftime.DatetimeNoLeap(2000, 3, 1)])
    assert step_hours(noleap, SIX, "toy") == 6
    assert later(noleap[0], 6.0) == noleap[1]
    assert hours_between(*noleap) == 6


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (times(0), FlexclimError, "reads 2 past times, and there is 1"),
        (times(6, 0), FlexclimError, "are not increasing"),
        (times(0, 3), ModelError, "are 3 h apart"),
        (np.array(["2018-09-14", "NaT"], "M8[ns]"), FlexclimError, "NaT"),
    ],
)
def test_times_that_fit_no_step(found, error, message):
    with pytest.raises(error, match=message):
        step_hours(found, SIX, "toy")


@pytest.mark.parametrize(
    ("leads", "steps"),
    [
        (3, (1, 2, 3)),
        (np.int64(2), (1, 2)),
        ("12h", (2,)),
        (timedelta(hours=6), (1,)),
        (["1D", "6h", "6h"], (1, 4)),
        (pd.to_timedelta(["18h", "12h"]), (2, 3)),
    ],
)
def test_leads_are_steps(leads, steps):
    assert kept_steps(leads, 6.0) == steps


@pytest.mark.parametrize("leads", [0, -1, [], "9h", "0h", "-6h", "NaT", 6.0, True, "soon", [6]])
def test_what_is_no_lead(leads):
    with pytest.raises(FlexclimError, match="lead"):
        kept_steps(leads, 6.0)


def test_steps_of_parts_of_an_hour():
    assert later(times(0)[0], 1 / 3) == np.datetime64("2018-09-14T00:20")
    assert kept_steps(["40min"], 1 / 3) == (2,)
