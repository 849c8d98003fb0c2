"""Progress and damage of a store."""

import json
import os

import pytest
from toys import PLAN, shards, toy

from flexclim.errors import StoreError
from flexclim.stores import check_store, progress_of, write_store


@pytest.fixture
def store(tmp_path):
    write_store(toy(), tmp_path / "a.zarr", PLAN)
    return tmp_path / "a.zarr"


def test_progress_reports_damage(store):
    assert str(progress_of(store)).startswith("18 of 18 shards (100 %), ")
    assert "complete" in str(progress_of(store))
    shards(store)[3].write_bytes(b"short")
    check_store(store)
    assert "1 files are damaged; the same command repairs them." in str(progress_of(store))
    shards(store)[4].unlink()
    assert str(progress_of(store)).startswith("17 of 18 shards (94 %)")
    # A list that is out of date costs nothing.
    write_store(toy(), store, PLAN)
    calls = []
    (store.parent / "a.zarr.damage").write_text(json.dumps({"t/c/0/0/0/0": "checksum"}))
    write_store(toy(calls=calls), store, PLAN)
    assert calls == []


def test_progress_reports_damaged_metadata(store):
    (store / "t" / "zarr.json").write_text("{")
    progress = progress_of(store)
    assert not progress.complete
    assert progress.damage == {"t/zarr.json": "unreadable"}


def test_a_file_that_vanishes_meanwhile_is_not_counted(store, monkeypatch):
    walk = os.walk

    def ahead(top):
        yield from walk(top)
        yield str(store / "t"), [], ["0.partial"]  # renamed since it was listed

    before = progress_of(store)
    monkeypatch.setattr(os, "walk", ahead)
    assert progress_of(store) == before


def test_what_flexclim_did_not_begin_is_not_judged(store, tmp_path):
    toy().to_zarr(tmp_path / "b.zarr", consolidated=False)
    with pytest.raises(StoreError, match="not a store that flexclim began"):
        check_store(tmp_path / "b.zarr")
    assert progress_of(tmp_path / "b.zarr") is None
