"""Predictors on 2 degrees and a target on 0.5 degree, linear in space, for several tests."""

import numpy as np
import pandas as pd
import xarray as xr

DAYS = pd.date_range("2001-02-20 12:00", periods=12)
LEVELS = ("plev", [85000.0, 50000.0], {"units": "Pa", "axis": "Z", "positive": "down"})
LAT, LON = np.arange(38.0, 59, 2), np.arange(-4.0, 25, 2)
FINE = 42.25 + 0.5 * np.arange(16), 4.25 + 0.5 * np.arange(18)


def plane(lat, lon):
    """A field that interpolation leaves as it is."""
    return np.asarray(280 - 0.5 * (np.asarray(lat)[:, None] - 45) + 0.2 * np.asarray(lon))


def growing(times):
    """An amount that tells the time, in K per day."""
    return np.arange(len(times))[:, None, None] * 1.0


def levels(times=DAYS, lat=LAT, lon=LON):
    """Temperature at 850 and 500 hPa, the second 20 K cooler."""
    low = plane(lat, lon) + growing(times)
    values = np.stack([low, low - 20], axis=1)
    dims = "time", "plev", "lat", "lon"
    attrs = {"units": "K", "standard_name": "air_temperature"}
    return xr.Dataset(
        {"t": (dims, values, attrs)}, {"time": times, "plev": LEVELS, "lat": lat, "lon": lon}
    )


def surface(times=DAYS, lat=LAT[::-1], lon=LON):
    """Pressure, whose rows run from north to south."""
    values = 1000 + plane(lat, lon) + growing(times)
    attrs = {"units": "hPa", "standard_name": "air_pressure_at_mean_sea_level"}
    places = {"time": times, "lat": lat, "lon": lon}
    return xr.Dataset({"msl": (("time", "lat", "lon"), values, attrs)}, places)


def target(times=DAYS, lat=FINE[0], lon=FINE[1]):
    """The temperature at 850 hPa 8 K warmer."""
    values = plane(lat, lon) + growing(times) + 8
    attrs = {"units": "K", "standard_name": "air_temperature", "cell_methods": "time: maximum"}
    places = {"time": times, "lat": lat, "lon": lon}
    return xr.Dataset({"tasmax": (("time", "lat", "lon"), values, attrs)}, places)
