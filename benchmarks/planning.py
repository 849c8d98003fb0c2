"""Planning decades of days: seconds, and tasks of the optimised graph.

    python -m benchmarks.planning [--years 30] [--members 8] [--rounds 3]

Daily fields of 24 x 32 cells in yearly chunks, brought to 96 x 128 with flex-nano; nothing is
computed. An array is planned by ``downscale`` and its graph optimised by dask; of a store, all
writing tasks are planned and optimised with what they depend on, up to the point where the first
would run. Seconds are the least of the rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dask
import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from dask.highlevelgraph import HighLevelGraph

import flexclim
from flexclim.execution import engine

ROWS, COLUMNS, FACTOR, MODEL = 24, 32, 4, "flex-nano"


class Planned(Exception):
    """Ends a run before its first task, with the number of tasks."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--years", type=int, default=30)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    coarse = days(options.years)
    print(f"{coarse.sizes['time']} days x {options.members} members")
    for name, plan in (("array", array_tasks), ("store", store_tasks)):
        tasks, seconds, busy = least(partial(plan, coarse, options.members), options.rounds)
        print(f"{name}: {tasks} tasks, {seconds:.2f} s, {busy:.2f} s of CPU", flush=True)


def days(years: int) -> xr.DataArray:
    """Return daily temperatures of whole years, a chunk each, lazy."""
    time_axis = pd.date_range("1991-01-01", periods=365 * years)
    values = da.zeros((time_axis.size, ROWS, COLUMNS), chunks=(365, -1, -1), dtype="float32")
    return xr.DataArray(
        values + np.float32(280),
        {
            "time": time_axis,
            "lat": np.arange(ROWS) / 4 + 40,
            "lon": np.arange(COLUMNS) / 4 + 5,
        },
        name="t2m",
        attrs={"units": "K"},
    )


def array_tasks(coarse: xr.DataArray, members: int) -> int:
    """Return how many tasks compute a lazy array."""
    fine = flexclim.downscale(coarse, FACTOR, model=MODEL, members=members)
    (optimised,) = dask.optimize(fine)
    return len(dict(optimised.__dask_graph__()))


def store_tasks(coarse: xr.DataArray, members: int) -> int:
    """Return how many tasks write a store."""

    def count(graph: HighLevelGraph, rounds: list[list[Any]], *_: object) -> None:
        raise Planned(len(dict(graph.cull({key for keys in rounds for key in keys}))))

    with tempfile.TemporaryDirectory() as folder, patch.object(engine, "run_locally", count):
        try:
            where = Path(folder) / "fine.zarr"
            flexclim.downscale_to_zarr(coarse, where, FACTOR, model=MODEL, members=members)
        except Planned as planned:
            return int(planned.args[0])
    raise AssertionError


def least(plan: Callable[[], int], rounds: int) -> tuple[int, float, float]:
    """Return the number of tasks, and the least seconds of wall and CPU of some rounds."""
    seconds, busy = [], []
    for _ in range(rounds):
        began, cpu = time.perf_counter(), time.process_time()
        tasks = plan()
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - cpu)
    return tasks, min(seconds), min(busy)


if __name__ == "__main__":
    main()
