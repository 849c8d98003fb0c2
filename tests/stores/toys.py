"""A lazy dataset that costs nothing, for stores; also run by other processes."""

import time

import dask.array as da
import numpy as np
import pytest
import xarray as xr

# Repeats of longer tests with format 2.
BOTH = pytest.mark.parametrize(
    "zarr_format", [3, pytest.param(2, marks=pytest.mark.slow)], indirect=True
)
METADATA = "zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata"
PLAN = {"model": "toy", "seed": 0, "factor": 4, "tiles": [32, 32]}


def toy(times=40, members=5, wait=0.0, calls=None, side=8, first=0):
    """Return members in blocks of two, and a field of NaN and zeros, one block a time.

    Values hang on member and time alone. ``calls`` gets the (member, time) of each value made.
    """

    def fill(block, block_info=None):
        time.sleep(wait)
        starts = [start for start, _ in block_info[None]["array-location"]]
        planes = []
        for member in range(starts[0], starts[0] + block.shape[0]):
            if calls is not None:
                calls.append((member, starts[1] + first))
            random = np.random.default_rng((member, starts[1] + first))
            planes.append(random.normal(size=(1, side, side)).astype("float32"))
        return np.stack(planes)

    zeros = da.zeros((members, times, side, side), chunks=(2, 1, side, side), dtype="float32")
    name = f"fill-{times}-{members}-{side}-{first}"
    days = np.arange(first, first + times)
    empty = np.where(days % 2, 0.0, np.nan)[:, None, None] * np.ones((side, side))
    return xr.Dataset(
        {
            "t": (
                ("realization", "time", "lat", "lon"),
                zeros.map_blocks(fill, dtype="float32", name=name),
                {"units": "K"},
            ),
            "empty": (("time", "lat", "lon"), da.from_array(empty, chunks=(1, side, side))),
            "crs": ((), 0),
        },
        {
            "realization": np.arange(members, dtype="int32"),
            "time": np.datetime64("2020-01-01", "ns") + days * np.timedelta64(1, "D"),
            "lat": np.arange(side) * 1.0,
            "lon": np.arange(side) * 2.0,
            "area": (("lat", "lon"), da.ones((side, side))),
        },
        {"history": "made"},
    )


def shards(store):
    """Return the files of shards, sorted; those of chunks in format 2."""
    return sorted(p for name in ("t", "empty") for p in values_in(store / name))


def values_in(folder):
    """Return the files of shards and chunks in a folder."""
    return [p for p in folder.rglob("*") if p.is_file() and p.name not in METADATA]


def file_of(store, name, *index):
    """Return the file of a shard, or of a chunk in format 2."""
    numbers = [str(number) for number in index]
    if (store / ".zgroup").exists():
        return store / name / ".".join(numbers)
    return store.joinpath(name, "c", *numbers)


def key_of(store, name, *index):
    """Return the key of a shard, or of a chunk in format 2."""
    return file_of(store, name, *index).relative_to(store).as_posix()


def contents(store):
    """Return the content of all files but those of the root, which tell how it was made."""
    return {
        p.relative_to(store).as_posix(): p.read_bytes()
        for p in store.rglob("*")
        if p.is_file() and not (p.parent == store and p.name in METADATA)
    }
