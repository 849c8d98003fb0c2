"""Every missing, truncated or flipped chunk is found, and only what holds it is made again."""

import numpy as np
import pytest
import xarray as xr
from kept_stores import slow_repeats
from toys import PLAN, toy

from flexclim.stores import Place, check_store, write_store
from flexclim.stores.faults import DAMAGE


@pytest.fixture
def kept(make_kept):
    kept = make_kept()
    write_store(toy(), kept.store, PLAN)
    return kept


def injured(content, kind, random, last):
    """Return what is left of a file; bits are flipped in its ``last`` bytes."""
    if kind == "missing":
        return None
    if kind == "truncated":
        return content[: random.integers(len(content))]
    flipped = bytearray(content)
    flipped[-1 - random.integers(last or len(content))] ^= 1 << random.integers(8)
    return bytes(flipped)


@pytest.mark.slow
@slow_repeats
def test_a_hundred_faults_are_found_and_repaired(kept):
    whole, random = kept.contents(), np.random.default_rng(7)
    every = sorted(kept.chunks())
    repaired = 0
    last = (
        None if kept.zarr_format == 3 else 4
    )  # the checksum: some other bits do not affect values
    for kind in ("missing", "truncated", "flipped"):
        for count in (17, 16 + (kind == "flipped")):
            keys = [every[i] for i in random.choice(len(every), size=count, replace=False)]
            kept.change({key: injured(whole[key], kind, random, last) for key in keys})
            assert set(check_store(kept.store)) == set(keys)
            calls, moment = [], kept.moment()
            write_store(toy(calls=calls), kept.store, PLAN)
            assert kept.contents() == whole
            indices = [index for name, index in map(kept.index, keys) if name == "t"]
            assert {(m // 2, t // 16) for m, t in calls} == {
                (member // 2, time) for member, time, *_ in indices
            }
            assert kept.written_since(moment) <= set(keys)
            assert check_store(kept.store) == {}
            repaired += len(keys)
    assert repaired == 100
    assert Place(kept.store).read_own(DAMAGE) is None


@pytest.mark.parametrize("place", ["table", "chunk", "checksum"])
def test_any_flipped_bit_of_a_shard_is_found(kept, place):
    key = kept.key("t/c/0/0/0/0")
    content = bytearray(kept.read(key))
    content[{"table": -30, "chunk": 20, "checksum": -1}[place]] ^= 16
    kept.change({key: bytes(content)})
    (found,) = check_store(kept.store).items()
    # A bit of zlib's codes may also leave what can't be decompressed.
    assert found in ((key, "checksum"), (key, "unreadable" if kept.zarr_format == 2 else None))


@pytest.mark.parametrize("make_kept", ["folder", "icechunk"], indirect=True)
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
