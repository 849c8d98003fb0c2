"""Writing shards: rounded values, and no other requests."""

import numpy as np
from toys import PLAN, toy
from zarr.storage import MemoryStore

from flexclim.stores import WriteOptions, write_store
from flexclim.stores.place import Place


def test_rounding_is_close(kept):
    write_store(toy(times=4), kept.store, PLAN, options=WriteOptions(keep_bits=7))
    found, exact = kept.open()["t"].load(), toy(times=4)["t"].compute()
    error = np.abs(found / exact - 1)
    assert 2**-10 < float(error.max()) <= 2**-8


def test_shards_are_written_without_asking_first(monkeypatch):
    asked, check = [], Place._check_reached

    def counted(place):
        asked.append(place)
        check(place)

    monkeypatch.setattr(Place, "_check_reached", counted)
    write_store(toy(times=4), MemoryStore(), PLAN)
    assert len(asked) == 1
