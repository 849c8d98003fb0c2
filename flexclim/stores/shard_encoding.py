"""Encode a whole shard in the calling thread.

zarr runs everything on the event loop of one thread of its own, which limits how fast all threads
together write. Here a shard is written into memory on an event loop of the calling thread, by
zarr's own code and so to the same bytes; what is left for zarr's thread is one call that stores it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from zarr import AsyncArray
from zarr.abc.buffer import Buffer
from zarr.storage import MemoryStore, StorePath

from flexclim.stores.place import ZarrArray

T = TypeVar("T")


class _SameThread(ThreadPoolExecutor):
    """Runs what is submitted at once: threads of an event loop gain nothing here."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
        return done


def encoded_shard(array: ZarrArray, region: tuple[slice, ...], values: np.ndarray) -> bytes:
    """Return the content of a shard that holds nothing but the values of a region.

    Parameters
    ----------
    array
        The array that the shard belongs to, with its configuration.
    region
        A part of the array within one shard.
    values
        Those of the region.
    """
    files: dict[str, Buffer] = {}
    place = StorePath(MemoryStore(files), "")
    alone: AsyncArray[Any] = AsyncArray(array.metadata, place, config=array.async_array.config)

    def fill() -> None:
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(_SameThread(1))
            runner.run(alone.setitem(region, values))

    if _has_loop():  # that of a notebook, where dask's scheduler is synchronous
        with ThreadPoolExecutor(1) as other:
            other.submit(fill).result()
    else:
        fill()
    (content,) = files.values()
    return content.to_bytes()


def _has_loop() -> bool:
    """Return whether an event loop runs in the calling thread, which can't run a second one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
