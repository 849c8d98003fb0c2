import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, verify


def test_coordinates_almost_the_same_are_snapped(ensemble):
    forecast, truth = ensemble
    moved = forecast.assign_coords(lat=forecast.lat + 1e-9)
    assert float(verify.crps(moved, truth)) == float(verify.crps(forecast, truth))


def strip(step, dtype="float64"):
    """Return a column of longitudes near 360 degrees, in the type given."""
    lon = np.round(359.5 - step * np.arange(40)[::-1], 6).astype(dtype)
    return xr.DataArray(np.arange(40.0), {"lon": lon}, ["lon"], attrs={"units": "K"})


def turned(field):
    return field.assign_coords(lon=(field.lon + 180) % 360 - 180)


@pytest.mark.parametrize("step", [0.25, 0.1, 0.025, 0.01, 0.0025])
def test_float32_coordinates_of_the_same_grid_match(step):
    wide, narrow = strip(step), strip(step, "float32")
    for forecast, truth in [(wide, narrow), (narrow, wide), (turned(narrow), turned(wide))]:
        assert float(verify.mae(forecast, truth)) == 0
    # A chain of float32 sums is not rounding alone: no more than a tenth of a spacing passes.
    moved = wide.assign_coords(lon=wide.lon + 0.11 * step)
    with pytest.raises(AlignmentError, match=r"0\.11\d* of a spacing"):
        verify.mae(moved.assign_coords(lon=moved.lon.astype("float32")), wide)


@pytest.mark.parametrize(
    ("step", "dtype", "shift"),
    [(0.01, "float64", 2e-4), (1.0, "float32", 3e-4), (0.25, "float32", 1e-3)],
)
def test_rounding_opens_no_hole(step, dtype, shift):
    truth = strip(step, dtype)
    moved = (truth.lon.astype(float) + shift * step).astype(dtype)
    with pytest.raises(AlignmentError, match="'lon' differs in 40 of 40"):
        verify.mae(truth.assign_coords(lon=moved), truth)
