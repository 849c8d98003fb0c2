"""Daily fields split into 6-hourly ones: members beside interpolation and a mean diurnal cycle.

    python -m benchmarks.days [--model FOLDER] [--members N]
    python -m benchmarks.days --synthetic FOLDER [--steps N] [--members N]

Daily means of GFS 10 m wind of August 2026, at 1 degree from 60 N to 59 S. The mean diurnal cycle
is that of training days (10 July to 2 August 2026) at each cell, added to linear interpolation in
time; departures of some of these days make an ensemble. All keep the daily mean. Without
``--model``, such as one trained by the recipe ``gfs_wind_days``, only these are scored.
``--synthetic`` trains a small network on temperatures whose truth is known, in minutes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import xarray as xr

import flexclim
from benchmarks.days import temperature
from benchmarks.days.scores import GIVEN, days_of, kept_table, score_table
from benchmarks.days.series import (
    by_day,
    daily,
    diurnal_cycle,
    in_days,
    interpolated,
    with_departures,
    with_extremes,
)

TIMES = 4
TRAIN, TEST = slice("2026-07-10", "2026-08-02"), slice("2026-08-07", "2026-08-11")
NAMES = "u10", "v10"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model")
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--synthetic", type=Path, metavar="FOLDER", help="of data and the run")
    parser.add_argument("--steps", type=int, default=400, help="of its training")
    options = parser.parse_args()
    if options.synthetic:
        model = temperature.train(options.synthetic, options.steps)
        print(temperature.compare(model, options.members).markdown())
        return
    truth, train = winds(TEST), winds(TRAIN)
    linear = interpolated(truth)
    cycle = linear + diurnal_cycle(train)
    known = in_days(truth).sel(day=linear.day)
    others = with_departures(linear, train, options.members)
    other_days = f"linear in time + departures of {options.members} other days"
    candidates = {
        "daily mean": by_day(daily(truth).sel(day=linear.day), truth),
        "linear in time": linear,
        "linear in time + mean diurnal cycle": cycle,
        "the same, with daily extremes": with_extremes(cycle, known),
        other_days: others,
        f"{other_days}, with daily extremes": with_extremes(others, known),
    }
    made: dict[str, xr.Dataset] = {}
    if options.model:
        made = {kind: split(days_of(truth, kind), options) for kind in GIVEN}
        name = f"{Path(options.model).name}, {options.members} members"
        candidates[name] = in_days(made["mean"])
        candidates[f"{name}, with daily extremes"] = in_days(made["extremes"])
    print(score_table("Daily to 6-hourly 10 m wind", candidates, known, "m/s").markdown())
    if made:
        print(kept_table(truth, made).markdown())


def winds(period: slice) -> xr.Dataset:
    """Return 6-hourly winds of a period, 60 N to 59 S."""
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    fields = xr.open_dataset(folder / "gfs_wind_1deg_2014_2026.nc")[list(NAMES)]
    return fields.sel(latitude=slice(60, -59), time=period).load()


def split(days: xr.Dataset, options: argparse.Namespace) -> xr.Dataset:
    """Return members at all times of the days."""
    made: xr.Dataset = flexclim.downscale(
        days, time_factor=TIMES, model=options.model, members=options.members
    )
    return made


if __name__ == "__main__":
    main()
