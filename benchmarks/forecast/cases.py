"""Which fields are forecast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import flexclim
from benchmarks.skill.fields import HOURS, without_false_rain
from flexclim.train import load_recipe, simulate
from flexclim.train.data.turbulence import DAY

GFS, MRMS = "gfs_wind_1deg_2018.nc", "mrms_precip_1km_201609.nc"
GFS_YEARS = "gfs_wind_1deg_2014_2026.nc"
COARSEN, BOX, LARGEST = 4, 256, 200.0  # of MRMS; cells; mm
FLOWS, SEED = 4, 1000
# Snapshots a lead apart: so many of the past and so many that follow.
Load = Callable[[Path, "Case", int, int], Iterator[xr.Dataset]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Fields to forecast, by steps of ``hours``.

    Of the ``variables``, ``scored`` are scored; empty: all. Fields of ``period`` of a file are
    forecast; those of ``training`` were there for training.
    """

    name: str
    title: str
    model: str
    variables: tuple[str, ...]
    scored: tuple[str, ...] = ()
    hours: float
    load: Load
    leads: int = 4
    file: str = ""
    period: tuple[str, str] = ("", "")
    training: tuple[str, str] = ("", "")
    reynolds: float = 0.0
    rivals: tuple[str, ...] = ()


def gfs(folder: Path, case: Case, past: int, ahead: int) -> Iterator[xr.Dataset]:
    """Yield whole globes of a period, at all starts without gaps."""
    wind = xr.open_dataset(folder / case.file)[list(case.variables)]
    known = wind.sel(time=slice(*case.period)).time.values
    steps = np.arange(1 - past, ahead + 1) * np.timedelta64(round(case.hours * 60), "m")
    for start in known:
        if np.isin(wanted := start + steps, known).all():
            yield wind.sel(time=wanted).load()


def mrms(folder: Path, case: Case, past: int, ahead: int) -> Iterator[xr.Dataset]:
    """Yield boxes of hourly precipitation."""
    for first in range(60, HOURS + 1 - past - ahead):
        hours = [_hour(folder, hour) for hour in range(first, first + past + ahead)]
        box = _wettest(hours[past - 1], np.any([np.isnan(h.qpe_01h[0]) for h in hours[:past]], 0))
        yield xr.concat([hour.isel(box) for hour in hours], "time")


@lru_cache(maxsize=16)
def _hour(folder: Path, hour: int) -> xr.Dataset:
    """Return an hour at 4 km; one at a time is unpacked."""
    rain = xr.open_dataset(folder / MRMS)[["qpe_01h"]].isel(time=[hour]).astype(np.float32).load()
    rain = without_false_rain(rain.where(rain <= LARGEST), hour, np.nan)
    return flexclim.coarsen(rain, COARSEN)[["qpe_01h"]].astype(np.float32)


def _wettest(rain: xr.Dataset, missing: np.ndarray) -> dict[str, slice]:
    """Return the box in which most rain falls, among those without gaps."""
    values = np.where(missing, np.nan, rain.qpe_01h.values[0])
    rows, columns = (size // BOX for size in values.shape)
    boxes = values[: rows * BOX, : columns * BOX].reshape(rows, BOX, columns, BOX)
    row, column = divmod(int(np.nan_to_num(boxes.sum((1, 3)), nan=-1.0).argmax()), columns)
    places = zip(("latitude", "longitude"), (row * BOX, column * BOX), strict=True)
    return {name: slice(first, first + BOX) for name, first in places}


def turbulence(folder: Path, case: Case, past: int, ahead: int) -> Iterator[xr.Dataset]:
    """Yield flows of their own seeds, as the recipe simulates them."""
    known = load_recipe("flex_turbulence").data.sources[0].turbulence
    assert known is not None
    assert case.hours * 3600 == known.every * DAY
    own = {"viscosity": 1 / case.reynolds, "snapshots": past + ahead}
    flows = simulate(known.model_copy(update=own | {"runs": FLOWS, "seed": SEED}))
    for flow in range(FLOWS):
        yield (
            flows[list(case.variables)]
            .isel(time=slice(flow * (past + ahead), None))
            .isel(time=slice(past + ahead))
        )


WIND: dict[str, Any] = {
    "model": "flex-forecast",
    "variables": ("u10", "v10"),
    "load": gfs,
    "rivals": ("persistence and past changes",),
}
FLOW: dict[str, Any] = {
    "model": "flex-turbulence",
    "variables": ("vorticity", "u", "v"),
    "scored": ("vorticity",),
    "hours": 1.5,
    "load": turbulence,
    "leads": 20,
    "rivals": ("mean network",),
}
CASES = [
    Case(
        name="gfs-wind",
        title="GFS 10 m wind, September 2018, 1 degree",
        hours=6.0,
        file=GFS,
        period=("2018-09-01", "2018-09-30"),
        training=("2018-10-01", "2018-10-13"),
        **WIND,
    ),
    Case(
        name="gfs-wind-2026",
        title="GFS 10 m wind, 7 to 11 August 2026, 1 degree",
        hours=6.0,
        file=GFS_YEARS,
        period=("2026-08-07", "2026-08-11"),
        training=("2026-07-06", "2026-08-02"),
        **WIND,
    ),
    Case(
        name="gfs-wind-3h",
        title="GFS 10 m wind, 15 and 16 October 2018 (validation), 1 degree",
        hours=3.0,
        file=GFS,
        period=("2018-10-15", "2018-10-16"),
        training=("2018-10-01", "2018-10-13"),
        **WIND,
    ),
    Case(
        name="mrms",
        title="MRMS hourly precipitation, 22 September 2016, 4 km",
        model="flex-nowcast",
        variables=("qpe_01h",),
        hours=1.0,
        load=mrms,
        rivals=("extrapolation",),
    ),
    Case(name="turbulence", title="Turbulence, Reynolds number 600", reynolds=600.0, **FLOW),
    Case(
        name="turbulence-unseen",
        title="Turbulence, Reynolds number 1200, which training never had",
        reynolds=1200.0,
        **FLOW,
    ),
]
