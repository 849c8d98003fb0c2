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


def diurnal_cycle(fields: xr.Dataset) -> xr.Dataset:
    """Return the mean departure from linear interpolation at each cell and time of the day."""
    linear = interpolated(fields)
    return (in_days(fields).sel(day=linear.day) - linear).mean("day")


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
