import pytest
import xarray as xr

from flexclim import FlexclimError
from flexclim.verify.climate.precipitation import is_total_precipitation, millimetres_a_day


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("mm d-1", 2),
        ("mm/hr", 48),
        ("kg m-2 s-1", 172800),
        ("m", 2000),
        ("kg m-2", 2),
        ("inch", 50.8),
    ],
)
def test_rates_and_daily_amounts_are_converted(units, expected):
    field = xr.DataArray(2.0, name="tp", attrs={"units": units})
    found = millimetres_a_day(field, "field")
    assert float(found) == pytest.approx(expected)
    assert found.attrs["units"] == "mm d-1"


def test_what_is_no_precipitation_is_an_error():
    assert is_total_precipitation(xr.DataArray(attrs={"standard_name": "precipitation_flux"}))
    with pytest.raises(FlexclimError, match="not known as precipitation"):
        millimetres_a_day(xr.DataArray(1.0, name="snow"), "field")
    with pytest.raises(FlexclimError, match="is in '', which is neither"):
        millimetres_a_day(xr.DataArray(1.0, name="pr"), "field")
