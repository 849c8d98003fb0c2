"""Zarr stores that are written shard by shard, so that a stopped run can go on."""

from flexclim.stores.inspection import Progress, check_store, progress_of
from flexclim.stores.layout import Layout, choose_layout
from flexclim.stores.place import Place
from flexclim.stores.store import begun_plan, write_store

__all__ = [
    "Layout",
    "Place",
    "Progress",
    "begun_plan",
    "check_store",
    "choose_layout",
    "progress_of",
    "write_store",
]
