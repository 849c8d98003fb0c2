"""A map and a time series at a point from a finished store, beside naive chunks.

    python -m benchmarks.reading [TIMES]

One member of a field of 721 x 1440 points at 64 times (or as given), smooth with noise: as flexclim
lays it out, and with one chunk a time (the plane) and one chunk for all times (a square), all with
the same compressor and checksum. Times are medians of reads that open the store anew; the system
has the files in memory, so that they tell of decoding and of the bytes that are touched.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

ROWS, COLUMNS = 721, 1440


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("times", nargs="?", type=int, default=64)
    times = parser.parse_args().times
    from flexclim.cf.encodings import encodings
    from flexclim.stores import write_store

    field = made_field(times)
    with tempfile.TemporaryDirectory() as place:
        ours, plane, series = (Path(place) / f"{name}.zarr" for name in ("ours", "plane", "series"))
        write_store(field, ours, {})
        for path, chunks in ((plane, (1, 1, ROWS, COLUMNS)), (series, (1, times, 32, 32))):
            encoding = encodings(field)
            encoding["t"]["chunks"] = chunks
            lazy = field.chunk(dict(zip(field["t"].dims, chunks, strict=True)))
            lazy.to_zarr(path, zarr_format=3, encoding=encoding, consolidated=True)
        print(f"{'':34}{'map, ms':>9}{'series, ms':>12}{'MB':>8}{'files':>7}")
        found = {}
        for name, path in (
            ("flexclim: shards of 16 times", ours),
            ("naive: one chunk a plane", plane),
            ("naive: one chunk for all times", series),
        ):
            maps = seconds(path, time=times // 2)
            points = seconds(path, lat=300, lon=700)
            files = [p for p in path.rglob("*") if p.is_file()]
            size = sum(p.stat().st_size for p in files) / 1e6
            found[path] = maps, points
            print(
                f"{name:34}{1e3 * maps:9.0f}{1e3 * points:12.0f}{size:8.0f}{len(files):7d}",
                flush=True,
            )
        print(
            f"of the time from planes: a series {found[ours][1] / found[plane][1]:.2f}, a map "
            f"{found[ours][0] / found[plane][0]:.2f}; of that from chunks of all times: a series "
            f"{found[ours][1] / found[series][1]:.2f}, a map "
            f"{found[ours][0] / found[series][0]:.2f}"
        )


def made_field(times: int) -> xr.Dataset:
    """Return one lazy member: waves that move, and small noise, as float32."""
    y, x = np.mgrid[:ROWS, :COLUMNS].astype("float32")
    lat, lon = np.linspace(90, -90, ROWS), np.linspace(0, 360, COLUMNS, endpoint=False)

    def plane(block: Any, block_info: Any = None) -> np.ndarray:
        step = block_info[None]["array-location"][1][0]
        noise = np.random.default_rng(step).normal(0, 0.3, (ROWS, COLUMNS))
        waves = 10 * np.sin(x / 40 + step / 5) * np.cos(y / 30)
        return (280 + waves + noise).astype("float32")[None, None]

    blocks = da.zeros((1, times, ROWS, COLUMNS), chunks=(1, 1, ROWS, COLUMNS), dtype="float32")
    made = blocks.map_blocks(plane, dtype="float32", name="plane")
    hours = np.datetime64("2020-01-01", "ns") + np.arange(times) * np.timedelta64(6, "h")
    return xr.Dataset(
        {"t": (("realization", "time", "lat", "lon"), made)},
        {"realization": np.arange(1, dtype="int32"), "time": hours, "lat": lat, "lon": lon},
    )


def seconds(path: Path, **place: int) -> float:
    """Return the median of the times that it takes to open a store and read one place of it.

    Without dask: what is asked for is read, no more.
    """
    took = []
    for _ in range(7):
        begun = time.perf_counter()
        xr.open_zarr(path, chunks=None)["t"].isel(realization=0, **place).load()
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


if __name__ == "__main__":
    main()
