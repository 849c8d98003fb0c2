"""Fields and models of several named variables, with static predictors, for several tests."""

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.models.channels import Static, Target, Variable

RAIN = {"transform": "log1p", "unit": 0.1, "std": 0.5}
STATICS = tuple(Static(name=n) for n in ("orography", "latitude", "day_of_year", "solar_time"))


def fields(lat, lon):
    random = np.random.default_rng(0)
    dims = ("time", "lat", "lon")
    values = random.normal(size=(3, 2, lat.size, lon.size)).astype("float32")
    return xr.Dataset(
        {
            "u10": (dims, values[0], {"units": "m s-1"}),
            "v10": (dims, values[1], {"units": "m s-1"}),
            "tp": (dims, np.maximum(values[2], 0), {"units": "mm h-1"}),
        },
        {"time": pd.date_range("2018-09-14", periods=2, freq="6h"), "lat": lat, "lon": lon},
    )


def coarse_region():
    return fields(np.arange(50.0, 42, -1), np.arange(5.0, 14))


def static_fields():
    lat, lon = np.arange(-88.0, 90, 4), np.arange(0.0, 360, 4)
    values = np.random.default_rng(1).normal(size=(lat.size, lon.size))
    other = ("month", np.arange(12))
    return xr.Dataset(
        {"orography": (("lat", "lon"), values), "other": other}, {"lat": lat, "lon": lon}
    )


def wind_and_rain(make_toy, scaling):
    """Return a model of wind and rain with four static predictors."""
    inputs = (
        Variable(name="u10", vector=True, std=1.5),
        Variable(name="v10", vector=True),
        Variable(name="tp", mean=0.3, **RAIN),
    )
    targets = (
        Target(name="u10", base="u10", vector=True),
        Target(name="v10", base="v10", vector=True),
        Target(name="tp", base="tp", **RAIN),
    )
    return make_toy(3, 9, inputs=inputs, targets=targets, statics=STATICS, scaling=scaling)


def wind_energy(make_toy):
    """Return a model that makes of wind its kinetic energy, and wind at another height."""
    inputs = (Variable(name="u10", vector=True), Variable(name="v10", vector=True))
    targets = (
        Target(name="ke", transform="log1p", mean=1.0, non_negative=True),
        Target(name="u100", base="u10", vector=True),
    )
    card = {"units": {"ke": "m2 s-2", "u10": "m s-1"}}
    return make_toy(2, 2, card, inputs=inputs, targets=targets, scaling="fixed")
