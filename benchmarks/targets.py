"""Processor time and peak memory of ``downscale(to=...)`` beside ``factor=`` with the same chain.

    python -m benchmarks.targets

Each case runs in a process of its own, with flex-nano and two members of one global field. Ratios
are those to ``factor=`` alone. A small run, with a grid 6 times coarser:
``python -m benchmarks.targets 6``.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import shapely
import xarray as xr

import flexclim

FACTOR, ROWS, MEMBERS = 4, 120, 2
# Targets, in units of the input's spacing where they are regular.
TARGETS = "none", "regular", "healpix", "stations", "polygons"


def main() -> int:
    """Print a table of all targets."""
    rows = ROWS // (int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print(f"{'to':10} {'seconds':>8} {'MB':>6} {'time':>6} {'memory':>6}")
    plain: list[float] = []
    for name in TARGETS:
        code = f"from benchmarks import targets; targets.measure({name!r}, {rows})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode:
            print(done.stderr.strip().splitlines()[-1:], file=sys.stderr)
            return 1
        found = json.loads(done.stdout.strip().splitlines()[-1])
        plain = plain or found
        ratios = [one / other for one, other in zip(found, plain, strict=True)]
        print(
            f"{name:10} {found[0]:8.2f} {found[1]:6.0f} {ratios[0]:6.2f} {ratios[1]:6.2f}",
            flush=True,
        )
    return 0


def measure(name: str, rows: int) -> None:
    """Run one case and print its processor seconds and the peak of its memory in megabytes."""
    step = 180 / rows
    lat, lon = 90 - step * (np.arange(rows) + 0.5), step * (np.arange(2 * rows) + 0.5)
    random = np.random.default_rng(0)
    values = random.normal(size=(rows, 2 * rows)).astype("float32")
    field = xr.DataArray(values, coords={"lat": lat, "lon": lon}, dims=("lat", "lon"), name="t")
    corner = field[:4, :4].drop_vars(["lat", "lon"]).assign_coords(lat=lat[:4], lon=lon[:4])
    options: dict[str, Any] = {"model": "flex-nano", "members": MEMBERS, "device": "cpu"}
    flexclim.downscale(corner, FACTOR, **options)  # imports, and reads the model
    start = time.process_time()
    flexclim.downscale(field, FACTOR, to=target(name, step), **options)
    seconds = time.process_time() - start
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def target(name: str, step: float) -> Any:
    """Return a target of a kind for a global grid of ``step`` degrees."""
    if name == "regular":
        return step / 3
    if name == "healpix":
        return f"healpix:{int(np.log2(60 / step) + 1)}"
    if name == "stations":
        random = np.random.default_rng(1)
        lat, lon = random.uniform(-80, 80, 1000), random.uniform(0, 360, 1000)
        return xr.Dataset(coords={"lat": ("station", lat), "lon": ("station", lon)})
    if name == "polygons":
        corners = [(x, y) for x in range(-170, 170, 20) for y in range(-60, 60, 20)]
        return [shapely.Point(x + 10, y + 10).buffer(7) for x, y in corners]
    return None


if __name__ == "__main__":
    sys.exit(main())
