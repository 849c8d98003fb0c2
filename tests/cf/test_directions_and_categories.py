import numpy as np
import pytest

from flexclim.cf.directions_and_categories import average_directions, most_frequent


@pytest.mark.parametrize(
    ("directions", "expected"),
    [
        ([350.0, 10.0], 0.0),
        ([359.0, 2.0], 0.5),
        ([-10.0, 20.0], 5.0),
        ([90.0, 90.0], 90.0),
        ([0.0, 90.0], 45.0),
        ([np.nan, 40.0], 40.0),
        ([0.0, 180.0], np.nan),
    ],
)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_directions_are_averaged_on_the_circle(directions, expected, dtype):
    result = average_directions(np.array(directions, dtype), 360.0, np.nanmean)
    np.testing.assert_allclose(result, expected, atol=1e-4)
    assert result.dtype == dtype
    assert not result >= 360
    radians = np.deg2rad(np.array(directions))
    result = average_directions(radians, 2 * np.pi, np.nanmean)
    np.testing.assert_allclose(np.rad2deg(result), expected, atol=1e-6)


def blocks(values):
    """Average pairs."""
    return np.nanmean(np.reshape(values, (-1, 3)), axis=1)


def test_the_most_frequent_category_is_taken():
    values = np.array([3, 7, 7, 1, 1, 2, 5, 4, 9], "i4")
    result = most_frequent(values, blocks)
    assert result.tolist() == [7, 1, 4]  # the lowest of equals
    assert result.dtype == "i4"


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_missing_categories_are_left_out():
    values = np.array([3, np.nan, np.nan, np.nan, 1, 2], "f4")
    np.testing.assert_array_equal(most_frequent(values, blocks), [3, 1])
    values = np.array([np.nan, np.nan, np.nan, 2, 2, 2], "f4")
    np.testing.assert_array_equal(most_frequent(values, blocks), [np.nan, 2])
    values[:] = np.nan
    np.testing.assert_array_equal(most_frequent(values, blocks), [np.nan, np.nan])
