import numpy as np
import pandas as pd
import pytest

from flexclim.errors import RecipeError
from flexclim.train.data.splits import apart, select_times


def test_periods_are_dates_or_indices():
    times = pd.date_range("2018-10-01", periods=8, freq="6h").values
    usable = np.ones(8, bool)
    assert select_times(times, usable, ("2018-10-02", "2018-10-02"), "x").tolist() == [4, 5, 6, 7]
    assert select_times(times, usable, ("1", "3"), "x").tolist() == [1, 2, 3]
    assert select_times(times, usable, ("5", "-1"), "x").tolist() == [5, 6, 7]
    shuffled = times[[3, 0, 2, 1, 7, 6, 5, 4]]
    assert select_times(shuffled, usable, ("2018-10-02", "2018-10-02"), "x").tolist() == [
        4,
        5,
        6,
        7,
    ]
    with pytest.raises(RecipeError, match="has no time from 2019 to 2020; it runs from 2018-10-01"):
        select_times(times, usable, ("2019", "2020"), "x")


def test_indices_may_have_any_number_of_digits():
    counted, dated = np.arange(2000), pd.date_range("2018", periods=2000, freq="6h").values
    usable = np.ones(2000, bool)

    def ends(times, *period):
        return select_times(times, usable, period, "x")[[0, -1]].tolist()

    for times in (counted, dated):
        assert ends(times, "0", "1500") == [0, 1500]
        assert ends(times, "-1500", "-1") == [500, 1999]
    assert ends(counted, "1000", "1400") == [1000, 1400]
    # Where there are dates, four digits are a year.
    assert ends(dated, "2018", "2018") == [0, 1459]
    assert ends(dated, "2018", "2018-01-02") == [0, 7]
    assert ends(dated, "01000", "1400") == [1000, 1400]
    for times, period, message in (
        (counted, ("2018-10-01", "9"), "has no dates; give splits as indices"),
        (dated, ("2018-10-01", "9"), "9 is an index and the other a date"),
        (dated, ("1000", "1400"), "Four digits are a year; 01000 is an index"),
        (dated, ("1999", "2000"), "from 1999 to 2000; it runs from 2018.* 2000 times in all"),
        (counted, ("3000", "4000"), "it runs from 0 to 1999"),
    ):
        with pytest.raises(RecipeError, match=message) as caught:
            select_times(times, usable, period, "x")
        assert "\n" not in str(caught.value)


def test_training_keeps_a_gap_to_validation():
    times = pd.date_range("2018-10-01", periods=8, freq="6h").values
    every, other = np.arange(8), np.array([5, 6])
    assert apart(times, every, other, "0h").tolist() == [0, 1, 2, 3, 4, 7]
    assert apart(times, every, other, "6h").tolist() == [0, 1, 2, 3]
    assert apart(times, every, other, "12h").tolist() == [0, 1, 2]
    assert apart(np.arange(8), every, other, "0h").tolist() == [0, 1, 2, 3, 4, 7]
    with pytest.raises(RecipeError, match="'tomorrow' is not a duration"):
        apart(times, every, other, "tomorrow")
