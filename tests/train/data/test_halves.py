import numpy as np
import pytest
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.train.data.halves import area_means, half_of
from flexclim.train.data.series import Memory


def dates(*days):
    return np.array(days, "datetime64[ns]")


def test_single_times_are_halved_where_years_are_few():
    times = dates("2001-01-01", "2001-01-02", "2001-01-03", "2001-01-04", "2001-01-05")
    chosen, means = np.array([3, 4, 5, 6, 7]), np.array([1.0, 9, 3, 5, 2])
    np.testing.assert_array_equal(half_of(chosen, means, times, "colder", "a.nc"), [3, 5, 7])
    np.testing.assert_array_equal(half_of(chosen, means, times, "warmer", "a.nc"), [4, 6])


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_whole_years_are_halved_so_that_both_halves_have_all_seasons(calendar):
    times = xr.date_range("2001-01-01", periods=16, freq="QS", calendar=calendar).values[::2]
    # Winters and summers of 2001 to 2004; 2002 and 2004 are colder on average.
    means = np.array([0.0, 20, -4, 20, 1, 21, 0, 16])
    colder = half_of(np.arange(8), means, times, "colder", "a.nc")
    np.testing.assert_array_equal(colder, [2, 3, 6, 7])
    warmer = half_of(np.arange(8), means, times, "warmer", "a.nc")
    np.testing.assert_array_equal(warmer, [0, 1, 4, 5])


def test_means_leave_missing_cells_out():
    planes = np.array([[[1.0, np.nan], [3.0, 2.0]], [[np.nan, np.nan], [np.nan, np.nan]]], "f4")
    np.testing.assert_array_equal(area_means(Memory(planes), np.array([1, 0])), [np.nan, 2.0])


def test_too_few_times_are_an_error_of_one_line():
    with pytest.raises(RecipeError, match=r"a.nc has 1 of 1 training times.*colder_half out"):
        half_of(np.arange(1), np.ones(1), dates("2001-01-01"), "colder", "a.nc")
