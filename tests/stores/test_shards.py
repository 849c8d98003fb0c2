"""Writing shards: rounded values."""

import numpy as np
import xarray as xr
from toys import PLAN, toy

from flexclim.stores import WriteOptions, write_store


def test_rounding_is_stated_and_close(store):
    write_store(toy(times=4), store, PLAN, options=WriteOptions(keep_bits=7))
    found, exact = xr.open_zarr(store)["t"].load(), toy(times=4)["t"].compute()
    error = np.abs(found / exact - 1)
    assert 2**-10 < float(error.max()) <= 2**-8
