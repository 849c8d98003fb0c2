import numpy as np
import pytest
import xarray as xr

from flexclim.plotting.colours import colours_of, signed, uncertainty


def field(low, high, name="x", **attrs):
    return xr.DataArray(np.linspace(low, high, 2001), dims="n", name=name, attrs=attrs)


@pytest.mark.parametrize(
    ("values", "cmap"),
    [
        (field(-5, 20, "u10", units="m s-1"), "RdBu_r"),
        (field(1, 20, "v10", units="m s-1"), "RdBu_r"),  # a component in a region without change
        (field(0.2, 20, "ws10", units="m s-1"), "YlGnBu"),
        (field(0, 30, "tp", units="mm"), "YlGnBu"),
        (field(-5, 20, "tas", units="degC"), "RdYlBu_r"),
        (field(280, 300, "t2m", units="K"), "RdYlBu_r"),
        (field(-2, 3, "t2m", units="K", long_name="temperature anomaly"), "RdBu_r"),
        (field(98000, 103000, "msl", units="Pa"), "viridis"),
        (field(0, 360, "wdir", units="degrees"), "twilight"),
        (field(0, 3, "slt", flag_values=[0, 1, 2, 3]), "tab20"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_quantity_has_its_scale(values, cmap):
    found = colours_of(values)
    assert found["cmap"] == cmap
    if cmap == "RdBu_r":
        assert found["vmin"] == -found["vmax"]
    if cmap == "YlGnBu":
        assert found["vmin"] == 0


def test_limits_leave_a_half_percent_out():
    assert signed(field(0, 1))["vmax"] == pytest.approx(0.995)
    assert uncertainty(field(0, 2))["vmax"] == pytest.approx(1.99)
    found = colours_of(field(280, 290, "t2m", units="K"))
    assert (found["vmin"], found["vmax"]) == pytest.approx((280.05, 289.95))


def test_rain_in_one_cell_and_no_values_have_limits_too():
    rain = xr.DataArray(np.r_[np.zeros(999), 4.0], name="tp")
    assert colours_of(rain) == {"cmap": "YlGnBu", "vmin": 0.0, "vmax": 4.0}
    found = colours_of(xr.DataArray(np.full(5, np.nan), name="t2m"))
    assert found["vmin"] < found["vmax"]
