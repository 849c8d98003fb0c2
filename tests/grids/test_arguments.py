"""Arguments of any type: taken, or refused in one line."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim.errors import FlexclimError
from flexclim.grids.arguments import check_fields, is_one_of, is_whole, names_of, shown

WHOLE = (3, np.int64(3), np.uint8(3), np.array(3), 10**30)
OTHER = (3.0, True, np.True_, None, "3", int, [3], np.array([3]), np.array([3, 4]), xr.DataArray(3))


@pytest.mark.parametrize("value", WHOLE, ids=repr)
def test_whole_numbers(value):
    assert is_whole(value)


@pytest.mark.parametrize("value", OTHER, ids=lambda value: type(value).__name__)
def test_no_whole_numbers(value):
    assert not is_whole(value)


@pytest.mark.parametrize(
    "given",
    [["u10"], ("u10",), {"u10"}, np.array(["u10"]), pd.Index(["u10"]), iter(["u10"]), "u10"],
)
def test_names_in_any_collection(given):
    assert names_of(given) == ["u10"]


@pytest.mark.parametrize("given", [3, 1.5, [None], [1, 2], np.array(2), object(), [["u10"]]])
def test_no_names(given):
    with pytest.raises(FlexclimError, match="are no names") as error:
        names_of(given)
    assert "\n" not in str(error.value)


def test_one_of_some_texts():
    known = (None, "cell", "point")
    assert is_one_of(None, known)
    assert is_one_of("point", known)
    for other in ("points", 0, np.array(["cell", "point"]), xr.DataArray("cell"), ["cell"]):
        assert not is_one_of(other, known)


@pytest.mark.parametrize(
    "value", [np.zeros((99, 99)), xr.Dataset(), "x" * 999, b"\n", list(range(99))]
)
def test_values_are_shown_in_one_short_line(value):
    assert "\n" not in shown(value)
    assert len(shown(value)) <= 60


@pytest.mark.parametrize("obj", ["a.nc", None, np.zeros((3, 3)), pd.DataFrame(), [xr.Dataset()]])
def test_what_is_no_field(obj):
    with pytest.raises(FlexclimError, match=r"neither an xarray Dataset nor a DataArray\. Open"):
        check_fields(obj)
