"""Seconds of processor time and memory of ``regrid``: first call, and with known weights.

    python -m benchmarks.regrid_speed

Each case runs in a process of its own. The last column is the ratio to one call of xarray's
``interp`` (linear) of the same field to 1 degree. A small run, with grids 10 times coarser:
``python -m benchmarks.regrid_speed 10``.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import xarray as xr

import flexclim
from flexclim.grids.regridding.methods import RegridMethod

# Source, its rows at full size, target, method.
CASES: tuple[tuple[str, int, str, RegridMethod], ...] = (
    ("regular", 720, "1.0", "conservative"),
    ("regular", 720, "1.0", "conservative_2nd"),
    ("regular", 720, "1.0", "bilinear"),
    ("regular", 720, "healpix:6", "conservative"),
    ("curvilinear", 180, "1.0", "conservative"),
    ("curvilinear", 180, "healpix:6", "conservative"),
    ("curvilinear", 720, "1.0", "conservative"),
    ("curvilinear", 720, "1.0", "bilinear"),
)


def main() -> int:
    """Print a table of all cases."""
    smaller = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    names = f"{'source':12} {'rows':>5} {'to':10} {'method':17}"
    print(f"{names} {'first':>7} {'again':>7} {'MB':>6}  ratio")
    for case in CASES:
        code = f"from benchmarks import regrid_speed; regrid_speed.measure({case!r}, {smaller})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode:
            print(done.stderr.strip().splitlines()[-1:], file=sys.stderr)
            return 1
        first, again, memory, ratio = json.loads(done.stdout.strip().splitlines()[-1])
        source, rows, to, method = case
        print(
            f"{source:12} {rows // smaller:5} {to:10} {method:17} {first:7.2f} {again:7.2f} "
            f"{memory:6.0f} {ratio:6.1f}",
            flush=True,
        )
    return 0


def measure(case: tuple[str, int, str, RegridMethod], smaller: int) -> None:
    """Run one case and print processor seconds, megabytes and the ratio to ``interp``."""
    source, rows, to, method = case
    field = {"regular": regular, "curvilinear": rotated}[source](rows // smaller)
    target: float | str = to if to.startswith("healpix") else float(to) * smaller
    flexclim.regrid(regular(9), 30.0)  # imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first, again = (seconds(lambda: flexclim.regrid(field, target, method)) for _ in range(2))
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    plain, degrees = regular(rows // smaller), regular(180 // smaller)
    usual = seconds(lambda: plain.interp(lat=degrees.lat, lon=degrees.lon))
    print(json.dumps([first, again, memory, first / usual]))


def seconds(call: Callable[[], object]) -> float:
    """Return the processor time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def regular(rows: int) -> xr.DataArray:
    """Return a field on a global grid of rows and columns."""
    lat, lon = positions(rows)
    return xr.DataArray(values(lat, lon), {"lat": lat[:, 0], "lon": lon[0]}, ("lat", "lon"), "t")


def rotated(rows: int) -> xr.DataArray:
    """Return a field on a global grid with a rotated pole, described by 2-D positions only."""
    y, x = (np.deg2rad(part) for part in positions(rows))
    tilt = np.deg2rad(50)
    z = np.sin(y) * np.cos(tilt) - np.cos(y) * np.cos(x) * np.sin(tilt)
    along = np.cos(y) * np.cos(x) * np.cos(tilt) + np.sin(y) * np.sin(tilt)
    lat = np.rad2deg(np.arcsin(np.clip(z, -1, 1)))
    lon = np.rad2deg(np.arctan2(np.cos(y) * np.sin(x), along))
    coords = {"lat": (("y", "x"), lat), "lon": (("y", "x"), lon)}
    return xr.DataArray(values(lat, lon), coords, ("y", "x"), "t")


def positions(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 2-D latitudes and longitudes of cells of 180 / ``rows`` degrees."""
    lat, lon = ((np.arange(count) + 0.5) * 180 / rows for count in (rows, 2 * rows))
    both = np.meshgrid(90 - lat, lon, indexing="ij")
    return both[0], both[1]


def values(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return a smooth field."""
    return np.asarray(np.sin(np.deg2rad(lat)) + np.cos(np.deg2rad(lat)) * np.cos(np.deg2rad(lon)))


if __name__ == "__main__":
    sys.exit(main())
