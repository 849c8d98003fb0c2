"""Opening fields, and stores that survive being killed."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from filelock import FileLock

from flexclim.errors import FlexclimError, StoreError
from flexclim.io import missing_items, open_input, write_netcdf, write_store

PLAN = {"model": "toy", "seed": 0, "factor": 4, "tiles": [32, 32]}


def toy(times=4, wait=0.0, calls=None, side=8):
    """Return five members in chunks of two, and a field of NaN and zeros, one chunk a time."""

    def fill(block, block_info=None):
        time.sleep(wait)
        place = tuple(start for start, _ in block_info[None]["array-location"])
        if calls is not None:
            calls.append(place)
        return np.random.default_rng(place).normal(size=block.shape).astype("float32")

    members = da.zeros((5, times, side, side), chunks=(2, 1, side, side), dtype="float32")
    empty = np.where(np.arange(times) % 2, 0.0, np.nan)[:, None, None] * np.ones((side, side))
    return xr.Dataset(
        {
            "t": (
                ("realization", "time", "lat", "lon"),
                members.map_blocks(fill, dtype="float32", name=f"fill-{times}-{side}"),
                {"units": "K"},
            ),
            "empty": (("time", "lat", "lon"), da.from_array(empty, chunks=(1, side, side))),
            "crs": ((), 0),
        },
        {
            "realization": np.arange(5, dtype="int32"),
            "time": np.datetime64("2020-01-01", "ns") + np.arange(times) * np.timedelta64(1, "D"),
            "lat": np.arange(side) * 1.0,
            "lon": np.arange(side) * 2.0,
            "area": (("lat", "lon"), da.ones((side, side))),
        },
        {"history": "made"},
    )


def files(store):
    """Return the chunk files of a store."""
    return sorted(path for path in store.glob("*/c/**/*") if path.is_file())


def test_what_is_written_is_read(tmp_path):
    store = write_store(toy(), tmp_path / "new" / "a.zarr", PLAN)
    found = xr.open_zarr(store, consolidated=True)
    xr.testing.assert_equal(found.load(), toy().compute())
    assert found.attrs["history"] == "made"
    assert json.loads(found.attrs["flexclim_plan"]) == PLAN
    assert len(found.attrs["flexclim_plan_sha256"]) == 64
    assert zarr.open_array(store, path="t").chunks == (2, 1, 8, 8)
    assert sorted(os.listdir(store.parent)) == ["a.zarr", "a.zarr.lock"]


def test_chunks_of_nothing_are_files_too(tmp_path):
    store = write_store(toy(), tmp_path / "a.zarr", PLAN)
    assert len(list((store / "empty" / "c").iterdir())) == 4
    assert missing_items(toy(), store) == {"t": [], "empty": []}


def test_a_flipped_bit_in_a_chunk_is_found(tmp_path):
    store = write_store(toy(), tmp_path / "a.zarr", PLAN)
    path = store / "t" / "c" / "1" / "2" / "0" / "0"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="checksum"):
        xr.open_zarr(store)["t"].load()


def test_calling_again_writes_what_is_missing_only(tmp_path):
    store = write_store(toy(), tmp_path / "a.zarr", PLAN)
    calls = []
    write_store(toy(calls=calls), store, PLAN)
    assert calls == []
    (store / "t" / "c" / "1" / "2" / "0" / "0").unlink()
    (store / "t" / "c" / "2" / "0" / "0" / "0").unlink()
    (store / "t" / "c" / "2" / "0" / "0" / "0.abc.partial").write_bytes(b"half")
    assert missing_items(toy(), store)["t"] == [(1, 2, 0, 0), (2, 0, 0, 0)]
    write_store(toy(calls=calls), store, PLAN)
    assert sorted(calls) == [(2, 2, 0, 0), (4, 0, 0, 0)]
    assert not list(store.rglob("*.partial"))
    xr.testing.assert_equal(xr.open_zarr(store).load(), toy().compute())


def test_a_killed_writer_is_continued(tmp_path):
    store = tmp_path / "a.zarr"
    code = (
        f"import importlib.util as u; s = u.spec_from_file_location('t', {__file__!r})\n"
        "t = u.module_from_spec(s); s.loader.exec_module(t)\n"
        f"t.write_store(t.toy(times=12, wait=0.1), {str(store)!r}, t.PLAN)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    try:
        while len(files(store) if store.exists() else ()) < 12 + 9:
            assert writer.poll() is None, writer.stderr.read().decode()
            time.sleep(0.02)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    left = sum(map(len, missing_items(toy(times=12), store).values()))
    assert 0 < left < 36 + 12
    before = {path: path.stat().st_mtime_ns for path in files(store)}
    write_store(toy(times=12), store, PLAN)
    whole = write_store(toy(times=12), tmp_path / "whole.zarr", PLAN)
    assert [p.relative_to(store) for p in files(store)] == [
        p.relative_to(whole) for p in files(whole)
    ]
    for path in files(whole):
        assert path.read_bytes() == (store / path.relative_to(whole)).read_bytes()
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())


def test_what_fails_in_a_chunk_stops_and_can_be_continued(tmp_path):
    def explode(block, block_info=None):
        if block_info[0]["chunk-location"] == (1, 2, 0, 0):
            raise FlexclimError("'t' has 1 infinite or fill values")
        return block

    broken = toy()
    broken["t"] = broken["t"].copy(data=broken["t"].data.map_blocks(explode, dtype="float32"))
    with pytest.raises(FlexclimError, match="infinite"):
        write_store(broken, tmp_path / "a.zarr", PLAN)
    store = write_store(toy(), tmp_path / "a.zarr", PLAN)
    xr.testing.assert_equal(xr.open_zarr(store).load(), toy().compute())


def test_another_plan_is_refused_by_name(tmp_path):
    store = write_store(toy(), tmp_path / "a.zarr", PLAN)
    before = {path: path.read_bytes() for path in files(store)}
    with pytest.raises(StoreError, match=r"begun with seed 0, not 1; steps null, not 4\. Ask"):
        write_store(toy(), store, PLAN | {"seed": 1, "steps": 4})
    many = {f"k{i}": i for i in range(9)}
    with pytest.raises(StoreError, match=r"k3 null, not 3 and 5 more\. Ask"):
        write_store(toy(), store, PLAN | many)
    with pytest.raises(StoreError, match="'t' or has it in another shape"):
        write_store(toy(times=5), store, PLAN)
    assert before == {path: path.read_bytes() for path in files(store)}


@pytest.mark.parametrize("kind", ["file", "folder", "zarr"])
def test_what_others_wrote_is_not_touched(tmp_path, kind):
    store = tmp_path / "a.zarr"
    if kind == "file":
        store.write_text("years of work")
    elif kind == "folder":
        store.mkdir()
        (store / "work.txt").write_text("years of work")
        (store / "own.partial").write_text("mine")
    else:
        toy().to_zarr(store, consolidated=False)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match="flexclim did not begin it"):
        write_store(toy(), store, PLAN)
    assert sorted(p for p in tmp_path.rglob("*") if p.suffix != ".lock") == before


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    store = write_store(toy(), tmp_path / "a.zarr", PLAN)
    xr.testing.assert_equal(xr.open_zarr(store).load(), toy().compute())


def test_a_second_writer_is_refused(tmp_path):
    with FileLock(tmp_path / "a.zarr.lock"), pytest.raises(StoreError, match="another process"):
        write_store(toy(), tmp_path / "a.zarr", PLAN)
    assert not (tmp_path / "a.zarr").exists()
    write_store(toy(), tmp_path / "a.zarr", PLAN)


def test_a_full_disk_gets_one_line(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(zarr.Array, "__setitem__", full)
        with pytest.raises(StoreError, match="can't be written: No space left on device"):
            write_store(toy(), tmp_path / "a.zarr", PLAN)
    store = write_store(toy(), tmp_path / "a.zarr", PLAN)
    xr.testing.assert_equal(xr.open_zarr(store).load(), toy().compute())


def test_an_input_that_can_not_be_read_is_not_blamed_on_the_store(tmp_path):
    def vanish(block):
        raise OSError(2, "No such file", "input.nc")

    broken = toy()
    broken["t"] = broken["t"].copy(data=broken["t"].data.map_blocks(vanish, dtype="float32"))
    with pytest.raises(FileNotFoundError, match=r"input\.nc"):
        write_store(broken, tmp_path / "a.zarr", PLAN)


def test_a_creation_that_was_killed_leaves_no_store(tmp_path):
    (tmp_path / "a.zarr.partial").mkdir()
    (tmp_path / "a.zarr.partial" / "zarr.json").write_text("{")
    write_store(toy(), tmp_path / "a.zarr", PLAN)
    assert sorted(os.listdir(tmp_path)) == ["a.zarr", "a.zarr.lock"]


def test_memory_does_not_grow_with_time(tmp_path):
    def peak(times):
        # Chunks that outweigh what dask keeps of each task.
        lazy = toy(times, side=512)
        tracemalloc.start()
        write_store(lazy, tmp_path / f"{times}.zarr", PLAN)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    # One thread: which chunks meet in memory would depend on the threads' turns.
    with dask.config.set(scheduler="synchronous"):
        few = peak(6)
        assert peak(24) < 1.5 * few


def test_netcdf_is_whole_or_not_there(tmp_path, monkeypatch):
    path = write_netcdf(toy(), tmp_path / "a.nc")
    xr.testing.assert_equal(open_input(path).load(), toy().compute())
    with pytest.raises(StoreError, match="exists"):
        write_netcdf(toy(), path)
    write_netcdf(toy(times=2), path, overwrite=True)
    assert open_input(path).sizes["time"] == 2

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="can't be written: No space left on device"):
        write_netcdf(toy(), path, overwrite=True)
    assert open_input(path).sizes["time"] == 2
    assert os.listdir(tmp_path) == ["a.nc"]


def test_inputs_are_opened_lazily(tmp_path):
    for path in (
        write_netcdf(toy(), tmp_path / "a.nc"),
        write_store(toy(), tmp_path / "a.zarr", PLAN),
    ):
        for name in (path, str(path)):
            assert isinstance(open_input(name)["t"].data, da.Array)


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "cut", "folder"])
def test_what_is_no_field_gets_one_line(tmp_path, kind):
    path = tmp_path / "a.nc"
    if kind == "text":
        path.write_text("lat,lon\n1,2\n")
    elif kind == "empty":
        path.touch()
    elif kind == "cut":
        content = write_netcdf(toy(), tmp_path / "whole.nc").read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(FlexclimError, match=r"a\.nc") as error:
        open_input(path)
    assert "\n" not in str(error.value)
    assert "Give" in str(error.value)
    assert len(str(error.value)) < 400 + len(str(path))
