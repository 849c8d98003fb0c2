import numpy as np
import pytest
import xarray as xr

# numbagg, where it is installed, compiles for half a minute before its first minimum.
xr.set_options(use_numbagg=False)


@pytest.fixture
def ensemble():
    """Six members, three times, eight rows from pole to pole, ten columns; and their truth."""
    rng = np.random.default_rng(7)
    coords = {
        "time": np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]").astype("M8[ns]"),
        "lat": np.linspace(90, -90, 8),
        "lon": np.arange(10) * 36.0,
    }
    dims = ["time", "lat", "lon"]
    truth = xr.DataArray(rng.normal(size=(3, 8, 10)), coords, dims, "wind", {"units": "m s-1"})
    noise = rng.normal(size=(6, 3, 8, 10))
    forecast = xr.DataArray(
        noise, {"realization": np.arange(6), **coords}, ["realization", *dims], "wind"
    ).assign_attrs(units="m s-1")
    return forecast, truth


@pytest.fixture
def area(ensemble):
    """Areas of the rows by hand: differences of sines of the bounds, half cells on the poles."""
    lat = np.linspace(90, -90, 8)
    edges = np.concatenate([[90], (lat[1:] + lat[:-1]) / 2, [-90]])
    weight = -np.diff(np.sin(np.deg2rad(edges)))
    return xr.DataArray(weight, dims=["lat"])
