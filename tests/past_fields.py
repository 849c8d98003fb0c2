"""Past snapshots of wind and rain to forecast from, for tests."""

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.models.channels import Static, Target

NAMES = "u10", "v10", "tp"
TARGETS = (
    Target(name="u10", vector=True, std=2.0),
    Target(name="v10", vector=True, std=2.0),
    Target(name="tp", transform="log1p", unit=0.1, mean=1.0),
)
STATICS = tuple(Static(name=name) for name in ("latitude", "solar_time", "day_of_year"))
UNITS = {"u10": "m s-1", "v10": "m s-1", "tp": "mm h-1"}


def fields(lat, lon, times=3, dtype="float32"):
    random = np.random.default_rng(0)
    values = random.normal(size=(3, times, lat.size, lon.size)).astype(dtype)
    values[2] = np.maximum(values[2], 0)
    return xr.Dataset(
        {
            name: (("time", "lat", "lon"), own, {"units": UNITS[name]})
            for name, own in zip(NAMES, values, strict=True)
        },
        {"time": pd.date_range("2018-12-31T06", periods=times, freq="6h"), "lat": lat, "lon": lon},
    )
