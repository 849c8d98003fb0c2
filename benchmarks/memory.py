"""Peak memory of ``downscale_to_zarr`` above that of the loaded model, for 10 and 50 times.

    python -m benchmarks.memory [MEMBERS]

GFS wind (u10, global) from 4 degrees back to 1 with 8 members (or as given), lazily into Zarr; each
size runs in a process of its own.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    if len(sys.argv) > 2:
        measure(int(sys.argv[1]), int(sys.argv[2]))
        return
    members = sys.argv[1] if len(sys.argv) > 1 else "8"
    peaks = {}
    for times in (10, 50):
        command = [sys.executable, "-m", "benchmarks.memory", members, str(times)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks[times] = float(output.split()[-1])
        print(f"{times} times: peak {peaks[times]:.0f} MB above the model", flush=True)
    print(f"ratio {peaks[50] / peaks[10]:.2f}")


def measure(members: int, times: int) -> None:
    import xarray as xr

    import flexclim
    from flexclim.execution.allocation import keep_memory

    keep_memory()  # as the command line does
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    wind = xr.open_dataset(folder / "gfs_wind_1deg_2018.nc", chunks={"time": 1})["u10"]
    coarse = flexclim.coarsen(wind.isel(time=slice(0, times)), 4)
    model = flexclim.load_model("flex-nano")
    before = peak()
    with tempfile.TemporaryDirectory() as place:
        flexclim.downscale_to_zarr(
            coarse, Path(place) / "fine.zarr", 4, model=model, members=members
        )
    print(peak() - before)


def peak() -> float:
    """Return the largest resident memory so far in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
