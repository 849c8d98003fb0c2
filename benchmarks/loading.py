"""Patches a second from local stores, and how much longer steps take than the network alone.

    python -m benchmarks.loading [WORKERS]

A field like ERA5's (two variables, 721 x 1440, 24 times, 200 MB) is written as Zarr with one time
a chunk (as ARCO-ERA5), as Zarr in pieces of 256 x 256, and as compressed NetCDF with one time a
chunk. Records this large are usually not held in memory; the last line is of a short one that is.
For each store: patches of 64 x 64 made by one thread alone, then training steps of the default
network at batch 16 on this machine with one batch again and again, and with a new batch each, made
beside the step before. The CPU time of patches over the network's bounds what they cost where that
keeps all cores busy; OMP_NUM_THREADS=1 leaves a core to them.
WORKERS: processes that make patches; without it one thread does.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr

from flexclim.execution.allocation import keep_memory
from flexclim.train import load_recipe
from flexclim.train.data import normalisation, source_fields
from flexclim.train.data.batches import PREFETCHED
from flexclim.train.loop.processes import join_ranks
from flexclim.train.loop.run import Run

STEPS, WARM = 12, 3
RECIPE = """
name: loading
data:
  folder: {folder}
  inputs: [u10, v10]
  workers: {workers}
  sources:
    - path: {path}
      train: ["0", "19"]
      validate: ["22", "23"]
trainer: {{steps: {steps}, batch: 16, validation_patches: 2, warmup: 2}}
output: {folder}/run-{name}
"""


def main() -> None:
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    keep_memory()  # as the command `flexclim train` does
    # Times are few here; a real record is larger than memory.
    held = source_fields.IN_MEMORY
    normalisation.BATCHES = 1
    with tempfile.TemporaryDirectory() as folder:
        for name, path in write(Path(folder)).items():
            steps = 1 + STEPS + PREFETCHED * max(1, workers)
            text = RECIPE.format(folder=folder, path=path, name=name, steps=steps, workers=workers)
            (Path(folder) / f"{name}.yaml").write_text(text)
            source_fields.IN_MEMORY = held if "memory" in name else 0
            rate, alone, fed, share = measure(Path(folder) / f"{name}.yaml")
            print(
                f"{name:24} {rate:6.0f} patches/s made; a step takes {alone:.2f} s alone, "
                f"{fed / alone:.3f} times that with patches, which take {share:.3f} of its CPU",
                flush=True,
            )


def write(folder: Path) -> dict[str, str]:
    """Write the same field to all stores."""
    random = np.random.default_rng(0)
    shape = 24, 721, 1440
    latitude = np.linspace(90, -90, shape[1])
    dims = ("time", "latitude", "longitude")
    smooth = random.normal(size=(2, *shape)).astype("float32").cumsum(-1).cumsum(-2) * 1e-2
    ds = xr.Dataset(
        {name: (dims, field) for name, field in zip(("u10", "v10"), smooth, strict=True)},
        coords={
            "time": pd.date_range("2020-01-01", periods=shape[0], freq="6h"),
            "latitude": latitude,
            "longitude": np.arange(shape[2]) * 0.25,
        },
    )
    chunks = {"time": 1, "latitude": -1, "longitude": -1}
    ds.chunk(chunks).to_zarr(folder / "planes.zarr", consolidated=False)
    ds.chunk({"time": 1, "latitude": 256, "longitude": 256}).to_zarr(
        folder / "pieces.zarr", consolidated=False
    )
    packed = {"zlib": True, "complevel": 1, "chunksizes": (1, 721, 1440)}
    ds.to_netcdf(folder / "planes.nc", encoding={"u10": packed, "v10": packed})
    return {
        "Zarr, a time a chunk": "planes.zarr",
        "Zarr, 256 x 256": "pieces.zarr",
        "NetCDF, a time a chunk": "planes.nc",
        "the same in memory": "planes.nc",
    }


def measure(recipe: Path) -> tuple[float, float, float, float]:
    """Return patches a second made alone, seconds a step alone and fed, and the share of CPU.

    The last is the CPU time of making patches over that of the network alone.
    """
    with join_ranks() as ranks, Run(load_recipe(recipe), ranks) as run:
        run.start(resume=False)
        began, busy = time.perf_counter(), time.process_time()
        run.data.train.batch(0, 48)
        rate = 48 / (time.perf_counter() - began)
        made = (time.process_time() - busy) / 48
        batches = run.batches()
        batch = next(batches)

        def alone(steps: int) -> tuple[float, float]:
            """Return seconds and CPU seconds once batches that are made ahead are there."""
            for _ in range(WARM):
                run.learner.step(run.done, batch)
            settle(ranks.device.type)
            began, busy = time.perf_counter(), time.process_time()
            for _ in range(steps):
                run.learner.step(run.done, batch)
            settle(ranks.device.type)
            return time.perf_counter() - began, time.process_time() - busy

        # Before and after, so that a machine that slows down does not decide.
        before = alone(STEPS // 2)
        for _ in range(PREFETCHED * max(1, run.recipe.data.workers)):
            run.advance(next(batches))
        settle(ranks.device.type)
        began = time.perf_counter()
        for _ in range(STEPS):
            run.advance(next(batches))
        settle(ranks.device.type)
        fed = time.perf_counter() - began
        seconds, spent = (sum(one) for one in zip(before, alone(STEPS // 2), strict=True))
    return rate, seconds / STEPS, fed / STEPS, 16 * STEPS * made / spent


def settle(device: str) -> None:
    """Wait for a GPU."""
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
