"""CPU time of zarr's one event loop for a shard: as flexclim writes it, and as zarr does.

    python -m benchmarks.writing [--shards 8]

A shard holds one time of one member of a global field at a quarter of a degree, compressed as in
flexclim's stores. The thread of the event loop is shared by all threads that write, so that its
time limits how many shards a second a process writes; all else runs in parallel.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from scipy.ndimage import gaussian_filter
from zarr.core.sync import sync

from flexclim import stores
from flexclim.cf.encodings import encodings
from flexclim.stores.creation import create
from flexclim.stores.shards import Destination, Item, region_of, write_item

SHAPE = 721, 1440


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shards", type=int, default=8)
    count = parser.parse_args().shards
    random = np.random.default_rng(0)
    values = gaussian_filter(random.normal(size=SHAPE), 2) + 0.02 * random.normal(size=SHAPE)
    plane = values.astype("float32")[None, None]
    contents = []
    for name, write in (("zarr", by_zarr), ("flexclim", by_item)):
        with tempfile.TemporaryDirectory() as folder:
            place = empty_store(f"{folder}/fine.zarr", count + 1)
            write(place, 0, plane)
            before, busy = sync(loop_seconds()), time.process_time()
            for index in range(1, count + 1):
                write(place, index, plane)
            took, busy = sync(loop_seconds()) - before, time.process_time() - busy
            amount = count * plane.size / 1e9
            print(
                f"{name}: {took / amount:.1f} ms of the event loop and {busy / amount:.0f} of CPU"
            )
            contents.append(place.read("t/c/1/0/0/0"))
    print(f"a megapixel of a member; equal bytes: {contents[0] == contents[1]}")


def empty_store(path: str, members: int) -> stores.Place:
    """Return a store that was begun, without shards."""
    blocks = da.zeros((members, 1, *SHAPE), chunks=(1, 1, *SHAPE), dtype="float32")
    ds = xr.Dataset({"t": (("realization", "time", "lat", "lon"), blocks)})
    place = stores.Place(path)

    for name, encoding in encodings(ds, "zarr").items():
        ds[name].encoding = encoding
    create(ds, place, {})
    return place


def by_zarr(place: stores.Place, index: int, plane: np.ndarray) -> None:
    with zarr.config.set(stores.ZARR_SETTINGS):
        array = zarr.open_array(place.store, path="t", mode="r+")
        array.with_config({"write_empty_chunks": True})[index : index + 1] = plane


def by_item(place: stores.Place, index: int, plane: np.ndarray) -> None:
    where = index, 0, 0, 0
    region = region_of(zarr.open_array(place.store, path="t", mode="r"), where)
    whole = tuple(slice(0, size) for size in plane.shape)
    item = Item("t", where, region)
    write_item(Destination(place.store, place.name, item, None, ((whole, whole),)), [plane])


async def loop_seconds() -> float:
    """Return the CPU seconds of the thread that runs this."""
    return time.thread_time()


if __name__ == "__main__":
    main()
