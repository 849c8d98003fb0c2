import pytest

from flexclim.cf.units import cf_units, looks_valid


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("m s**-1", "m s-1"),
        ("kg m**-2 s**-1", "kg m-2 s-1"),
        ("m**2 s**-2", "m2 s-2"),
        ("(0 - 1)", "1"),
        ("Degree true", "degree"),
        ("~", "1"),
        ("%", "%"),
        ("m/s", "m/s"),
        ("furlong per fortnight", "furlong per fortnight"),
    ],
)
def test_units_become_udunits(found, expected):
    assert cf_units(found) == expected


@pytest.mark.parametrize(
    "units",
    [
        "K",
        "degC",
        "m s-1",
        "kg m-2 s-1",
        "hPa",
        "mm/day",
        "W m-2",
        "1",
        "%",
        "J kg-1 K-1",
        "1e-3",
        "m^2 s^-2",
        "degrees_north",
        "0.001 kg",
        "days since 2000-01-01",
        "g kg-1",
        "dBZ",
        "mol m-3",
        "umol m-2 s-1",
        "psu",
        "Pa s-1",
        "(0 - 1)x",
        "code table 4.201",
        "Degree north-ish",
        "m/s of wind",
    ],
)
def test_known_units_are_those_of_udunits(units):
    cf_units_module = pytest.importorskip("cf_units", reason="comes with the dev extra")
    try:
        cf_units_module.Unit(units)
        accepted = True
    except ValueError:
        accepted = False
    assert looks_valid(units) == accepted
