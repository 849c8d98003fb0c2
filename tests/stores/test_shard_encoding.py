"""Shards that are encoded in the calling thread are those that zarr writes."""

import asyncio
import threading

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import MemoryStore

from flexclim.stores.shard_encoding import encoded_shard

# Whole, cut by the array's end, and of NaN, whose chunks are kept too.
REGIONS = [((0, 1), (0, 8), (0, 64)), ((2, 3), (8, 11), (64, 90))]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("missing", [False, True])
def test_bytes_are_those_of_zarr(region, missing):
    codecs = BloscCodec(cname="zstd", clevel=3), Crc32cCodec()
    files = {}
    array = zarr.create_array(
        MemoryStore(files),
        shape=(3, 11, 90),
        shards=(1, 8, 64),
        chunks=(1, 4, 32),
        dtype="float32",
        fill_value=np.nan,
        compressors=codecs,
    ).with_config({"write_empty_chunks": True})
    region = tuple(slice(*part) for part in region)
    shape = [part.stop - part.start for part in region]
    values = np.random.default_rng(0).normal(size=shape).astype("float32")
    if missing:
        values[:] = np.nan
    found = encoded_shard(array, region, values)
    array[region] = values
    (written,) = (content.to_bytes() for key, content in files.items() if key.startswith("c/"))
    assert found == written
    np.testing.assert_array_equal(array[region], values)


def test_chunks_are_compressed_in_the_calling_thread(monkeypatch):
    threads, encode = set(), BloscCodec._encode_sync

    def noted(self, *given):
        threads.add(threading.get_ident())
        return encode(self, *given)

    monkeypatch.setattr(BloscCodec, "_encode_sync", noted)
    array = zarr.create_array(
        MemoryStore(),
        shape=(64, 64),
        chunks=(16, 16),
        shards=(64, 64),
        dtype="float32",
        compressors=BloscCodec(),
    )
    whole = slice(0, 64), slice(0, 64)
    encoded_shard(array, whole, np.ones((64, 64), "float32"))
    assert threads == {threading.get_ident()}


def test_it_works_where_an_event_loop_runs():
    array = zarr.create_array(
        MemoryStore(), shape=(8,), chunks=(4,), shards=(8,), dtype="float32", compressors=None
    )

    async def in_a_notebook():
        return encoded_shard(array, (slice(0, 8),), np.ones(8, "float32"))

    whole = encoded_shard(array, (slice(0, 8),), np.ones(8, "float32"))
    assert asyncio.run(in_a_notebook()) == whole
