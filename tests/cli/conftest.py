import numpy as np
import pytest
import xarray as xr


@pytest.fixture
def coarse(tmp_path):
    path = tmp_path / "coarse.nc"
    values = np.random.default_rng(0).normal(size=(1, 16, 16))
    xr.Dataset(
        {"u10": (("time", "lat", "lon"), values, {"units": "m s-1"})},
        {
            "time": [np.datetime64("2020-01-01", "ns")],
            "lat": 60.0 - np.arange(16),
            "lon": 5.0 + np.arange(16),
        },
    ).to_netcdf(path)
    return path


@pytest.fixture
def model(toy_model, tmp_path):
    return toy_model.save(tmp_path / "toy")
