"""Years of a hydrological region: processor time beside the forward passes, and memory.

    python -m benchmarks.catchment [--days 365 730] [--members 4]

Daily wind (u10) on 24 x 32 cells of 1 degree over Europe, planes of GFS of September 2018 in turn,
at factor 4 with flex-nano into a Zarr store; each number of days in a process of its own, with peak
memory above the loaded model. Processor time, of all threads, depends less on other work of the
machine than seconds do. A fifth of the bare forward passes is timed before and after.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks.downscale import FACTOR, TIMED, bare_passes
from benchmarks.memory import peak

ROWS, COLUMNS = 24, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, nargs="+", default=[365, 730])
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.members)
        return
    for days in options.days:
        arguments = ["--measure", str(days), "--members", str(options.members)]
        subprocess.run([sys.executable, "-m", "benchmarks.catchment", *arguments], check=True)


def region(days: int) -> xr.DataArray:
    """Return daily wind of a region, lazily, one day a chunk."""
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    wind = xr.open_dataset(folder / "gfs_wind_1deg_2018.nc")["u10"]
    part = wind.isel(latitude=slice(35, 35 + ROWS), longitude=slice(0, COLUMNS)).load()
    turns = part.isel(time=np.arange(days) % part.sizes["time"])
    daily = xr.date_range("2001-01-01", periods=days, freq="D")
    return turns.assign_coords(time=daily).chunk(time=1)


def measure(days: int, members: int) -> None:
    """Print the times of a downscaling and of its forward passes, and the peak memory."""
    import flexclim
    from flexclim.execution.allocation import keep_memory
    from flexclim.models.model import keep_loaded
    from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
    from flexclim.planning.source import resolve

    keep_memory()  # as the command line does
    coarse, model = region(days), flexclim.load_model("flex-nano")
    keep_loaded(model)
    asked = DownscalingOptions(factor=FACTOR, members=members)
    plan = plan_downscaling(resolve(coarse.to_dataset()), ["u10"], ["u10"], model, asked)

    def bare() -> float:
        began = time.process_time()
        bare_passes(model, plan, days)
        return (time.process_time() - began) / TIMED

    passes, before = [bare()], peak(reset=True)
    began, busy = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        flexclim.downscale_to_zarr(
            coarse, Path(folder) / "fine.zarr", FACTOR, model=model, members=members
        )
    took, busy = time.perf_counter() - began, time.process_time() - busy
    held = peak() - before
    passes.append(bare())
    print(
        f"{days} days x {members} members: {busy:.0f} s of one core ({took:.0f} s), forward "
        f"passes {passes[0]:.0f} and {passes[1]:.0f} s, ratio {2 * busy / sum(passes):.2f}; peak "
        f"{held:.0f} MB above the model; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
