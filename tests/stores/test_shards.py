"""Writing shards: rounded values, few at once."""

import threading
import time

import numpy as np
import xarray as xr
from toys import PLAN, toy

from flexclim.stores import WriteOptions, write_store
from flexclim.stores import shards as items


def test_rounding_is_stated_and_close(store):
    write_store(toy(times=4), store, PLAN, options=WriteOptions(keep_bits=7))
    found, exact = xr.open_zarr(store)["t"].load(), toy(times=4)["t"].compute()
    error = np.abs(found / exact - 1)
    assert 2**-10 < float(error.max()) <= 2**-8


def test_few_shards_are_written_at_once(store, monkeypatch):
    """Many write tasks on many threads: those that wait leave zarr's one thread to the others."""
    now, most, lock, opened = [0], [0], threading.Lock(), items._open
    four = threading.Event()

    def count(*place):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == 4:
                four.set()
        four.wait(20)
        time.sleep(0.02)  # for a fifth, if one may come
        with lock:
            now[0] -= 1
        return opened(*place)

    monkeypatch.setattr(items, "_open", count)
    monkeypatch.setattr("flexclim.stores.store.threads_for", lambda fields, device: 16)
    write_store(toy(times=16), store, PLAN)
    assert most[0] == 4
