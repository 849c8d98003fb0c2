"""How cost and memory grow: with area, members, steps, times and worker processes.

    python -m benchmarks.scale [--sizes 1 2 4] [--only area members ...]
    python -m benchmarks.scale --region 2000 4000 8000 [--workers N]

Each run is ``downscale_to_zarr`` with flex-nano of a random smooth field, in a process of its own:
a base case of 4 times, 2 members, 2 steps and 256 x 256 fine cells, and the same with one of them
once, twice and four times as large. Prints the seconds and the peak memory above that of the
loaded model, the cost of a unit over that of the smallest run (1: linear), and the same for 1, 2
and 4 worker processes that share the cores: throughput over that of one process, which uses all
cores too; over the number of GPUs where there are some. ``--region`` writes one square field of
each size, cut into regions of 2048 x 2048 cells, and prints its time and memory.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

GROWN = "area", "members", "steps", "times", "workers"
BASE = {"area": 256 * 256, "members": 2, "steps": 2, "times": 4, "workers": 0}
FACTOR = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--only", choices=GROWN, nargs="+", default=GROWN)
    parser.add_argument("--region", type=int, nargs="+", help="cells of a side, such as 8000")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--case", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(**json.loads(options.case))))
    elif options.region:
        for side in options.region:
            one = {"area": side**2, "members": 1, "times": 1, "workers": options.workers}
            print(f"{side} x {side}: {told(run(BASE | one))}", flush=True)
    else:
        for name in options.only:
            grow(name, options.sizes)


def grow(name: str, sizes: list[int]) -> None:
    """Run one case in several sizes and print how it grows."""
    found = {}
    for size in sizes:
        if name == "workers":
            case = BASE | {"times": 8, "workers": size}
        else:
            case = BASE | {name: BASE[name] * size}
        found[size] = run(case)
        first, now = found[sizes[0]], found[size]
        cost = now["seconds"] / first["seconds"] * sizes[0] / size
        if name == "workers":
            import torch

            ideal = (
                min(size, torch.cuda.device_count()) / sizes[0] if torch.cuda.is_available() else 1
            )
            extra = f"throughput over ideal {first['seconds'] / now['seconds'] / ideal:.2f}"
        else:
            extra = f"cost of a unit {cost:.2f}, memory {now['peak_mb'] / first['peak_mb']:.2f}"
        print(f"{name:8} x{size}: {told(now)}; {extra}", flush=True)


def told(found: dict[str, float]) -> str:
    """Say what a run took."""
    return f"{found['seconds']:.1f} s, peak {found['peak_mb']:.0f} MB above the model"


def run(case: dict[str, int]) -> dict[str, float]:
    """Run a case in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale", "--case", json.dumps(case)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def measure(area: int, members: int, steps: int, times: int, workers: int) -> dict[str, float]:
    """Downscale and return seconds and peak memory in MB."""
    import flexclim
    from flexclim.execution.allocation import keep_memory
    from flexclim.execution.cluster import connected

    keep_memory()  # as the command line does
    coarse = field(round(math.sqrt(area) / FACTOR), round(math.sqrt(area) / FACTOR), times)
    options: dict[str, Any] = {"model": flexclim.load_model("flex-nano"), "steps": steps}
    with tempfile.TemporaryDirectory() as folder, connected(workers=workers or None):
        small = coarse.isel(time=slice(0, 1), y=slice(0, 16), x=slice(0, 16))
        # Each worker, and torch, warms up.
        flexclim.downscale_to_zarr(small, Path(folder) / "warm.zarr", FACTOR, members=8, **options)
        watch = Memory()
        began = time.perf_counter()
        with watch:
            flexclim.downscale_to_zarr(
                coarse, Path(folder) / "fine.zarr", FACTOR, members=members, **options
            )
        return {"seconds": time.perf_counter() - began, "peak_mb": watch.peak / 1e6}


class Memory:
    """The largest memory of this process and its children, beyond what they had at first."""

    def __enter__(self) -> Memory:
        self.peak, self._over = 0.0, threading.Event()
        self._first = self._now()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.peak = max(self.peak, self._now() - self._first)

    def _now(self) -> float:
        import psutil

        own = psutil.Process(os.getpid())
        total = own.memory_info().rss
        for child in own.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total


def field(height: int, width: int, times: int) -> xr.DataArray:
    """Return a lazy smooth random field on a projected grid, one chunk a time."""
    import dask.array as da
    import numpy as np
    import pandas as pd
    import xarray as xr
    from scipy import ndimage

    def draw(block_info: Any = None) -> np.ndarray:
        time_index = block_info[None]["chunk-location"][0]
        white = np.random.default_rng(time_index).normal(size=(height, width))
        return ndimage.gaussian_filter(white, 3)[None].astype("float32")

    chunks = ((1,) * times, (height,), (width,))
    return xr.DataArray(
        da.map_blocks(draw, chunks=chunks, dtype="float32"),
        coords={
            "time": pd.date_range("2018-09-14", periods=times, freq="6h"),
            "y": ("y", np.arange(height) * -4000.0, {"standard_name": "projection_y_coordinate"}),
            "x": ("x", np.arange(width) * 4000.0, {"standard_name": "projection_x_coordinate"}),
        },
        dims=("time", "y", "x"),
        name="t2m",
        attrs={"units": "K"},
    )


if __name__ == "__main__":
    main()
