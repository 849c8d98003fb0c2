import pytest
import xarray as xr

from flexclim.cf.quantities import non_negative, vector_component


def named(name=None, **attributes):
    return xr.DataArray(name=name, attrs=attributes)


@pytest.mark.parametrize(
    "field",
    [
        named("pr", standard_name="precipitation_flux", units="kg m-2 s-1"),
        named("tp", units="m", long_name="Total precipitation"),
        named("qpe_01h", units="mm"),
        named("x", units="mm h-1"),
        named("r", units="%", long_name="Relative humidity"),
        named("hus", standard_name="specific_humidity"),
        named("ws", long_name="Wind speed", units="m s**-1"),
        named("lsm", standard_name="land_binary_mask", units="(0 - 1)"),
    ],
)
def test_fields_that_can_not_be_negative(field):
    assert non_negative(field)
    assert not vector_component(field)


@pytest.mark.parametrize(
    "field",
    [
        named(),
        named("t2m", units="K"),
        named("u10", units="m s-1"),
        named("pr", standard_name="precipitation_flux_anomaly"),
        named("tp", long_name="Total precipitation anomaly", units="mm"),
        named("evap", standard_name="water_evapotranspiration_flux", units="kg m-2 s-1"),
        named("msl", long_name="Mean sea level pressure", units="Pa"),
        named("z", units="m"),
    ],
)
def test_fields_that_can_be_negative_or_never_come_near(field):
    assert not non_negative(field)


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
    assert not non_negative(field)


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
