"""A second writer, a full disk, a folder that may not be written to: one line, nothing lost."""

import contextlib
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr
import zarr
from filelock import FileLock
from toys import BOTH, PLAN, contents, file_of, toy

from flexclim.errors import StoreError
from flexclim.stores import Place, check_store, lock, progress_of, write_store
from flexclim.stores.lock import is_locked

HEAD = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    "from toys import *; from flexclim.stores import write_store\n"
)


def one_line(code):
    """Run code that must fail in a process of its own; return what a user is told."""
    code = HEAD + f"try:\n    {code}\nexcept ValueError as error:\n    print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return done.stdout


def test_a_second_writer_is_refused_within_a_second(tmp_path):
    store = tmp_path / "a.zarr"
    ds = toy(times=1)
    with FileLock(f"{store}.lock"):
        begun = time.perf_counter()
        with pytest.raises(StoreError, match="is being written by another process"):
            write_store(ds, store, PLAN)
        assert time.perf_counter() - begun < 1
        assert is_locked(Place(store))
    assert not store.exists()
    assert not is_locked(Place(store))
    write_store(toy(times=1), store, PLAN)
    with FileLock(f"{store}.lock"):
        assert "being written" not in str(progress_of(store))  # it is complete
    # A dead writer holds nothing: the system frees its lock.
    xr.testing.assert_equal(xr.open_zarr(store).load(), toy(times=1).compute())


@contextlib.contextmanager
def small_disk(path, kilobytes):
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", path], capture_output=True
    )
    if done.returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


@BOTH
def test_a_full_disk_is_reported_in_one_line_and_the_run_goes_on_when_there_is_room(
    tmp_path, zarr_format
):
    with small_disk(tmp_path / "disk", 200) as disk:
        (disk / "other").write_bytes(bytes(100_000))
        store = disk / "a.zarr"
        with pytest.raises(StoreError, match=r"can't be written: No space left.*call again"):
            write_store(toy(), store, PLAN)
        progress = progress_of(store)
        assert 0 < sum(progress.done.values()) < 18
        assert set(check_store(store).values()) == {"missing"}
        found = xr.open_zarr(store, consolidated=False).load()
        expected = toy().compute()
        for name in ("t", "empty"):  # NaN where nothing is yet
            same = (found[name] == expected[name]) | found[name].isnull()
            assert bool(same.all())
        (disk / "other").unlink()
        write_store(toy(), store, PLAN)
        write_store(toy(), tmp_path / "whole.zarr", PLAN)
        assert contents(store) == contents(tmp_path / "whole.zarr")


@pytest.mark.slow
def test_a_file_that_may_not_grow_is_reported_in_one_line(tmp_path):
    """Where no small disk can be had: the system itself refuses large files."""
    store = tmp_path / "a.zarr"
    told = one_line(
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        f"    write_store(toy(), {str(store)!r}, PLAN)"
    )
    assert "can't be written: File too large. Make room and call again to continue." in told
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert not progress_of(store).complete
    write_store(toy(), store, PLAN)
    xr.testing.assert_equal(xr.open_zarr(store).load(), toy().compute())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
def test_a_place_that_takes_no_files_is_not_called_busy():
    with pytest.raises(StoreError, match="can't be written there"):
        write_store(toy(times=1), Path("/proc/a.zarr"), PLAN)


@pytest.mark.slow
def test_a_folder_of_others_is_reported_in_one_line(tmp_path):
    store = tmp_path / "own" / "a.zarr"
    (tmp_path / "own").mkdir()
    write_store(toy(times=4), store, PLAN)
    file_of(store, "t", 0, 0, 0, 0).unlink()
    for path in [tmp_path / "own", *(tmp_path / "own").rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in (tmp_path, *tmp_path.parents[:-2]):
        with contextlib.suppress(PermissionError):
            path.chmod(path.stat().st_mode | 0o055)
    # All that is imported late is imported before root's rights are given up.
    become = "os.seteuid(65534)" if os.geteuid() == 0 else "pass"
    told = one_line(
        f"import os; write_store(toy(times=4), {str(tmp_path / 'b.zarr')!r}, PLAN)\n"
        f"    {become}; write_store(toy(times=4), {str(store)!r}, PLAN)"
    )
    assert "can't be written: Permission denied" in told
    for path in [tmp_path / "own", *(tmp_path / "own").rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    write_store(toy(times=4), store, PLAN)
    xr.testing.assert_equal(xr.open_zarr(store).load(), toy(times=4).compute())


@pytest.fixture
def conditional():
    """Return a place in memory whose writes can be conditional, as on S3 through obstore."""
    pytest.importorskip("obstore")
    from obstore.store import MemoryStore

    return Place(zarr.storage.ObjectStore(MemoryStore()))


def test_a_store_that_decides_between_writers_is_not_waited_for(conditional, monkeypatch):
    monkeypatch.setattr(lock.time, "sleep", None)  # not to be called
    with lock.locked(conditional):
        assert is_locked(conditional)
        with pytest.raises(StoreError, match="is being written by"), lock.locked(conditional):
            pass
    assert not is_locked(conditional)


@pytest.mark.parametrize("begun", [None, b"{}"], ids=["no lease", "one that expired"])
def test_of_writers_at_the_same_moment_the_first_keeps_the_lease(conditional, begun):
    """The second has read the same as the first when it writes."""
    if begun is not None:
        conditional.write_own("lock", begun)
    with lock.locked(conditional):
        first = conditional.read_own("lock")
        assert conditional.replace_own("lock", b"second", begun)
        assert conditional.read_own("lock") == first
    assert conditional.read_own("lock") is None
    assert conditional.replace_own("lock", b"renewed", b"gone")
    assert conditional.read_own("lock") is None
