"""Variables that hold together are found by standard names, statistics in time and usual names."""

import pytest
import xarray as xr

from flexclim.cf.related_variables import relations_of


def field(name, units="K", standard="", methods="", dims=("time", "lat", "lon"), **attributes):
    attributes |= {"units": units, "standard_name": standard, "cell_methods": methods}
    kept = {key: value for key, value in attributes.items() if value}
    return xr.DataArray(xr.Variable(dims, [[[0.0]]], kept), name=name)


def found(*fields):
    return sorted(map(str, relations_of(fields)))


AIR, DEW = "air_temperature", "dew_point_temperature"


def test_cmip_names_and_cell_methods():
    mean = field("tas", "K", AIR, "area: time: mean")
    lowest = field("tasmin", "K", AIR, "area: mean time: minimum within days time: mean over days")
    highest = field("tasmax", "K", AIR, "area: mean time: maximum")
    assert found(mean, lowest, highest) == ["tasmax >= tas", "tasmin <= tas"]
    assert found(lowest, highest) == ["tasmax >= tasmin"]
    assert found(highest, mean) == ["tasmax >= tas"]
    assert found(lowest) == []


def test_what_cell_methods_state_overrules_the_name():
    mean = field("t2m", "K", AIR)
    assert found(mean, field("t_2m", "K", AIR, "time: minimum")) == ["t_2m <= t2m"]
    assert found(mean, field("tmax", "K", AIR, "time: range")) == []
    assert found(mean, field("tmax", "K", AIR, "time: minimum time: maximum")) == []


def test_units_convert():
    tasmin, tas = field("tasmin", "degC"), field("tas", "K")
    (relation,) = relations_of([tasmin, tas])
    assert relation.conversions[0](273.15) == pytest.approx(0.0, abs=1e-9)
    assert found(field("tasmin", "m"), tas) == []


@pytest.mark.parametrize("name", ["d2m", "tdps", "td2"])
def test_dew_points(name):
    assert found(field(name), field("2t")) == [f"{name} <= 2t"]


def test_only_one_field_may_be_meant():
    """The temperature at 850 hPa bounds no dew point at 2 m."""
    dew, level = field("d2m", "K", DEW), field("t850", "K", AIR)
    assert found(dew, level) == []
    assert found(dew, level, field("t2m", "K", AIR)) == ["d2m <= t2m"]
    assert found(dew, field("tas"), field("t2m")) == []
    assert found(dew, field("t2m", dims=("time", "y", "x"))) == []
    anomaly = field("tas", long_name="temperature anomaly")
    assert found(dew, anomaly) == []


def test_wind_speeds_of_moments():
    wind = [field(name, "m s-1") for name in ("u10", "v10", "si10", "u100", "v100", "ws100")]
    assert found(*wind) == ["si10 from u10 and v10", "ws100 from u100 and v100"]
    assert found(*wind[1:]) == ["ws100 from u100 and v100"]
    mean = field("sfcWind", "m s-1", "wind_speed", "area: time: mean")
    assert found(*wind[:2], mean) == []
