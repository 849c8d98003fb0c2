"""Winds on regional grids of cells, for tests of regions."""

import numpy as np
import pandas as pd
import xarray as xr


def field(lat, lon, seed=0, times=1):
    random = np.random.default_rng(seed)
    return xr.DataArray(
        random.normal(size=(times, len(lat), len(lon))).astype("float32"),
        coords={"time": pd.date_range("2018-09-14", periods=times), "lat": lat, "lon": lon},
        dims=("time", "lat", "lon"),
        name="u10",
        attrs={"units": "m s-1", "standard_name": "eastward_wind"},
    )


REGION = field(np.arange(60.0, 36, -1), np.arange(5.0, 32))
UPWARD = REGION.isel(lat=slice(None, None, -1), lon=slice(None, None, -1))
