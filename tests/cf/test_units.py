import pytest

from flexclim.cf.units import cf_units, looks_valid, temperature_kind


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
        "°C",
        "Celsius",
        "μg m-3",
        "Dobson",
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


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"units_metadata": "temperature: difference", "standard_name": "air_temperature"}, ""),
        ({"standard_name": "surface_temperature_anomaly"}, ""),
        ({"standard_name": "air_temperature standard_error"}, ""),
        ({"standard_name": "difference_of_air_temperature_from_model_reference"}, ""),
        ({"standard_name": "dew_point_depression"}, ""),
        ({"standard_name": "air_temperature", "cell_methods": "time: standard_deviation"}, ""),
        ({"standard_name": "air_temperature", "cell_methods": "area: mean time: range"}, ""),
        ({"long_name": "Air Surface Temperature Anomaly"}, "temperature"),
        ({"long_name": "Daily sea surface temperature anomalies"}, "anom"),
        ({"long_name": "Change of temperature, 2071-2100 minus 1981-2010"}, "tas"),
        ({"long_name": "Ensemble spread of 2 m temperature"}, "t2m"),
        ({"long_name": "Diurnal temperature range"}, "dtr"),
        ({}, "t2m_diff"),
        ({}, "tas_anom"),
        ({}, "dtr"),
        ({}, "tempanomaly"),
    ],
)
def test_differences_of_temperatures(attributes, name):
    assert temperature_kind(attributes, name) == "difference"


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"units_metadata": "temperature: on_scale", "long_name": "T with error bars"}, ""),
        ({"standard_name": "air_temperature"}, "tas"),
        ({"standard_name": "air_temperature", "cell_methods": "time: mid_range"}, "tas"),
        ({"standard_name": "air_temperature", "cell_methods": "time: mean"}, "tas"),
        ({"long_name": "Bias-adjusted near-surface air temperature"}, "tas"),
        ({"long_name": "Temperature of a climate change scenario"}, "tas"),
        ({"long_name": "2 metre temperature", "units_metadata": "temperature: unknown"}, "t2m"),
    ],
)
def test_temperatures_on_a_scale(attributes, name):
    assert temperature_kind(attributes, name) == "on_scale"


def test_unknown_temperatures_are_no_differences():
    assert temperature_kind({"units": "K"}, "sst") == "unknown"
    assert temperature_kind({}, "t2m_standard") == "unknown"
