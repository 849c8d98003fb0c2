"""Daily fields split into 6-hourly ones: members beside interpolation and a mean diurnal cycle.

    python -m benchmarks.days [--model FOLDER] [--members N]

Daily means of GFS 10 m wind of August 2026, at 1 degree from 60 N to 59 S. The mean diurnal cycle
is that of training days (July 2026) at each cell, added to linear interpolation in time; both keep
the daily mean. Without ``--model``, such as one trained by the recipe ``gfs_wind_days``, only these
are scored.
"""

from __future__ import annotations

import argparse
import os
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import xarray as xr

import flexclim
from benchmarks.skill.tables import Table
from flexclim import verify
from flexclim.resampling.day_operators import day_weights

TIMES = 4
TRAIN, TEST = slice("2026-07-10", "2026-08-02"), slice("2026-08-07", "2026-08-11")
NAMES = "u10", "v10"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model")
    parser.add_argument("--members", type=int, default=8)
    options = parser.parse_args()
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    winds = xr.open_dataset(folder / "gfs_wind_1deg_2014_2026.nc")[list(NAMES)]
    winds = winds.sel(latitude=slice(60, -59))
    truth, train = winds.sel(time=TEST).load(), winds.sel(time=TRAIN).load()
    cycle = diurnal_cycle(train)
    linear = interpolated(truth)
    candidates = {
        "daily mean": by_day(daily(truth).sel(day=linear.day), truth),
        "linear in time": linear,
        "linear in time + mean diurnal cycle": linear + cycle,
    }
    if options.model:
        days = truth.resample(time="1D").mean()
        fine = flexclim.downscale(
            days, time_factor=TIMES, model=options.model, members=options.members
        )
        candidates[f"{Path(options.model).name}, {options.members} members"] = in_days(fine)
    print(table(candidates, in_days(truth).sel(day=linear.day)).markdown())


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


def table(candidates: dict[str, xr.Dataset], truth: xr.Dataset) -> Table:
    """Return errors of the mean and CRPS, means over variables, at the days of the truth."""
    rows = []
    for name, fields in candidates.items():
        errors, scores, ratios = [], [], []
        for variable in NAMES:
            expected = truth[variable]
            found = fields[variable].sel(day=expected.day)
            ensemble = "realization" in found.dims
            found = found.transpose(*["realization"] * ensemble, *expected.dims)
            mean = found.mean("realization") if ensemble else found
            errors.append(float(verify.rmse(mean, expected)))
            scores.append(
                float(verify.crps(found, expected) if ensemble else verify.mae(mean, expected))
            )
            if ensemble:
                ratios.append(float(verify.spread_skill(found, expected)))
        spread = f"{np.mean(ratios):.2f}" if ratios else ""
        rows.append([name, f"{np.mean(errors):.3f}", f"{np.mean(scores):.4f}", spread])
    heads = ["RMSE of the mean, m/s", "fair CRPS, m/s", "spread/skill"]
    days = truth.day.dt.strftime("%d %B %Y").values
    note = f"{days[0]} to {days[-1]}; the CRPS of one field is its mean absolute error."
    return Table("Daily to 6-hourly 10 m wind", heads, rows, note)


if __name__ == "__main__":
    main()
