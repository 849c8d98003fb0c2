"""Peak memory of ``downscale_to_zarr`` and of every score, as the data grow.

    python -m benchmarks.memory [downscale [MEMBERS] | scores [NAME ...]]

downscale: GFS wind (u10, global) from 4 degrees back to 1 with 8 members (or as given), lazily into
Zarr, above the loaded model, for 10 and 50 times. scores: a lazy ensemble of 10 members on 361 x
720 cells, one field a chunk, with its truth, for 10 and 30 times: 104 and 312 MB, of which no more
than a few fields at a time should be in memory. Each measurement runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

TIMES = (10, 30)
SHAPE = (10, 361, 720)  # members, rows, columns
TINY = (4, 9, 18)
THRESHOLD: dict[str, Any] = {"threshold": 1.0}
# Options of every score of a forecast and a truth.
SCORES: dict[str, dict[str, Any]] = {
    "crps": {},
    "crps_parts": {},
    "crps_decomposition": {},
    "threshold_weighted_crps": {"lower": 0.0},
    "mae": {},
    "rmse": {},
    "bias": {},
    "spread": {},
    "spread_skill": {},
    "spread_error": {},
    "pull": {},
    "rank_histogram": {},
    "brier": THRESHOLD,
    "brier_decomposition": THRESHOLD,
    "reliability": THRESHOLD,
    "roc": THRESHOLD,
    "contingency": THRESHOLD,
    "frequency": THRESHOLD,
    "quantiles": {},
    "exceedance": {},
    "anomaly_correlation": {"climatology": xr.DataArray(0.0)},
    "energy_score": {"patch": 8},
    "variogram_score": {"patch": 4},
    "lag_correlation": {},
    "increments": {},
    "two_cell_noise": {},
    "fss": {**THRESHOLD, "window": (1, 5)},
    "rfne": {},
    "ssim": {},
    "log_spectral_distance": {},
    "spectral_bias": {},
    "amplitude_ratio": {},
    "coherence": {},
    "effective_resolution": {},
    "evaluate": {},
}
# Of one field.
FIELDS: dict[str, dict[str, Any]] = {
    "spectrum": {},
    "seam": {"rows": [90, 180, 270], "columns": [180, 360, 540], "overlap": 16},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", nargs="?", default="all", help="downscale, or scores; else both")
    parser.add_argument("rest", nargs="*", help="number of members, or names of scores")
    given = parser.parse_args()
    what, rest = given.what, given.rest
    if what == "measure":
        measure_downscaling(*map(int, rest))
    elif what == "measure-score":
        measure_score(rest[0], int(rest[1]))
    else:
        if what != "scores":
            members = what if what.isdigit() else (rest or ["8"])[0]
            report_downscaling(members)
        if what in ("all", "scores"):
            report_scores(rest or [*SCORES, *FIELDS])


def run(*arguments: str) -> float:
    """Return the number that a process of its own prints last."""
    command = [sys.executable, "-m", "benchmarks.memory", *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(output.split()[-1])


def report_downscaling(members: str) -> None:
    peaks = {}
    for times in (10, 50):
        peaks[times] = run("measure", members, str(times))
        print(f"{times} times: peak {peaks[times]:.0f} MB above the model", flush=True)
    print(f"ratio {peaks[50] / peaks[10]:.2f}")


def report_scores(names: list[str]) -> None:
    sizes = [times * np.prod(SHAPE) * 4 / 1e6 for times in TIMES]
    print(f"{'peak in MB, ensemble of':28}{sizes[0]:8.0f} MB{sizes[1]:8.0f} MB  ratio")
    for name in names:
        few, many = (run("measure-score", name, str(times)) for times in TIMES)
        print(f"{name:28}{few:11.0f}{many:11.0f}{many / few:7.2f}", flush=True)


def measure_downscaling(members: int, times: int) -> None:
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


def measure_score(name: str, times: int) -> None:
    import flexclim.verify as verify

    score = getattr(verify, name)

    def compute(times: int, shape: tuple[int, int, int]) -> None:
        options = SCORES.get(name, FIELDS.get(name, {}))
        if name == "seam" and shape == TINY:
            options = {"rows": [4], "columns": [9], "overlap": 0}
        forecast, truth = make_fields(times, shape)
        given = (forecast,) if name in FIELDS else (forecast, truth)
        score(*given, **options).compute()

    compute(2, TINY)  # imports and compilation
    before = peak(reset=True)
    compute(times, SHAPE)
    print(peak() - before)


def make_fields(times: int, shape: tuple[int, int, int]) -> tuple[xr.DataArray, xr.DataArray]:
    """Return a lazy ensemble (realization, time, lat, lon) and its truth, one field a chunk."""
    members, rows, columns = shape
    coords = {
        "time": np.arange(times),
        "lat": np.linspace(90, -90, rows),
        "lon": np.arange(columns) * 360 / columns,
    }
    dims = ["realization", *coords]
    forecast = xr.DataArray(noise(0, (members, times, rows, columns)), coords, dims, "t")
    return forecast, xr.DataArray(noise(1, (times, rows, columns)), coords, dims[1:], "t")


def noise(seed: int, shape: tuple[int, ...]) -> Any:
    import dask.array as da

    def block(block_info: Any = None) -> np.ndarray:
        place = block_info[None]["chunk-location"]
        random = np.random.default_rng([seed, *place])
        return random.standard_normal(block_info[None]["chunk-shape"], dtype=np.float32)

    chunks = (*((1,) * size for size in shape[:-2]), (shape[-2],), (shape[-1],))
    return da.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty((0,) * len(shape)))


def peak(reset: bool = False) -> float:
    """Return the largest resident memory so far in MB (Linux); ``reset`` restarts from now."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
