"""The threads of a process that run network passes.

On a CPU as many passes run at once as torch has threads, each on one. torch would rather spread
each pass over all of them; but then they wait for each other after every layer, asleep where the
pass is called from a thread that is not the program's first, as dask's are. And a pass on one
thread gives the same numbers whatever the number of cores. On a GPU passes run one by one.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

T = TypeVar("T")
_pools: dict[str, ThreadPoolExecutor] = {}
_starting = threading.Lock()


def run_passes(passes: Sequence[Callable[[], T]], device: str) -> Iterator[T]:
    """Run passes on the threads of a kind of device ("cpu", "cuda") and yield what each gives.

    Those of other callers come in between. If one fails, those that have not begun never do.
    """
    with _starting:
        if device not in _pools:
            _pools[device] = _single_threads() if device == "cpu" else ThreadPoolExecutor(1, "gpu")
    futures = deque(_pools[device].submit(one) for one in passes)
    try:
        while futures:
            yield futures.popleft().result()
    finally:
        for future in futures:
            future.cancel()


def _single_threads() -> ThreadPoolExecutor:
    """Start as many threads as torch uses here; in each of them torch uses that one only."""
    count = torch.get_num_threads()
    pool, all_there = ThreadPoolExecutor(count, "cpu"), threading.Barrier(count)

    def alone() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # settles it for this thread, before others hear of ``count``
        all_there.wait()

    wait([pool.submit(alone) for _ in range(count)])
    torch.set_num_threads(count)  # what threads that start later take over
    return pool


if hasattr(os, "register_at_fork"):  # a process that was forked has none of the threads
    os.register_at_fork(after_in_child=_pools.clear)
