"""Stores that survive being stopped at any moment."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from kept_stores import slow_repeats
from toys import PLAN, contents, shards, toy

from flexclim.errors import FlexclimError, FlexclimWarning
from flexclim.execution.network_tasks import NETWORK_RUN
from flexclim.execution.notes import record
from flexclim.files import PARTIAL
from flexclim.stores import Place, check_store, progress_of, write_store
from flexclim.stores.store import missing_items, threads_for


def missing(ds, store):
    return [(item.variable, item.index) for item in missing_items(ds, Place(store))]


def test_what_is_written_is_read(tmp_path, zarr_format):
    store = tmp_path / "new" / "a.zarr"
    write_store(toy(), store, PLAN)
    found = xr.open_zarr(store, consolidated=True)
    xr.testing.assert_equal(found.load(), toy().compute())
    assert found.attrs["history"] == "made"
    assert json.loads(found.attrs["flexclim_plan"]) == PLAN
    assert len(found.attrs["flexclim_plan_sha256"]) == 64
    array = zarr.open_array(store, path="t")
    shards = (1, 16, 8, 8) if zarr_format == 3 else None
    assert (array.shards, array.chunks) == (shards, (1, 16, 8, 8))
    assert array.metadata.zarr_format == zarr_format
    assert sorted(os.listdir(store.parent)) == ["a.zarr", "a.zarr.lock"]


def test_shards_of_nothing_are_files_too(kept):
    write_store(toy(), kept.store, PLAN)
    assert len(kept.shards("empty")) == 3
    assert missing(toy(), kept.store) == []
    assert check_store(kept.store) == {}


def test_calling_again_writes_what_is_missing_only(kept):
    write_store(toy(), kept.store, PLAN)
    before, moment = kept.contents(), kept.moment()
    calls = []
    write_store(toy(calls=calls), kept.store, PLAN)
    assert calls == []
    assert kept.written_since(moment) == set()
    lost = [kept.key(key) for key in ("t/c/1/2/0/0", "t/c/4/0/0/0", "empty/c/0/0/0")]
    kept.change(dict.fromkeys(lost))
    if kept.in_folder:  # as after a power cut
        kept.change({f"{lost[1]}.abc.partial": b"half", lost[2]: b""})
    wanted = [("t", (1, 2, 0, 0)), ("t", (4, 0, 0, 0)), ("empty", (0, 0, 0))]
    assert missing(toy(), kept.store) == wanted
    write_store(toy(calls=calls), kept.store, PLAN)
    # Members 0 and 1 are made together.
    assert sorted(calls) == sorted(
        [(m, t) for m in (0, 1) for t in range(32, 40)] + [(4, t) for t in range(16)]
    )
    assert kept.contents() == before


@pytest.mark.slow
def test_a_killed_writer_is_continued(store, tmp_path, zarr_format):
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from toys import *; from flexclim.stores import WriteOptions, write_store\n"
        f"options = WriteOptions(zarr_format={zarr_format})\n"
        f"write_store(toy(wait=0.02), {str(store)!r}, PLAN, options=options)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)

    def whole():  # what was being written when the writer died gives way to a new file
        return [path for path in shards(store) if path.suffix != PARTIAL]

    try:
        while len(whole()) < 5:
            assert writer.poll() is None, writer.stderr.read().decode()
            time.sleep(0.01)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    progress = progress_of(store)
    assert 5 <= sum(progress.done.values()) < 18
    assert not progress.complete
    assert not progress.writing
    before = {path: path.stat().st_mtime_ns for path in whole()}
    write_store(toy(), store, PLAN)
    write_store(toy(), tmp_path / "whole.zarr", PLAN)
    assert contents(store) == contents(tmp_path / "whole.zarr")
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())


@slow_repeats
def test_what_fails_in_a_block_stops_and_can_be_continued(kept):
    def explode(block, block_info=None):
        if block_info[0]["chunk-location"] == (1, 20, 0, 0):
            raise FlexclimError("'t' has 1 infinite or fill values")
        return block

    broken = toy()
    broken["t"] = broken["t"].copy(data=broken["t"].data.map_blocks(explode, dtype="float32"))
    with pytest.raises(FlexclimError, match="infinite"):
        write_store(broken, kept.store, PLAN)
    write_store(toy(), kept.store, PLAN)
    xr.testing.assert_equal(kept.open().load(), toy().compute())


def test_notes_of_tasks_are_kept_also_if_the_run_fails(store):
    def explode(block):
        record("a", "passes were split")
        raise FlexclimError("'t' has 1 infinite or fill values")

    broken = toy(times=1)
    with dask.annotate(**{NETWORK_RUN: "a"}):
        blocks = broken["t"].data.map_blocks(explode, dtype="float32")
    broken["t"] = broken["t"].copy(data=blocks)
    with (
        pytest.warns(FlexclimWarning, match="passes were split"),
        pytest.raises(FlexclimError, match="infinite"),
    ):
        write_store(broken, store, PLAN)
    write_store(toy(times=1), store, PLAN)
    assert xr.open_zarr(store).attrs["flexclim_notes"] == "passes were split"


def test_an_input_that_can_not_be_read_is_not_blamed_on_the_store(kept):
    def vanish(block):
        raise OSError(2, "No such file", "input.nc")

    broken = toy()
    broken["t"] = broken["t"].copy(data=broken["t"].data.map_blocks(vanish, dtype="float32"))
    with pytest.raises(FlexclimError, match=r"No such file: 'input\.nc'") as error:
        write_store(broken, kept.store, PLAN)
    assert "can't be written" not in str(error.value)
    found = progress_of(kept.store)
    assert found.done == {"t": 0, "empty": 3} if kept.in_folder else found is None


@pytest.mark.slow
def test_memory_does_not_grow_with_time(tmp_path):
    def peak(times):
        # Blocks that outweigh what dask keeps of each task.
        lazy = toy(times, members=2, side=192)
        tracemalloc.start()
        write_store(lazy, tmp_path / f"{times}.zarr", PLAN)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    # One thread: which blocks meet in memory would depend on the threads' turns.
    with dask.config.set(scheduler="synchronous"):
        few = peak(16)
        assert peak(64) < 1.5 * few


@pytest.mark.parametrize(
    ("device", "cores", "small", "large"),
    [("cpu", 2, 2, 2), ("cpu", 64, 64, 4), ("cuda", 2, 8, 8), ("cuda:1", 64, 64, 8)],
)
def test_fewer_threads_make_large_blocks(monkeypatch, device, cores, small, large):
    """Each holds what it works on; a GPU is kept busy by more than cores."""
    monkeypatch.setattr("flexclim.stores.store.CPU_COUNT", cores)
    for chunks, threads in (((1, 8, 8), small), ((2, 4096, 4096), large)):
        lazy = da.zeros((4, 8192, 8192), chunks=chunks)
        fields = xr.Dataset({"u10": (("time", "y", "x"), lazy), "plain": ("time", np.arange(4))})
        assert threads_for(fields, device) == threads


def test_the_user_may_ask_for_more_threads_than_cores(monkeypatch):
    monkeypatch.setattr("flexclim.stores.store.CPU_COUNT", 2)
    fields = xr.Dataset({"u10": (("y", "x"), da.zeros((64, 64), chunks=(8, 8)))})
    with dask.config.set(num_workers=6):
        assert threads_for(fields, "cpu") == 6
