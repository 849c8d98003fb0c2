"""Every missing, truncated or flipped chunk is found, and only what holds it is made again."""

import numpy as np
import pytest
import xarray as xr
from kept_stores import slow_with_icechunk
from toys import PLAN, toy

from flexclim.stores import Place, check_store, write_store
from flexclim.stores.faults import DAMAGE


@pytest.fixture
def kept(make_kept):
    kept = make_kept()
    write_store(toy(), kept.store, PLAN)
    return kept


def injured(content, kind, random):
    """Return what is left of a file."""
    if kind == "missing":
        return None
    if kind == "truncated":
        return content[: random.integers(len(content))]
    flipped = bytearray(content)
    flipped[random.integers(len(content))] ^= 1 << random.integers(8)
    return bytes(flipped)


@pytest.mark.slow
@slow_with_icechunk
def test_a_hundred_faults_are_found_and_repaired(kept):
    whole, random = kept.contents(), np.random.default_rng(7)
    every = sorted(kept.chunks())
    repaired = 0
    for kind in ("missing", "truncated", "flipped"):
        for count in (17, 16 + (kind == "flipped")):
            keys = [every[i] for i in random.choice(len(every), size=count, replace=False)]
            kept.change({key: injured(whole[key], kind, random) for key in keys})
            assert set(check_store(kept.store)) == set(keys)
            calls, moment = [], kept.moment()
            write_store(toy(calls=calls), kept.store, PLAN)
            assert kept.contents() == whole
            parts = [key.split("/") for key in keys if key.startswith("t/")]
            assert {(m // 2, t // 16) for m, t in calls} == {
                (int(member) // 2, int(time)) for _, _, member, time, *_ in parts
            }
            assert kept.written_since(moment) <= set(keys)
            assert check_store(kept.store) == {}
            repaired += len(keys)
    assert repaired == 100
    assert Place(kept.store).read_own(DAMAGE) is None


@pytest.mark.parametrize("place", ["table", "chunk", "checksum"])
def test_any_flipped_bit_of_a_shard_is_found(kept, place):
    content = bytearray(kept.read("t/c/0/0/0/0"))
    content[{"table": -30, "chunk": 20, "checksum": -1}[place]] ^= 16
    kept.change({"t/c/0/0/0/0": bytes(content)})
    assert check_store(kept.store) == {"t/c/0/0/0/0": "checksum"}


def test_an_empty_chunk_in_a_shard_is_found(make_kept):
    """A lost chunk reads as NaN without any error."""
    kept, data = make_kept(), toy(times=16, members=2, side=128)  # shards of 4 chunks
    write_store(data, kept.store, PLAN)
    place = Place(kept.store)
    place.group("r+")["t"].with_config({"write_empty_chunks": False})[0, 4:8] = np.nan
    place.commit("another program")
    assert check_store(kept.store) == {"t/c/0/0/0/0": "chunks missing"}
    write_store(data, kept.store, PLAN)
    xr.testing.assert_equal(kept.open().load(), data.compute())
