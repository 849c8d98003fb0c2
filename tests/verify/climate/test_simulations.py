import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError
from flexclim.verify.climate.simulations import by_variable, joined_variables, two_periods


def test_fields_are_sorted_by_variable(daily_field):
    first = xr.Dataset({"tas": daily_field(1), "pr": daily_field(1), "orog": ("lat", [1.0, 2, 3])})
    second = first[["pr", "tas"]]
    found = by_variable({"GCM": first, 5: second})
    assert {name: list(fields) for name, fields in found.items()} == {
        "tas": ["GCM", "5"],
        "pr": ["GCM", "5"],
    }
    assert list(by_variable({"GCM": first.tas})) == [""]


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
