"""The same requests of a folder and of an icechunk repository give the same store."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from toys import PLAN, toy

from flexclim.errors import StoreError
from flexclim.stores import Place, check_store, progress_of, write_store
from flexclim.stores.datasets import open_input


@pytest.fixture
def repository():
    icechunk = pytest.importorskip("icechunk")
    return icechunk.Repository.create(icechunk.in_memory_storage())


@pytest.fixture(params=["folder", "repository"])
def kept(request, tmp_path):
    """Return a place for a store: a folder, or an icechunk repository."""
    if request.param == "folder":
        return tmp_path / "a.zarr"
    return request.getfixturevalue("repository")


def small(**sizes):
    return toy(**({"times": 3, "members": 2} | sizes))


def read(kept):
    return open_input(Place(kept).store).load()


def messages(repository):
    return [one.message for one in repository.ancestry(branch="main")]


def test_what_is_written_is_read(kept):
    write_store(small(), kept, PLAN)
    xr.testing.assert_equal(read(kept), small().compute())
    found = progress_of(kept)
    assert found.complete
    assert found.done == found.total
    assert found.stored > 0
    assert check_store(kept) == {}


def test_calling_again_computes_nothing(kept):
    write_store(small(), kept, PLAN)
    calls = []
    write_store(small(calls=calls), kept, PLAN)
    assert calls == []
    xr.testing.assert_equal(read(kept), small().compute())


@pytest.mark.parametrize(("members", "times"), [(2, 5), (4, 3), (5, 20)])
def test_it_is_extended_and_only_what_is_new_is_made(kept, members, times):
    write_store(small(), kept, PLAN)
    calls, larger = [], PLAN | {"members": members}
    write_store(small(members=members, times=times, calls=calls), kept, larger, plan_so_far=PLAN)
    assert all(member >= 2 or time >= 3 for member, time in calls)
    xr.testing.assert_equal(read(kept), small(members=members, times=times).compute())
    assert progress_of(kept).complete
    assert check_store(kept) == {}


def test_another_plan_and_fewer_times_are_refused(kept):
    write_store(small(), kept, PLAN)
    with pytest.raises(StoreError, match="was begun with seed 0, not 1"):
        write_store(small(), kept, PLAN | {"seed": 1})
    with pytest.raises(StoreError):
        write_store(small(times=2), kept, PLAN)
    xr.testing.assert_equal(read(kept), small().compute())


def test_a_missing_shard_is_found_and_computed_again(kept):
    write_store(small(), kept, PLAN)
    place = Place(kept)
    (key, *_) = sorted(place.keys("t/c/"))
    place.delete(key)
    place.commit("a shard is lost")
    assert check_store(kept) == {key: "missing"}
    assert not progress_of(kept).complete
    write_store(small(), kept, PLAN)
    xr.testing.assert_equal(read(kept), small().compute())


def test_a_snapshot_is_kept_for_each_finished_stage(repository):
    write_store(small(), repository, PLAN)
    first = repository.lookup_branch("main")
    write_store(small(times=5), repository, PLAN | {"times": 5}, plan_so_far=PLAN)
    assert messages(repository)[:2] == [
        f"flexclim: 2 realization, {times} time, 8 lat, 8 lon" for times in (5, 3)
    ]
    then = xr.open_zarr(repository.readonly_session(snapshot_id=first).store, consolidated=False)
    xr.testing.assert_equal(then.load(), small().compute())
    write_store(small(times=5), repository, PLAN | {"times": 5})
    assert len(messages(repository)) == 3


def test_a_run_that_fails_leaves_nothing(repository):
    write_store(small(), repository, PLAN)
    before = messages(repository)

    def fails(block):
        raise OSError("the input is gone")

    broken = small(times=5)
    broken["t"] = broken["t"].copy(data=broken["t"].data.map_blocks(fails, dtype="float32"))
    with pytest.raises(Exception, match="the input is gone"):
        write_store(broken, repository, PLAN | {"times": 5}, plan_so_far=PLAN)
    assert messages(repository) == before
    xr.testing.assert_equal(read(repository), small().compute())


def test_of_two_writers_the_second_to_finish_is_told(repository):
    first, second = Place(repository), Place(repository)
    write_store(small(), first, PLAN)
    with pytest.raises(StoreError, match="changed by another process meanwhile; nothing was"):
        write_store(small(times=2), second, PLAN)
    assert read(repository).sizes["time"] == 3


def test_the_store_of_a_session_is_left_to_its_owner(repository):
    session = repository.writable_session("main")
    write_store(small(), session.store, PLAN)
    assert session.has_uncommitted_changes
    session.commit("mine")
    assert np.array_equal(read(repository)["t"], small()["t"])


@pytest.fixture
def on_disk(tmp_path):
    icechunk = pytest.importorskip("icechunk")
    return icechunk.Repository.create(icechunk.local_filesystem_storage(str(tmp_path / "fine")))


@pytest.mark.slow
def test_a_killed_writer_leaves_nothing(on_disk, tmp_path):
    folder = tmp_path / "fine"
    code = (
        f"import sys, icechunk; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from toys import *; from flexclim.stores import write_store\n"
        f"place = icechunk.local_filesystem_storage({str(folder)!r})\n"
        "write_store(toy(wait=0.02), icechunk.Repository.open(place), PLAN)"
    )
    begun = messages(on_disk)
    writer = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    try:
        while len(list((folder / "chunks").glob("*"))) < 5:
            assert writer.poll() is None, writer.stderr.read().decode()
            time.sleep(0.01)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert messages(on_disk) == begun
    assert progress_of(on_disk) is None
    write_store(toy(), on_disk, PLAN)
    xr.testing.assert_equal(read(on_disk), toy().compute())


def test_damage_that_a_check_found_is_known_to_another_process(on_disk, tmp_path):
    """It is noted beside the store, which a check leaves alone."""
    import icechunk

    write_store(small(), on_disk, PLAN)
    place = Place(on_disk)
    place.write("t/c/1/0/0/0", b"short")
    place.commit("another program")
    before = on_disk.lookup_branch("main")
    assert check_store(on_disk) == {"t/c/1/0/0/0": "truncated"}
    assert on_disk.lookup_branch("main") == before
    again = icechunk.Repository.open(icechunk.local_filesystem_storage(str(tmp_path / "fine")))
    assert progress_of(again).damage == {"t/c/1/0/0/0": "truncated"}
    write_store(small(), again, PLAN)
    assert check_store(again) == {}
    assert on_disk.list_branches() == {"main"}
    xr.testing.assert_equal(read(again), small().compute())


def test_a_repository_that_can_not_be_opened_is_told_in_one_line(on_disk, tmp_path):
    shutil.rmtree(tmp_path / "fine" / "refs")
    with pytest.raises(StoreError, match=r"can't be opened: ref not found `main`\.") as error:
        check_store(on_disk)
    assert "\n" not in str(error.value)
