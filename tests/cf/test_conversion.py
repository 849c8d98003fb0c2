"""Conversions between units against numbers from the definitions of the units."""

import math

import pytest
import xarray as xr

from flexclim.cf.conversion import Conversion, conversion


@pytest.mark.parametrize(
    ("have", "want", "scale", "offset"),
    [
        ("m s**-1", "m s-1", 1, 0),
        ("kt", "m s-1", 1852 / 3600, 0),
        ("km/h", "m s-1", 1 / 3.6, 0),
        ("Celsius", "K", 1, 273.15),
        ("deg C", "K", 1, 273.15),
        ("degrees Celsius", "K", 1, 273.15),
        ("Degree celsius", "K", 1, 273.15),
        ("degrees_Kelvin", "degC", 1, -273.15),
        ("degrees Fahrenheit", "degC", 5 / 9, -160 / 9),
        ("K degree-1", "K rad-1", 180 / math.pi, 0),
        ("degF", "K", 5 / 9, 459.67 * 5 / 9),
        ("Kelvin", "degC", 1, -273.15),
        ("gpdm", "m", 10, 0),
        ("mb", "Pa", 100, 0),
        ("%", "(0 - 1)", 0.01, 0),
        ("0.01 m", "mm", 10, 0),
        ("10^3 kg", "g", 1e6, 0),
    ],
)
def test_units_in_usual_spellings(have, want, scale, offset):
    found = conversion(have, want)
    assert found.scale == pytest.approx(scale, rel=1e-12)
    assert found.offset == pytest.approx(offset, rel=1e-12)


@pytest.mark.parametrize(
    ("have", "want", "scale"),
    [
        ("kg m-2 s-1", "mm h-1", 3600),
        ("kg m**-2 s**-1", "mm/day", 86400),
        ("mm day-1", "kg m-2 s-1", 1 / 86400),
        ("m", "kg m-2", 1000),
        ("kg m-2", "mm", 1),
    ],
)
def test_amounts_of_water(have, want, scale):
    assert conversion(have, want, water=True).scale == pytest.approx(scale, rel=1e-12)
    assert conversion(have, want) is None


@pytest.mark.parametrize(
    ("have", "want"),
    [
        ("m", "K"),
        ("", "K"),
        ("code table 4.2", "m"),
        ("dBZ", "mm"),
        ("s", "1"),
        ("degrees Celsius day-1", "K d-1"),
    ],
)
def test_what_cannot_be_converted(have, want):
    assert conversion(have, want, water=True) is None


def test_differences_of_temperatures_have_no_offset():
    assert conversion("degC", "K", difference=True) == Conversion()
    assert conversion("degF", "K", difference=True).scale == pytest.approx(5 / 9)


def test_the_inverse_undoes_it():
    field = xr.DataArray([10.0, 20.0])
    there = conversion("degF", "K")
    xr.testing.assert_allclose(there.inverse(there(field)), field)
    assert not there.changes_nothing
