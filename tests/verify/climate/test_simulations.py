import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError
from flexclim.verify.climate.simulations import (
    by_variable,
    comparable,
    joined_variables,
    two_periods,
)

HOUR = np.timedelta64(1, "h")


def test_fields_are_sorted_by_variable(daily_field):
    first = xr.Dataset({"tas": daily_field(1), "pr": daily_field(1), "orog": ("lat", [1.0, 2, 3])})
    second = first[["pr", "tas"]]
    found = by_variable({"GCM": first, 5: second})
    assert {name: list(fields) for name, fields in found.items()} == {
        "tas": ["GCM", "5"],
        "pr": ["GCM", "5"],
    }
    assert list(by_variable({"GCM": first.tas})) == [""]


def test_rates_and_daily_amounts_of_rain_are_compared(daily_field):
    rate = daily_field(1, name="pr").assign_attrs(units="kg m-2 s-1")
    amount = (rate * 86.4).assign_attrs(units="m")
    found = comparable({"GCM": rate, "ERA5": amount})
    xr.testing.assert_allclose(found["GCM"], found["ERA5"])
    assert found["ERA5"].attrs["units"] == "mm d-1"
    assert comparable({"a": rate, "b": rate})["a"].attrs["units"] == "kg m-2 s-1"
    monthly = amount.resample(time="MS").sum().assign_attrs(units="m")
    assert comparable({"a": rate, "b": monthly})["b"].attrs["units"] == "m"


def test_amounts_of_hours_and_of_days_are_not_compared(daily_field):
    day = daily_field(1, name="pr").assign_attrs(units="mm")
    hour = day.isel(time=slice(48)).assign_coords(time=day.time.values[0] + np.arange(48) * HOUR)
    with pytest.raises(AlignmentError, match="of 'ERA5' are those of 24 h, of 'GCM' of 1 h"):
        comparable({"GCM": hour, "ERA5": day})
    rate = hour.assign_attrs(units="mm h-1")
    assert comparable({"GCM": rate, "ERA5": day})["GCM"].attrs["units"] == "mm h-1"


def test_parts_are_named_by_variable():
    part = xr.Dataset({"change": 1})
    assert list(joined_variables({"tas": part, "pr": part})) == ["change.tas", "change.pr"]
    assert joined_variables({"": part}) is part


def test_periods_come_in_pairs(daily_field):
    field = daily_field(1)
    assert list(two_periods({"GCM": [field, field]})) == ["GCM, past", "GCM, future"]
    with pytest.raises(FlexclimError, match="has no two periods"):
        two_periods({"GCM": (field,)})
    with pytest.raises(FlexclimError, match="simulations is of type NoneType"):
        two_periods(None)
    with pytest.raises(AlignmentError, match="no variable in common"):
        by_variable({"a": field.to_dataset(name="a"), "b": field.to_dataset(name="b")})
