import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim.cf.physical_bounds import NO_BOUNDS
from flexclim.cf.quantities import FieldProperties, vector_component


def named(name=None, **attributes):
    return xr.DataArray(name=name, attrs=attributes)


def lower(field):
    return FieldProperties.of(field).bounds.lower


@pytest.mark.parametrize(
    "field",
    [
        named("pr", standard_name="precipitation_flux", units="kg m-2 s-1"),
        named("tp", units="m", long_name="Total precipitation"),
        named("tp", units="mm", long_name="Bias-corrected precipitation"),
        named("pr", long_name="Precipitation of a climate change scenario"),
        named("qpe_01h", units="mm"),
        named("x", units="mm h-1"),
        named("r", units="%", long_name="Relative humidity"),
        named("hus", standard_name="specific_humidity"),
        named("ws", long_name="Wind speed", units="m s**-1"),
        named("lsm", standard_name="land_binary_mask", units="(0 - 1)"),
        named("mrsos", standard_name="mass_content_of_water_in_soil_layer", units="kg m-2"),
        named("swvl1", long_name="Volumetric soil water layer 1", units="m**3 m**-3"),
        named("swvl1"),
        named("snw", standard_name="surface_snow_amount", units="kg m-2"),
        named("sd", long_name="Snow depth", units="m of water equivalent"),
        named("mrro", standard_name="runoff_flux", units="kg m-2 s-1"),
        named("ro", long_name="Runoff", units="m"),
        named("cape", standard_name="atmosphere_convective_available_potential_energy"),
        named("cape", long_name="Convective available potential energy", units="J kg**-1"),
        named("lai_hv", long_name="Leaf area index, high vegetation", units="m**2 m**-2"),
        named("lai", standard_name="leaf_area_index", units="1"),
        named("rsds", standard_name="surface_downwelling_shortwave_flux_in_air", units="W m-2"),
        named("rlut", standard_name="toa_outgoing_longwave_flux", units="W m-2"),
        named("ssrd", long_name="Surface solar radiation downwards", units="J m**-2"),
        named("msdwlwrf", long_name="Mean surface downward long-wave radiation flux"),
        named("siconc", standard_name="sea_ice_area_fraction", units="%"),
        named("blh", long_name="Boundary layer height", units="m"),
        named("t2m_spread", long_name="Standard deviation of temperature", units="K"),
        named("tas", standard_name="air_temperature", cell_methods="time: standard_deviation"),
        named("tas", standard_name="air_temperature standard_error", units="K"),
    ],
)
def test_fields_that_can_not_be_negative(field):
    assert lower(field) == 0
    assert not vector_component(field)


@pytest.mark.parametrize(
    "field",
    [
        named(),
        named("t2m", units="K"),
        named("u10", units="m s-1"),
        named("pr", standard_name="precipitation_flux_anomaly"),
        named("tp", long_name="Total precipitation anomaly", units="mm"),
        named("pr", long_name="Change of precipitation", units="%"),
        named("pr", long_name="Standardized precipitation", units="1"),
        named("pr", standard_name="precipitation_flux", long_name="Trend of precipitation"),
        named("pr_change", units="%"),
        named("tp_anom", units="mm"),
        named("lwe", long_name="Precipitation minus evaporation", units="mm"),
        named("q", standard_name="product_of_eastward_wind_and_specific_humidity"),
        named("tp", long_name="log10 of precipitation"),
        named("ssr", standard_name="surface_net_downward_shortwave_flux", units="W m-2"),
        named("evap", standard_name="water_evapotranspiration_flux", units="kg m-2 s-1"),
        named("msl", long_name="Mean sea level pressure", units="Pa"),
        named("tsn", standard_name="temperature_in_surface_snow", units="degC"),
        named("z", units="m"),
        named("TERRAIN", long_name="terrain elevation", units="m"),
        named("zos", long_name="Sea level in August", units="m"),
    ],
)
def test_fields_that_can_be_negative_or_never_come_near(field):
    assert lower(field) is None


@pytest.mark.parametrize(
    ("field", "upper"),
    [
        (named("r", units="%", long_name="Relative humidity"), 100),
        (named("hurs", standard_name="relative_humidity", units="1"), 1),
        (named("clt", standard_name="cloud_area_fraction", units="%"), 100),
        (named("tcc", long_name="Total cloud cover", units="(0 - 1)"), 1),
        (named("tcc", units="okta"), 8),
        (named("siconc", standard_name="sea_ice_area_fraction", units="1"), 1),
        (named("lsm", long_name="Land-sea mask", units="(0 - 1)"), 1),
        (named("al", standard_name="surface_albedo", units="1"), 1),
        (named("tcc", long_name="Total cloud cover"), None),
        (named("x", units="%"), None),
        (named("lai", standard_name="leaf_area_index", units="1"), None),
        (named("o3", standard_name="mole_fraction_of_ozone_in_air", units="1e-9"), None),
        (named("clt", units="1", cell_methods="time: standard_deviation"), None),
        (named("clt", long_name="Change of cloud cover", units="%"), None),
    ],
)
def test_fractions_have_an_upper_bound_in_their_units(field, upper):
    assert FieldProperties.of(field).bounds.upper == upper


@pytest.mark.parametrize(
    "field",
    [
        named("quality", flag_values=np.array([0, 1, 2], "i1"), flag_meanings="good fair bad"),
        named("mask", flag_masks=np.array([1, 2, 4], "i1")),
        named("ptype", units="(Code table 4.201)"),
        named("slt", long_name="Soil type", units="~"),
        named("IVGTYP"),
        named("typ", standard_name="area_type"),
        named("sst_qc", standard_name="sea_surface_temperature status_flag"),
    ],
)
def test_categories(field):
    found = FieldProperties.of(field)
    assert found.category
    assert not found.continuous
    assert found.bounds == NO_BOUNDS


@pytest.mark.parametrize(
    ("field", "period"),
    [
        (named("wd", standard_name="wind_from_direction", units="degree"), 360),
        (named("wd", standard_name="wind_to_direction"), 360),
        (named("mwd", long_name="Mean wave direction", units="Degree true"), 360),
        (named("wdir10", units="degrees"), 360),
        (named("dir", long_name="Wind direction", units="radians"), 2 * math.pi),
        (named("saa", standard_name="solar_azimuth_angle", units="degree"), 360),
        (named("wdir", units="m s-1"), None),
        (named("wdir"), None),
        (named("wd", long_name="Standard deviation of wind direction", units="degree"), None),
        (named("u", long_name="Wind component in x direction", units="m s-1"), None),
        (named("slope", units="degree"), None),
    ],
)
def test_directions_have_a_period(field, period):
    assert FieldProperties.of(field).period == period


def test_differences_of_temperatures():
    assert FieldProperties.of(named("tas_anom", units="K")).difference
    assert not FieldProperties.of(named("tas", units="K")).difference


@pytest.mark.parametrize(
    "field",
    [
        named("a", standard_name="eastward_wind"),
        named("a", standard_name="surface_downward_northward_stress"),
        *map(
            named, ["u10", "v10", "u100", "v100", "u", "v", "ua", "vas", "U10M", "10v", "UGRD_10m"]
        ),
        named("wind", long_name="10 metre U wind component"),
        named(None, long_name="northward wind"),
    ],
)
def test_components_that_turn_at_a_pole(field):
    assert vector_component(field)
    assert FieldProperties.of(field).bounds == NO_BOUNDS


@pytest.mark.parametrize(
    "field",
    [
        named(),
        named("u10", standard_name="x_wind"),
        named("uv_index"),
        named("vis"),
        named("wind_speed"),
        named("vo", standard_name="atmosphere_relative_vorticity"),
    ],
)
def test_fields_that_do_not_turn(field):
    assert not vector_component(field)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.lists(st.floats(), max_size=3).map(np.array),
    st.lists(st.sampled_from(["a", "1.0", "[", "nan"]), max_size=3),
)
READ = (
    *("standard_name", "long_name", "units", "cell_methods", "units_metadata", "flag_values"),
    *("_FillValue", "missing_value", "valid_range", "valid_min", "valid_max"),
)


@given(
    attributes=st.dictionaries(st.sampled_from(READ), ODD, max_size=4),
    encoding=st.dictionaries(st.sampled_from(["scale_factor", "add_offset"]), ODD, max_size=2),
    name=st.one_of(st.none(), st.text(max_size=4), st.integers()),
    dtype=st.sampled_from(["f4", "i2", "u1", "?", "f2"]),
)
@settings(max_examples=50, deadline=None)
def test_attributes_of_any_type_are_read(attributes, encoding, name, dtype):
    field = xr.DataArray(np.zeros((2, 2), dtype), dims=("y", "x"), name=name, attrs=attributes)
    field.encoding = encoding
    found = FieldProperties.of(field)
    assert hash(found) == hash(FieldProperties.of(field))  # plain data
    assert found.missing.valid[0] <= found.missing.valid[1]
    assert all(math.isfinite(code) or math.isinf(code) for code in found.missing.codes)
