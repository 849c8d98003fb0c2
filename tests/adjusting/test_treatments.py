"""Which quantities are adjusted by ratios, and from which amount on it rains."""

import numpy as np
import pytest
import xarray as xr

from flexclim.adjusting.treatments import treatment_of
from flexclim.cf.variable_names import is_precipitation
from flexclim.errors import FlexclimError


def field(name, units, **attributes):
    return xr.DataArray(name=name, attrs={"units": units, **attributes})


@pytest.mark.parametrize(
    ("name", "units", "standard", "kind", "trace"),
    [
        ("tas", "K", "air_temperature", "additive", 0),
        ("pr", "kg m-2 s-1", "precipitation_flux", "multiplicative", 0.05 / 86400),
        ("tp", "m", "lwe_thickness_of_precipitation_amount", "multiplicative", 5e-5),
        ("pr", "mm", "", "multiplicative", 0.05),
        ("prsn", "kg m-2 s-1", "snowfall_flux", "multiplicative", 0.05 / 86400),
        ("sfcWind", "m s-1", "wind_speed", "multiplicative", 0),
        ("rsds", "W m-2", "surface_downwelling_shortwave_flux_in_air", "multiplicative", 0),
        ("hurs", "%", "relative_humidity", "additive", 0),
        ("uas", "m s-1", "eastward_wind", "additive", 0),
        ("pr", "mm d-1", "precipitation_flux_anomaly", "additive", 0),
    ],
)
def test_the_kind_follows_from_the_quantity(name, units, standard, kind, trace):
    found = treatment_of(field(name, units, standard_name=standard))
    assert found.kind == kind
    assert found.trace == pytest.approx(trace, rel=1e-9)
    assert found.upper == (100 if units == "%" else np.inf)


def test_what_is_chosen_comes_first():
    rain = field("pr", "mm d-1", standard_name="precipitation_flux")
    assert treatment_of(rain, "additive").trace == 0
    assert treatment_of(rain, "additive").lower == 0
    assert treatment_of(rain, trace="1 mm d-1").trace == 1
    assert treatment_of(rain, trace="1 kg m-2 s-1").trace == pytest.approx(86400)
    assert treatment_of(field("tas", "K"), "multiplicative").kind == "multiplicative"
    assert is_precipitation(rain)
    assert not is_precipitation(field("tas", "K"))


@pytest.mark.parametrize(
    ("given", "kind", "trace", "said"),
    [
        (field("wd", "degree"), None, None, "'wd' holds a direction"),
        (field("slt", "1", flag_values=[1, 2]), None, None, "'slt' holds flags or categories"),
        (field("tas", "K"), "log", None, "kind 'log' is not known"),
        (field("tas", "degC"), "multiplicative", None, "in 'degC', whose zero is arbitrary"),
        (field("pr", "mm d-1"), None, "0.05", "is in 'mm d-1', of which '0.05' is no smallest"),
        (field("pr", "mm d-1"), None, "1 K", "trace|'1 K' is no smallest precipitation"),
        (field("pr", "hPa"), None, None, "correct the units"),
    ],
)
def test_other_input_is_one_line(given, kind, trace, said):
    with pytest.raises(FlexclimError, match=said):
        treatment_of(given, kind, trace)
