"""Creating a store: never over other data, and again after it was killed."""

import itertools

import pytest
import xarray as xr
from toys import BOTH, PLAN, toy

from flexclim.errors import StoreError
from flexclim.stores import Place, progress_of, write_store


def test_stores_of_others_are_not_touched(kept):
    kept.save(toy())
    before = kept.contents()
    with pytest.raises(StoreError, match="flexclim did not begin it"):
        write_store(toy(), kept.store, PLAN)
    assert kept.contents() == before


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_files_of_others_are_not_touched(tmp_path, store, kind):
    if kind == "file":
        store.write_text("years of work")
    else:
        store.mkdir()
        (store / "work.txt").write_text("years of work")
        (store / "own.partial").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match="flexclim did not begin it"):
        write_store(toy(), store, PLAN)
    assert sorted(p for p in tmp_path.rglob("*") if p.suffix != ".lock") == before


@BOTH
def test_an_empty_folder_is_taken(store):
    store.mkdir()
    write_store(toy(), store, PLAN)
    xr.testing.assert_equal(xr.open_zarr(store).load(), toy().compute())


def kill_creation(store, monkeypatch, last):
    """Have a creation killed before it writes the first file of such content."""
    write = Place.write

    def dies(self, key, content):
        if last(content):
            raise KeyboardInterrupt
        write(self, key, content)

    with monkeypatch.context() as patch:
        patch.setattr(Place, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            write_store(toy(), store, PLAN)


def test_a_creation_that_was_killed_is_begun_again(kept, monkeypatch):
    count = itertools.count(1)
    kill_creation(kept.store, monkeypatch, lambda _: next(count) == 4)
    assert progress_of(kept.store) is None
    write_store(toy(side=9), kept.store, PLAN | {"seed": 1})
    xr.testing.assert_equal(kept.open().load(), toy(side=9).compute())


def test_nothing_of_a_creation_that_was_killed_is_left(make_kept, monkeypatch):
    kept, new = make_kept(), make_kept("new.zarr")
    # The file of the plan is the last.
    kill_creation(kept.store, monkeypatch, lambda content: b"flexclim_plan" in content)
    other = toy().rename(t="u")
    write_store(other, kept.store, PLAN)
    write_store(other, new.store, PLAN)
    assert kept.contents() == new.contents()


def test_a_creation_that_was_killed_at_its_first_file_is_begun_again(store, zarr_format):
    store.mkdir()
    name = "zarr.0123abc.partial" if zarr_format == 3 else ".zattrs.0123abc.partial"
    (store / name).write_bytes(b"half")
    write_store(toy(times=1), store, PLAN)
    xr.testing.assert_equal(xr.open_zarr(store).load(), toy(times=1).compute())
    assert not list(store.glob("*.partial"))
