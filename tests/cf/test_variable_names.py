"""Quantities recognised by standard name or by the short names of usual sources."""

import pytest
import xarray as xr

from flexclim.cf.variable_names import QUANTITIES, height_of, is_quantity, quantity_named


def field(name, height=None, **attributes):
    array = xr.DataArray(0.0, name=name, attrs=attributes)
    if height is None:
        return array
    return array.assign_coords(height=((), height, {"units": "m", "standard_name": "height"}))


@pytest.mark.parametrize(
    ("known", "other"),
    [
        ("t2m", field("tas", 2.0, standard_name="air_temperature")),
        ("t2m", field("2t", standard_name="unknown")),
        ("t2m", field("T2")),
        ("t2m", field("temp", 2.0, standard_name="air_temperature")),
        ("t2m", field("temp", standard_name="air_temperature", long_name="2 metre temperature")),
        ("tas", field("t2m")),
        ("u10", field("uas", 10.0, standard_name="eastward_wind")),
        ("u10", field("uas", 2.0)),  # a height that variables of a Dataset share
        ("u10", field("10u")),
        ("v10", field("10m_v_component_of_wind")),
        ("v10", field("V10")),
        ("u100", field("100u")),
        ("msl", field("psl", standard_name="air_pressure_at_mean_sea_level")),
        ("msl", field("anything", standard_name="air_pressure_at_sea_level")),
        ("qpe_01h", field("pr", standard_name="precipitation_flux")),
    ],
)
def test_the_same_quantity(known, other):
    assert is_quantity(other, quantity_named(known))


@pytest.mark.parametrize(
    ("known", "other"),
    [
        ("t2m", field("ta", standard_name="air_temperature")),  # on levels
        ("t2m", field("temp", 10.0, standard_name="air_temperature")),
        ("t2m", field("tas", standard_name="surface_temperature")),
        ("t2m", field("tas", standard_name="air_temperature", cell_methods="time: maximum")),
        ("t2m", field("tas_anomaly", standard_name="air_temperature_anomaly")),
        ("t2m", field("tas", units_metadata="temperature: difference")),
        ("u10", field("vas", 10.0, standard_name="northward_wind")),
        ("u10", field("u100")),
        ("u10", field("u", 100.0, standard_name="eastward_wind")),
        ("msl", field("sp", standard_name="surface_air_pressure")),
    ],
)
def test_another_quantity(known, other):
    assert not is_quantity(other, quantity_named(known))


def test_no_short_name_means_two_things():
    names = [name for one in QUANTITIES for name in one.names]
    assert len(names) == len(set(names))
    assert all(name == name.lower() for name in names)
    assert quantity_named("vorticity") is None


def test_heights_are_converted():
    tall = xr.DataArray(0.0, coords={"height": ((), 0.01, {"units": "km"})})
    assert height_of(tall) == pytest.approx(10)
    assert height_of(xr.DataArray(0.0)) is None
