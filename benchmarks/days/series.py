"""Series of times as days, and what can be made of their daily values without a model.

All keep the daily mean.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import xarray as xr

from flexclim.resampling.day_operators import day_weights, keep_daily


def in_days(fields: xr.Dataset) -> xr.Dataset:
    """Return fields with dimensions of days and of the times of each."""
    days, hours = fields.time.dt.floor("D").values, fields.time.dt.hour.values
    return (
        fields.assign_coords(day=("time", days), hour=("time", hours))
        .set_index(time=["day", "hour"])
        .unstack("time")
    )


def daily(fields: xr.Dataset) -> xr.Dataset:
    """Return daily means."""
    return in_days(fields).mean("hour")


def by_day(means: xr.Dataset, fields: xr.Dataset) -> xr.Dataset:
    """Return daily means at each time of the day."""
    return means.expand_dims(hour=np.unique(fields.time.dt.hour.values))


def interpolated(fields: xr.Dataset) -> xr.Dataset:
    """Return daily means interpolated linearly in time, of days between other days."""
    means = daily(fields)
    inner = means.isel(day=slice(1, -1))
    around = [means.shift(day=1), means, means.shift(day=-1)]
    hours = np.unique(fields.time.dt.hour.values)
    made = [
        reduce(add, [float(w) * one for w, one in zip(weights, around, strict=True)]).sel(
            day=inner.day
        )
        for weights in day_weights(hours.size)
    ]
    return xr.concat(made, xr.DataArray(hours, dims="hour", name="hour"))


def departures(fields: xr.Dataset) -> xr.Dataset:
    """Return departures from linear interpolation at the times of days between other days."""
    linear = interpolated(fields)
    return in_days(fields).sel(day=linear.day) - linear


def diurnal_cycle(fields: xr.Dataset) -> xr.Dataset:
    """Return the mean departure at each cell and time of the day."""
    return departures(fields).mean("day")


def with_departures(made: xr.Dataset, fields: xr.Dataset, members: int) -> xr.Dataset:
    """Return an ensemble: interpolated days, with the departures of other days at each cell."""
    found = departures(fields)
    places = np.linspace(0, found.sizes["day"] - 1, members).round().astype(int)
    chosen = found.isel(day=places).drop_vars("day").rename(day="realization")
    return made + chosen.assign_coords(realization=np.arange(members))


def with_extremes(made: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """Return times of days (day, hour) that keep the daily mean, minimum and maximum of a truth."""
    known = [truth.mean("hour"), truth.min("hour"), truth.max("hour")]
    return xr.apply_ufunc(
        keep_daily,
        made,
        *(one.sel(day=made.day) for one in known),
        input_core_dims=[["hour"], [], [], []],
        output_core_dims=[["hour"]],
    )
