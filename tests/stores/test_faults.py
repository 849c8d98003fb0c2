"""Every missing, truncated or flipped chunk is found, and only what holds it is made again."""

import numpy as np
import pytest
import xarray as xr
from toys import PLAN, contents, shards, toy

from flexclim.stores import check_store, write_store


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


def test_an_empty_chunk_in_a_shard_is_found(tmp_path):
    """A lost chunk reads as NaN without any error."""
    import zarr

    store, data = tmp_path / "a.zarr", toy(times=16, members=2, side=128)  # shards of 4 chunks
    write_store(data, store, PLAN)
    path = store / "t" / "c" / "0" / "0" / "0" / "0"
    zarr.open_array(store, path="t", mode="r+").with_config({"write_empty_chunks": False})[
        0, 4:8
    ] = np.nan
    assert check_store(store) == {path.relative_to(store).as_posix(): "chunks missing"}
    write_store(data, store, PLAN)
    xr.testing.assert_equal(xr.open_zarr(store).load(), data.compute())
