"""The threads of a process that run forward passes of the network.

On a CPU as many forward passes run at once as torch has threads, each on one thread. By default
torch would spread each over all threads; they would then wait for each other after every layer,
and sleep while they wait if the caller is not the program's main thread, as with dask. On one
thread a forward pass also gives the same numbers whatever the number of cores. On a GPU forward
passes run one by one.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from flexclim.execution.allocation import keep_memory_if_requested

T = TypeVar("T")
_pools: dict[str, ThreadPoolExecutor] = {}
_starting = threading.Lock()


def run_passes(passes: Sequence[Callable[[], T]], device: str) -> Iterator[T]:
    """Run forward passes on the threads of a type of device, and yield their results in order.

    Those of other callers may run in between. If one fails, those that have not started are
    cancelled.

    Parameters
    ----------
    device
        The type, "cpu" or "cuda".
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
    """Start as many threads as torch uses in this process; within each, torch uses only one."""
    keep_memory_if_requested()
    count = torch.get_num_threads()
    pool, all_started = ThreadPoolExecutor(count, "cpu"), threading.Barrier(count)

    def use_one_thread() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # fixes the number for this thread before ``count`` is restored
        all_started.wait()

    wait([pool.submit(use_one_thread) for _ in range(count)])
    torch.set_num_threads(count)  # for threads that start later
    return pool


if hasattr(os, "register_at_fork"):  # a forked process has none of the threads
    os.register_at_fork(after_in_child=_pools.clear)
