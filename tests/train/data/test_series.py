import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim.train.data.series import Difference, Memory, Stored
from flexclim.train.data.source_fields import open_fields
from flexclim.train.data.splits import select_times
from flexclim.train.recipes.source_settings import Reading


def test_accumulations_become_amounts():
    """By hand: 3-hourly from 00 UTC; the value at 00 UTC closes the day before."""
    times = pd.date_range("2018-05-01T03", periods=10, freq="3h").values
    rain = np.array([1, 3, 3, 4, 4, 9, 9, 10, 2, 2.5])
    series = Difference.of(Memory(rain[:, None, None].astype("float32")), times)
    amounts = series.read_all(np.arange(10))[:, 0, 0]
    np.testing.assert_allclose(amounts, [1, 2, 0, 1, 0, 5, 0, 1, 2, 0.5])
    assert series.usable.all()


def test_an_amount_without_its_time_before_is_left_out():
    times = pd.date_range("2018-05-01T06", periods=3, freq="3h").values
    series = Difference.of(Memory(np.ones((3, 1, 1), "float32")), times)
    assert series.usable.tolist() == [False, True, True]
    chosen = select_times(times, series.usable, ("2018-05-01", "2018-05-02"), "x")
    assert chosen.tolist() == [1, 2]


def test_an_amount_after_a_gap_is_left_out():
    """By hand: hourly, 03 UTC is missing, so what fell from 02 to 04 UTC is no hourly amount."""
    stamps = ["2018-05-01T01", "2018-05-01T02", "2018-05-01T04", "2018-05-01T05", "2018-05-01T05"]
    rain = np.array([1, 2, 4, 7, 7], "float32")[:, None, None]
    series = Difference.of(Memory(rain), pd.DatetimeIndex(stamps).values)
    assert series.usable[:3].tolist() == [True, True, False]
    # Of a time that is there twice, one is enough.
    assert series.usable[3:].sum() == 1
    amounts = series.read_all(np.flatnonzero(series.usable))[:, 0, 0]
    assert amounts.tolist() == [1, 1, 3]


def test_an_amount_of_less_than_a_step_is_left_out():
    """12-hourly at 06 and 18 UTC: 06 UTC holds 6 hours, and what fell before 00 UTC is unknown."""
    times = pd.date_range("2018-05-01T06", periods=4, freq="12h").values
    series = Difference.of(Memory(np.ones((4, 1, 1), "float32")), times)
    assert series.usable.tolist() == [False, True, False, True]


@pytest.mark.parametrize("times", [[7, 1, 3], [5, 9, 1, 3], [3, 2, 1], [4, 4, 2], [1, 2, 3], [8]])
def test_planes_come_in_the_order_asked_for(times):
    values = np.arange(10.0)[:, None, None] * np.ones((1, 2, 2))
    planes = Stored(xr.Variable(("time", "y", "x"), values)).read_all(np.array(times))
    assert planes[:, 0, 0].tolist() == times


def test_accumulated_rain_of_arome_is_never_negative(data_dir, planes):
    reading = Reading(path="meteonet_nw_arome_0p025.nc", accumulated=("tp",))
    fields = open_fields(reading, str(data_dir), ["tp"])
    amounts = planes(fields, "tp").astype(float)
    raw = xr.open_dataset(data_dir / "meteonet_nw_arome_0p025.nc").tp.values
    assert np.nanmin(amounts) >= 0
    # All hours add up to the last accumulation; packing may cost a little.
    np.testing.assert_allclose(amounts.sum(0), raw[-1], atol=0.05)
