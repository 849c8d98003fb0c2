"""Every missing, truncated or flipped chunk is found, and only what holds it is made again."""

import json
import os

import numpy as np
import pytest
import xarray as xr
from toys import PLAN, contents, shards, toy

from flexclim.errors import StoreError
from flexclim.stores import check_store, progress_of, write_store


@pytest.fixture
def store(tmp_path):
    write_store(toy(), tmp_path / "a.zarr", PLAN)
    return tmp_path / "a.zarr"


def injure(path, kind, random):
    content = bytearray(path.read_bytes())
    if kind == "missing":
        path.unlink()
    elif kind == "truncated":
        path.write_bytes(content[: random.integers(len(content))])
    else:
        content[random.integers(len(content))] ^= 1 << random.integers(8)
        path.write_bytes(content)


def test_a_hundred_faults_are_found_and_repaired(store, tmp_path):
    whole, random = contents(store), np.random.default_rng(7)
    repaired = 0
    for kind in ("missing", "truncated", "flipped"):
        for count in (17, 16 + (kind == "flipped")):
            every = sorted(p for p in store.glob("*/c/**/*") if p.is_file())
            injured = [every[i] for i in random.choice(len(every), size=count, replace=False)]
            for path in injured:
                injure(path, kind, random)
            keys = {p.relative_to(store).as_posix() for p in injured}
            found = check_store(store)
            assert set(found) == keys
            before = {p: p.stat().st_mtime_ns for p in store.rglob("*") if p not in injured}
            calls = []
            write_store(toy(calls=calls), store, PLAN)
            assert contents(store) == whole
            hurt = {(int(p.parts[-4]) // 2, int(p.parts[-3])) for p in injured if "t" in p.parts}
            assert {(m // 2, t // 16) for m, t in calls} == hurt
            files = [p for p in before if p.is_file() and p != store / "zarr.json"]
            assert all(p.stat().st_mtime_ns == before[p] for p in files)
            assert check_store(store) == {}
            repaired += len(injured)
    assert repaired == 100
    assert not (tmp_path / "a.zarr.damage").exists()


@pytest.mark.parametrize("place", ["table", "chunk", "checksum"])
def test_any_flipped_bit_of_a_shard_is_found(store, place):
    path = shards(store)[0]
    content = bytearray(path.read_bytes())
    content[{"table": -30, "chunk": 20, "checksum": -1}[place]] ^= 16
    path.write_bytes(content)
    assert check_store(store) == {path.relative_to(store).as_posix(): "checksum"}


def test_an_empty_chunk_in_a_shard_is_found(store):
    """A lost chunk reads as NaN without any error."""
    import zarr

    path = store / "t" / "c" / "0" / "0" / "0" / "0"
    zarr.open_array(store, path="t", mode="r+").with_config({"write_empty_chunks": False})[
        0, 4:8
    ] = np.nan
    assert check_store(store) == {path.relative_to(store).as_posix(): "chunks missing"}
    write_store(toy(), store, PLAN)
    xr.testing.assert_equal(xr.open_zarr(store).load(), toy().compute())


def test_coordinates_and_metadata_are_repaired(store):
    whole = contents(store)
    (store / "lat" / "c" / "0").write_bytes(b"nonsense")
    (store / "time" / "zarr.json").write_text("{")
    (store / "t" / "zarr.json").unlink()
    assert check_store(store) == {
        "lat/c/0": "checksum",
        "time/zarr.json": "unreadable",
        "t/zarr.json": "missing",
    }
    write_store(toy(), store, PLAN)
    assert contents(store) == whole
    assert check_store(store) == {}


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


def test_other_attributes_of_the_input_are_no_damage(store):
    other = toy()
    other["t"].attrs["long_name"] = "temperature"
    write_store(other, store, PLAN)
    assert check_store(store) == {}
    assert progress_of(store).complete
    assert xr.open_zarr(store, consolidated=True)["t"].attrs["long_name"] == "temperature"


@pytest.mark.parametrize("content", ["{", "{}"])
def test_metadata_that_can_not_be_mended_is_reported_in_one_line(store, content):
    root = json.loads((store / "zarr.json").read_text())
    del root["consolidated_metadata"]  # as of a run that was stopped
    (store / "zarr.json").write_text(json.dumps(root))
    (store / "t" / "zarr.json").write_text(content)
    with pytest.raises(StoreError, match=r"t/zarr\.json is damaged") as error:
        write_store(toy(), store, PLAN)
    assert "\n" not in str(error.value)


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
    with pytest.raises(StoreError, match="no store that flexclim began"):
        check_store(tmp_path / "b.zarr")
    assert progress_of(tmp_path / "b.zarr") is None
