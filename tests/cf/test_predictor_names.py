import numpy as np
import pytest
import xarray as xr

from flexclim.cf.predictor_names import (
    earlier_times,
    levels_text,
    on_level,
    read_name,
    vertical_dimension,
)
from flexclim.errors import FlexclimError

LEVELS = {
    "plev": ([85000.0, 50000.0], {"units": "Pa"}),
    "level": ([850, 500], {"units": "hPa"}),
    "isobaricInhPa": ([850.0, 500.0], {"units": "hPa"}),
    "pressure_level": ([85000, 50000], {}),
    "lev": ([0.85, 0.5], {"units": "bar", "axis": "Z"}),
}


@pytest.mark.parametrize("dim", LEVELS)
def test_a_level_is_found_in_any_units(dim):
    values, attrs = LEVELS[dim]
    ds = xr.Dataset({"q": ((dim, "x"), [[1.0, 2], [3, 4]])}, {dim: (dim, values, attrs)})
    found = on_level(ds, "q@500")
    assert found.dims == ("x",)
    assert found.name == "q@500"
    np.testing.assert_array_equal(found, [3, 4])
    assert on_level(ds, "q@300") is None
    assert "'q' has the levels" in levels_text(ds, "q@300")


def test_a_level_in_hectopascals_is_not_one_in_pascals():
    plev = ("plev", [92500.0, 1000.0], {"units": "Pa"})
    ds = xr.Dataset({"q": ("plev", [1.0, 2.0])}, {"plev": plev})
    assert on_level(ds, "q@1000") is None
    assert float(on_level(ds, "q@10")) == 2
    assert float(on_level(ds, "q@92500")) == 1


def test_positions_stay_and_coordinates_of_levels_go():
    places = {"lat": (("y", "x"), [[1.0, 2]]), "plev": [500.0], "name": ("plev", ["low"])}
    ds = xr.Dataset({"q": (("plev", "y", "x"), [[[1.0, 2]]])}, places)
    assert set(on_level(ds, "q@500").coords) == {"lat"}


def test_heights_are_in_their_own_units():
    height = ("height", [2.0, 100.0], {"units": "m", "positive": "up"})
    ds = xr.Dataset({"u": ("height", [5.0, 9.0])}, {"height": height})
    assert vertical_dimension(ds["u"]) == "height"
    assert float(on_level(ds, "u@100")) == 9


@pytest.mark.parametrize("name", ["z@500", "z_500", "z500"])
def test_a_level_may_stand_in_the_name(name):
    assert float(on_level(xr.Dataset({name: 7.0}), "z@500")) == 7


@pytest.mark.parametrize("name", ["z@", "z@high", "z@-24", "z@-day", "z@-24h@500", "z@500@850"])
def test_what_is_neither_level_nor_lag_is_an_error_of_one_line(name):
    with pytest.raises(FlexclimError, match=r"no name of a predictor: .*z@500@-24h") as error:
        read_name(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_the_day_before_is_found_in_any_calendar(calendar):
    times = xr.date_range("2001-02-26", periods=5, calendar=calendar).values
    np.testing.assert_array_equal(earlier_times(times, 48.0), [-1, -1, 0, 1, 2])
    np.testing.assert_array_equal(earlier_times(times[::-1], 48.0), [2, 3, 4, -1, -1])
    np.testing.assert_array_equal(earlier_times(times[[0, 1, 4]], 24.0), [-1, 0, -1])
