"""How long fields stay like themselves."""

import math

import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimError
from flexclim.verify.metrics.persistence import correlation_time, decay, structure


def process(hours, timescale, points=4000, seed=0):
    """Return an AR(1) process at any times."""
    random = np.random.default_rng(seed)
    values = [random.normal(size=points)]
    for step in np.diff(hours):
        kept = math.exp(-step / timescale)
        values.append(kept * values[-1] + math.sqrt(1 - kept**2) * random.normal(size=points))
    times = np.datetime64("2018-10-01", "ns") + (np.asarray(hours) * 3600e9).astype("m8[ns]")
    return xr.DataArray(np.array(values), {"time": times}, ["time", "point"], name="u10")


@pytest.mark.parametrize("timescale", [2.0, 6.0, 12.0])
def test_the_time_of_a_known_process_is_found(timescale):
    found = correlation_time(process(np.arange(0, 120, 3), timescale))
    assert found == pytest.approx(timescale, rel=0.08)


def test_a_fixed_pattern_does_not_count():
    moving = process(np.arange(0, 120, 3), 6.0)
    pattern = xr.DataArray(5 * np.random.default_rng(1).normal(size=4000), dims="point")
    assert correlation_time(moving + pattern) == pytest.approx(correlation_time(moving), rel=1e-6)


def test_times_need_not_be_even_or_in_order_and_values_may_be_missing():
    hours = np.delete(np.arange(0, 150, 3.0), [7, 8, 9, 20])
    moving = process(hours, 6.0)
    moving[3, :500] = np.nan
    order = np.random.default_rng(2).permutation(hours.size)
    found = correlation_time(moving.isel(time=order))
    assert found == pytest.approx(6.0, rel=0.1)
    assert found == pytest.approx(correlation_time(moving), rel=1e-6)


def test_valid_times_along_lead_times_count():
    moving = process(np.arange(0, 120, 3), 6.0)
    start = moving.time.values[0]
    leads = moving.rename(time="step").assign_coords(step=moving.time.values - start, time=start)
    assert correlation_time(leads) == correlation_time(leads, "step") == correlation_time(moving)


def test_differences_by_hand():
    values = np.array([[0.0, 0.0], [1.0, 3.0], [1.0, np.nan]])
    lags, differences, pairs = structure(values, np.array([0.0, 1.0, 3.0]))
    # Lag 1: (1 + 9) / 2; lag 2 and 3 lie beyond half of the series.
    assert (lags.tolist(), differences.tolist(), pairs.tolist()) == ([1.0], [5.0], [1.0])


def test_unresolved_times_are_nan():
    assert math.isnan(correlation_time(process([0, 3, 6, 9, 12], 6.0)))
    constant = process(np.arange(0, 60, 3), 6.0) * 0
    assert math.isnan(correlation_time(constant))
    lags = np.arange(1.0, 10)
    assert math.isnan(decay(lags, lags**2, np.ones(9)))


def test_a_field_without_dates_raises_an_error():
    moving = process(np.arange(0, 60, 3), 6.0)
    with pytest.raises(FlexclimError, match="has no time dimension 'time'"):
        correlation_time(moving.rename(time="t").drop_vars("t"))
    with pytest.raises(FlexclimError, match="which is no date"):
        correlation_time(moving.assign_coords(time=np.arange(20)))
