"""Peak memory of a bias adjustment into a Zarr store, as the number of years grows.

    python -m benchmarks.adjusting [--years 10 30] [--cells 24 32]

Daily random temperatures of a reference, a model's past and its projection, of as many years each,
in stores with chunks of 8 x 8 cells and all times; each number of years in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks.memory import peak

CHUNKS = {"time": -1, "lat": 8, "lon": 8}
FIRST = {"reference": 1981, "historical": 1981, "projection": 2021}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--years", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--cells", type=int, nargs=2, default=[24, 32])
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.cells)
        return
    for years in options.years:
        arguments = ["--measure", str(years), "--cells", *map(str, options.cells)]
        subprocess.run([sys.executable, "-m", "benchmarks.adjusting", *arguments], check=True)


def daily(first: int, years: int, cells: list[int]) -> xr.Dataset:
    """Return random daily temperatures of years of 365 days."""
    times = xr.date_range(
        f"{first}-01-01", periods=365 * years, freq="D", calendar="noleap", use_cftime=True
    )
    random = np.random.default_rng(first)
    values = 283 + 5 * random.standard_normal((times.size, *cells), "float32")
    units = {"standard_name": "air_temperature", "units": "K"}
    places = {
        "time": times,
        "lat": ("lat", 40.0 + np.arange(cells[0]), {"units": "degrees_north"}),
        "lon": ("lon", 5.0 + np.arange(cells[1]), {"units": "degrees_east"}),
    }
    return xr.Dataset({"tas": (("time", "lat", "lon"), values, units)}, places)


def measure(years: int, cells: list[int]) -> None:
    """Print time and peak memory above that of the same adjustment of a few cells."""
    import flexclim  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        for size in ([4, 4], cells):
            for name, first in FIRST.items():
                made = daily(first, years, size).chunk(CHUNKS)
                made.to_zarr(Path(folder) / f"{name}.zarr", mode="w", consolidated=False)
            del made
            opened = {
                name: xr.open_zarr(Path(folder) / f"{name}.zarr", consolidated=False)
                for name in FIRST
            }
            before, began = peak(reset=True), time.process_time()
            adjusted = opened.pop("projection").flex.adjust(**opened)
            adjusted.to_zarr(Path(folder) / "adjusted.zarr", mode="w", consolidated=False)
    print(
        f"{years} years of {cells[0]} x {cells[1]} cells: {time.process_time() - began:.0f} s of "
        f"processor time, peak {peak() - before:.0f} MB above before",
        flush=True,
    )


if __name__ == "__main__":
    main()
