"""Zarr stores that are written shard by shard, so that a stopped run can be continued."""

from flexclim.stores.begun import Begun, begun_run
from flexclim.stores.inspection import Progress, check_store, progress_of
from flexclim.stores.layout import time_dimension
from flexclim.stores.lock import check_unlocked
from flexclim.stores.place import Place, StoreLike
from flexclim.stores.shards import ZARR_SETTINGS
from flexclim.stores.store import WriteOptions, write_store

__all__ = [
    "ZARR_SETTINGS",
    "Begun",
    "Place",
    "Progress",
    "StoreLike",
    "WriteOptions",
    "begun_run",
    "check_store",
    "check_unlocked",
    "progress_of",
    "time_dimension",
    "write_store",
]
