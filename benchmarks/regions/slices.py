"""Windows that slices of a lazy global field take, and the cost of the whole beside a plain run.

    python -m benchmarks.regions.slices [--model flex-nano] [--spacing 1]

A global field of points (both poles are rows) is brought to a quarter of its spacing. Slices of
20 x 20 fine cells lie in the middle, at the date line, at a pole and where chunks meet; further
ones are drawn at random, of which only windows are counted. The whole is computed lazily, in
chunks, and in memory, where nothing is cut; both in CPU seconds of one run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import gaussian_filter
from torch import Tensor

import flexclim
from benchmarks.skill.tables import Table
from flexclim.execution.allocation import keep_memory
from flexclim.planning.block_sizes import Box
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve
from flexclim.sampling.tiled_sampler import TiledSampler

FACTOR, SIDE, DRAWN = 4, 20, 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="flex-nano")
    parser.add_argument("--spacing", type=float, default=1.0)
    options = parser.parse_args()
    keep_memory()  # as the command line does
    coarse = globe(options.spacing)
    print(slices(coarse, options.model).markdown())
    print(windows_anywhere(coarse, options.model))


def globe(spacing: float) -> xr.DataArray:
    """Return smooth noise on rows from pole to pole."""
    lat = np.arange(90, -90.01, -spacing)
    lon = np.arange(0, 360, spacing)
    noise = np.random.default_rng(0).normal(size=(1, lat.size, lon.size))
    return xr.DataArray(
        gaussian_filter(noise, (0, 1.5, 1.5), mode="wrap").astype("float32") * 50,
        {"time": pd.date_range("2020-01-01", periods=1), "lat": lat, "lon": lon},
        ("time", "lat", "lon"),
        name="u10",
        attrs={"units": "m s-1", "standard_name": "eastward_wind"},
    )


def slices(coarse: xr.DataArray, model: str) -> Table:
    """Compute slices, and the whole in both ways."""
    lazy = flexclim.downscale(coarse.chunk(), FACTOR, model=model, members=1)
    with counted() as windows:
        plain, whole = timed(lambda: flexclim.downscale(coarse, FACTOR, model=model, members=1))
        rows = [("in memory", str(sum(windows)), "1", "")]
        windows.clear()
        took, found = timed(lazy.compute)
        rows.append(
            ("lazy, all chunks", str(sum(windows)), f"{took / plain:.3f}", gap(found, whole))
        )
        for name, (top, left) in places(lazy).items():
            windows.clear()
            part = {"lat": slice(top, top + SIDE), "lon": slice(left, left + SIDE)}
            took, found = timed(lazy.isel(part).compute)
            cost = f"{took / plain:.3f}"
            rows.append((name, str(sum(windows)), cost, gap(found, whole.isel(part), whole)))
    title = f"{coarse.shape[1]} x {coarse.shape[2]} points to {whole.shape[-2]} x {whole.shape[-1]}"
    heads = "windows", "CPU time", "largest difference, standard deviations"
    return Table(title, heads, rows)


def places(fine: xr.DataArray) -> dict[str, tuple[int, int]]:
    """Return the first row and column of each slice."""
    height, width = fine.shape[-2:]
    chunks = fine.chunksizes
    seam = [chunks[dim][0] for dim in fine.dims[-2:]]
    return {
        "middle": (height // 3, width // 3),
        "date line": (height // 3, 0),
        "pole": (0, width // 4),
        "where four chunks meet": (seam[0] - SIDE // 2, seam[1] - SIDE // 2),
    }


def windows_anywhere(coarse: xr.DataArray, model: str) -> str:
    """Count the windows of slices that lie at random places, with conserved means and without."""
    lines = []
    for conserve in (True, False):
        asked = DownscalingOptions(factor=FACTOR, members=1, conserve=conserve)
        loaded = flexclim.load_model(model)
        plan = plan_downscaling(resolve(coarse.to_dataset()), ["u10"], ["u10"], loaded, asked)
        height, width = plan.sampling.tiles.domain.shape
        random, counts = np.random.default_rng(0), []
        for _ in range(DRAWN):
            top, left = random.integers(0, (height - SIDE, width - SIDE))
            area = (int(top), int(top) + SIDE), (int(left), int(left) + SIDE)
            part = plan.within(Box(*area, (area,)))
            counts.append(sum(map(len, part.sampling.active)))
        lines.append(
            f"{DRAWN} slices, conserve={conserve}: {np.mean(counts):.1f} windows, "
            f"at most {max(counts)}, of {plan.sampling.tiles.count * plan.sampling.steps}"
        )
    return "\n".join(lines)


def gap(found: xr.DataArray, wanted: xr.DataArray, whole: xr.DataArray | None = None) -> str:
    """Return the largest difference in standard deviations of the whole."""
    scale = float((wanted if whole is None else whole).std())
    return f"{float(abs(found - wanted).max()) / scale:.0e}"


def timed(run: Callable[[], xr.DataArray]) -> tuple[float, xr.DataArray]:
    """Return the CPU seconds that a computation takes, and its result."""
    began = time.process_time()
    found = run()
    return time.process_time() - began, found


@contextmanager
def counted() -> Iterator[list[int]]:
    """Collect how many windows each forward pass has."""
    counts: list[int] = []
    plain = TiledSampler._denoise

    def denoise(self: TiledSampler, noisy: Tensor, *others: Any) -> Tensor:
        counts.append(len(noisy))
        return plain(self, noisy, *others)

    with patch.object(TiledSampler, "_denoise", denoise):
        yield counts


if __name__ == "__main__":
    main()
