"""Values of coordinates as text, and coordinates that repeat what others say."""

import cftime
import numpy as np
import pytest

from flexclim.sampling.coordinate_roles import is_part_of, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (850, "850"),
        (np.float64(925.5), "925.5"),
        (np.float32(0.1), "0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1000000, "1e+06"),
        (1000001, "1000001"),
        (2018091400.0, "2018091400"),
        (2**53 + 1, "9007199254740993"),
        (np.nan, "nan"),
        (True, "1"),
        ("ssp126", "ssp126"),
        (np.datetime64("2018-09-14", "s"), "2018-09-14T00:00:00.000000000"),
        (np.timedelta64(6, "h"), "2.16e+13"),
        (np.timedelta64(1, "ns"), "1"),
        (np.timedelta64("NaT"), "NaT"),
        (None, "None"),
    ],
)
def test_texts_have_as_many_digits_as_values(value, text):
    assert value_text(value) == text


def test_neighbouring_numbers_differ():
    random = np.random.default_rng(0)
    for dtype in ("f4", "f8"):
        values = (10 ** random.uniform(-8, 8, 200)).astype(dtype)
        for value in values:
            assert value_text(value) != value_text(np.nextafter(value, np.inf, dtype=dtype))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("year", 2016),
        ("month", 12),
        ("day", 30),
        ("hour", 6),
        ("dayofyear", 365),
        ("season", "DJF"),
    ],
)
def test_parts_of_dates_are_compared_with_it(name, value):
    date = np.datetime64("2016-12-30T06")
    assert is_part_of(value, name, date)
    assert is_part_of(np.array(value)[()], name, date)
    assert not is_part_of(value, name, date + np.timedelta64(330, "D") + np.timedelta64(1, "h"))
    assert not is_part_of(value, name, None)
    other = cftime.Datetime360Day(2016, 12, 30, 6)
    assert is_part_of(value, name, other) == (name != "dayofyear")
    assert is_part_of(360, "dayofyear", other)
