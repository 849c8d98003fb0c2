from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from flexclim.errors import ModelError
from flexclim.models.card import ModelCard
from flexclim.models.channels import Static
from flexclim.planning.static_units import convert_statics, static_units


def static(values, units, name="orog"):
    return xr.Dataset({name: (("y", "x"), np.array([values]), {"units": units, "note": "kept"})})


@pytest.mark.parametrize(
    ("have", "wanted", "values", "expected"),
    [
        ("km", "m", [0.25, -0.1], [250.0, -100.0]),
        ("ft", "m", [100, 0], [30.48, 0]),
        ("%", "1", [40, 100], [0.4, 1.0]),
        ("percent", "1", [40, 100], [0.4, 1.0]),
        ("degC", "K", [0.0, 10.0], [273.15, 283.15]),
        ("m**2 s**-2", "m", [9.80665, 0], [1.0, 0]),
        ("m2 s-2", "km", [9806.65, 0], [1.0, 0]),
    ],
)
def test_fields_are_converted(have, wanted, values, expected):
    found = convert_statics(static(values, have), {"orog": wanted}).orog
    np.testing.assert_allclose(found.values[0], expected)
    assert found.attrs == {"units": wanted, "note": "kept"}


@pytest.mark.parametrize(
    ("have", "wanted"), [("m", "m"), ("(0 - 1)", "1"), ("", "m"), ("m", ""), ("geometers", None)]
)
def test_same_and_unknown_units_change_nothing(have, wanted):
    one = static([1.5, 2], have)
    xr.testing.assert_identical(
        convert_statics(one, {} if wanted is None else {"orog": wanted}), one
    )
    xr.testing.assert_identical(convert_statics(one, {"lsm": "1"}), one)


def test_codes_and_differences():
    """Codes of missing values hold before conversion; differences of temperatures do not shift."""
    coded = static([1.5, -9999], "km")
    coded.orog.attrs["missing_value"] = -9999
    found = convert_statics(coded, {"orog": "m"}).orog
    np.testing.assert_array_equal(found.values[0], [1500, np.nan])
    assert found.attrs == {"units": "m", "note": "kept"}
    spread = static([0.5, 2], "degC")
    spread.orog.attrs["long_name"] = "standard deviation of temperature"
    assert convert_statics(spread, {"orog": "K"}).orog.values[0].tolist() == [0.5, 2]


def test_conversion_is_lazy():
    never = da.ones((1, 2)).map_blocks(lambda _: 1 / 0, dtype=float, meta=np.zeros((0, 0)))
    lazy = xr.Dataset({"orog": (("y", "x"), never, {"units": "km"})})
    assert convert_statics(lazy, {"orog": "m"}).orog.chunks is not None


@pytest.mark.parametrize(
    ("have", "message"),
    [
        ("Pa", "is in 'Pa', and the model reads it in 'm'. Convert it first, or correct its units"),
        ("code table 4", "Convert it first"),
    ],
)
def test_other_quantities_are_named(have, message):
    with pytest.raises(ModelError, match=message) as caught:
        convert_statics(static([1.0], have), {"orog": "m"})
    assert "\n" not in str(caught.value)


def test_units_are_those_of_cards():
    statics = SimpleNamespace(statics=[Static(name=name) for name in ("orog", "lsm", "latitude")])
    models = (
        SimpleNamespace(name=name, settings=statics, card=ModelCard(name=name, units=units))
        for name, units in (
            ("a", {"orog": "m", "u": "m s-1", "latitude": "1"}),
            ("b", {"orog": "m", "lsm": "(0 - 1)"}),
            ("c", {"orog": "km"}),
        )
    )
    first, second, third = models
    assert static_units([first, second]) == {"orog": "m", "lsm": "(0 - 1)"}
    with pytest.raises(ModelError, match="model 'c' reads the static field 'orog' in 'km'"):
        static_units([first, third])
