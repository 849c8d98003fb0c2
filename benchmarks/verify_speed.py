"""CRPS and rank histogram against scores and xskillscore (with numba): seconds and memory.

    python -m benchmarks.verify_speed

An ensemble of 50 x 8 x 361 x 720 float32 in memory, as numpy and as dask (one time a chunk, and one
member a chunk). Each tool runs in a process of its own, three times after a first call on a small
part, and prints the best time and the largest memory above that of the data. The rounds alternate
between tools, so that other work on the machine hits all alike. A small run:
``python -m benchmarks.verify_speed 10 2 91 180``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

SHAPE = (50, 8, 361, 720)
ROUNDS = 2
REPEATS = 3
DIMS = ("member", "time", "lat", "lon")
CASES = (
    ("crps fair", "numpy", ("flexclim", "scores")),
    ("crps fair", "dask", ("flexclim", "scores")),
    ("crps ecdf", "numpy", ("flexclim", "xskillscore")),
    ("crps ecdf", "dask", ("flexclim", "xskillscore")),
    ("ranks", "numpy", ("flexclim", "scores", "xskillscore")),
    ("ranks", "dask", ("flexclim",)),
    ("crps fair", "one member a chunk", ("flexclim",)),
    ("ranks", "one member a chunk", ("flexclim",)),
)


def main() -> int:
    """Print a table of all cases, with ratios to flexclim's time."""
    shape = tuple(map(int, sys.argv[1:])) or SHAPE
    print("x".join(map(str, shape)), "float32")
    print(
        f"{'score':10} {'layout':18} {'tool':12} {'seconds':>8} {'MB above data':>14} {'ratio':>6}"
    )
    for score, layout, tools in CASES:
        best: dict[str, tuple[float, float]] = {}
        for _ in range(ROUNDS):
            for tool in tools:
                found = measure_apart(score, layout, tool, shape)
                old = best.get(tool, (np.inf, 0.0))
                best[tool] = min(old[0], found[0]), max(old[1], found[1])
        for tool, (seconds, memory) in best.items():
            ratio = seconds / best["flexclim"][0]
            print(
                f"{score:10} {layout:18} {tool:12} {seconds:8.2f} {memory:14.0f} {ratio:6.2f}",
                flush=True,
            )
    return 0


def measure_apart(score: str, layout: str, tool: str, shape: tuple[int, ...]) -> list[float]:
    """Measure one case in a process of its own."""
    case = ", ".join(map(repr, (score, layout, tool, shape)))
    code = f"from benchmarks import verify_speed; verify_speed.measure({case})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        print(f"{score} {layout} {tool}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return [np.inf, np.inf]
    seconds, memory = json.loads(done.stdout.strip().splitlines()[-1])
    return [seconds, memory]


def measure(score: str, layout: str, tool: str, shape: tuple[int, ...]) -> None:
    """Run one case in this process and print seconds and megabytes."""
    rng = np.random.default_rng(0)
    coords = {"lat": np.linspace(90, -90, shape[2]), "lon": np.arange(shape[3]) * 360 / shape[3]}
    forecast = xr.DataArray(rng.standard_normal(shape, dtype=np.float32), coords, DIMS)
    truth = xr.DataArray(rng.standard_normal(shape[1:], dtype=np.float32), coords, DIMS[1:])
    if layout == "dask":
        forecast, truth = forecast.chunk(time=1), truth.chunk(time=1)
    elif layout == "one member a chunk":
        forecast = forecast.chunk(member=1)
    run = tool_of(score, tool)
    run(forecast.isel(time=[0], lat=slice(0, 4)), truth.isel(time=[0], lat=slice(0, 4)))
    times, peaks = zip(*(timed(lambda: run(forecast, truth)) for _ in range(REPEATS)), strict=True)
    print(json.dumps([min(times), max(peaks)]))


def tool_of(score: str, tool: str) -> Callable[[xr.DataArray, xr.DataArray], Any]:
    """Return a function that computes the score with equal weights over all points."""
    if tool == "flexclim":
        from flexclim import verify

        if score == "ranks":
            return lambda f, t: verify.rank_histogram(f, t, weights=None).compute()
        estimator: Literal["fair", "ecdf"] = "fair" if score == "crps fair" else "ecdf"
        return lambda f, t: verify.crps(f, t, estimator=estimator, weights=None).compute()
    if tool == "scores":
        if score == "ranks":
            from scores.probability import rank_histogram

            return lambda f, t: rank_histogram(f, t, "member").compute()
        from scores.probability import crps_for_ensemble

        return lambda f, t: crps_for_ensemble(f, t, "member", method="fair").compute()
    import xskillscore

    if score == "ranks":
        return lambda f, t: xskillscore.rank_histogram(t, f, member_dim="member").compute()
    return lambda f, t: xskillscore.crps_ensemble(t, f, member_dim="member").compute()


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Return seconds and the largest memory above that at the start, in MB."""
    start, peak, running = resident(), resident(), True

    def watch() -> None:
        nonlocal peak
        while running:
            peak = max(peak, resident())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    try:
        run()
    finally:
        seconds = time.perf_counter() - began
        running = False
        watcher.join()
    return seconds, peak - start


def resident() -> float:
    """Return the memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    sys.exit(main())
