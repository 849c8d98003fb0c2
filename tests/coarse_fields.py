"""Coarse fields of noise that several tests downscale."""

import numpy as np
import pandas as pd
import xarray as xr


def region(times=1, rows=8, columns=8):
    """Return noise at 1 degree, every 6 hours; more times begin with the same ones."""
    random = np.random.default_rng(1)
    return xr.DataArray(
        random.normal(size=(times, rows, columns)).astype("float32"),
        coords={
            "time": pd.date_range("2018-09-14", periods=times, freq="6h"),
            "lat": 50.0 - np.arange(rows),
            "lon": 5.0 + np.arange(columns),
        },
        dims=("time", "lat", "lon"),
        name="t",
    )
