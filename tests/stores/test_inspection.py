"""Progress and damage of a store."""

import json
import os

import pytest
from kept_stores import slow_repeats
from toys import PLAN, toy

from flexclim.errors import StoreError
from flexclim.stores import Place, check_store, progress_of, write_store
from flexclim.stores.faults import DAMAGE


@pytest.fixture
def store(store):
    write_store(toy(), store, PLAN)
    return store


@slow_repeats
def test_progress_reports_damage(kept):
    store = kept.store
    write_store(toy(), store, PLAN)
    assert str(progress_of(store)).startswith("18 of 18 shards (100 %), ")
    assert "complete" in str(progress_of(store))
    kept.change({kept.key("t/c/1/0/0/0"): b"short"})
    check_store(store)
    assert "1 files are damaged; the same command repairs them." in str(progress_of(store))
    kept.change({kept.key("t/c/1/1/0/0"): None})
    assert str(progress_of(store)).startswith("17 of 18 shards (94 %)")
    # A list that is out of date costs nothing.
    write_store(toy(), store, PLAN)
    assert progress_of(store).damage == {}
    calls = []
    listed = {kept.key("t/c/0/0/0/0"): "checksum"}
    Place(store).write_own(DAMAGE, json.dumps(listed).encode())
    write_store(toy(calls=calls), store, PLAN)
    assert calls == []


def test_progress_reports_damaged_metadata(store, zarr_format):
    key = "t/zarr.json" if zarr_format == 3 else "t/.zarray"
    (store / key).write_text("{")
    progress = progress_of(store)
    assert not progress.complete
    assert progress.damage == {key: "unreadable"}


def test_a_file_that_vanishes_meanwhile_is_not_counted(store, monkeypatch):
    walk = os.walk

    def ahead(top):
        yield from walk(top)
        yield str(store / "t"), [], ["0.partial"]  # renamed since it was listed

    before = progress_of(store)
    monkeypatch.setattr(os, "walk", ahead)
    assert progress_of(store) == before


def test_what_flexclim_did_not_begin_is_not_judged(kept):
    kept.save(toy())
    with pytest.raises(StoreError, match="not a store that flexclim began"):
        check_store(kept.store)
    assert progress_of(kept.store) is None
