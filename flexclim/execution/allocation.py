"""Memory that glibc's malloc keeps between forward passes, and returns after large work."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache

# The environment variable that asks for keep_memory() in a process that is not flexclim's own.
KEEP_MEMORY = "FLEXCLIM_KEEP_MEMORY"
# glibc's malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
LARGEST = 2**31 - 1
PAD = 2**26


@cache
def keep_memory() -> bool:
    """Set up malloc, for the whole process, to keep freed memory for the next forward pass.

    PyTorch does not cache memory on a CPU: malloc maps the activations of each forward pass from
    the system and unmaps them afterwards, and the first access to each new page costs time. With
    these settings freed memory stays with the process, in one arena for all threads, so that one
    thread can use what another has freed. Threads that already have an arena keep it: call this
    before they start.

    The gain grows with the network. Measured on two busy cores: with flex-nano (64 x 64 cells by 4,
    4 members, three runs) page faults fell from 70 000 to 13 000, but that is 0.2 of 10 s of CPU
    time, less than runs differ by; a forward pass of FLEX-small took 2.5 instead of 3.0 s of CPU
    time (one run).

    flexclim's own processes (its commands and workers) call this; other programs decide for
    themselves, by this function or by setting ``FLEXCLIM_KEEP_MEMORY=1``.

    Returns
    -------
    bool
        Whether it took effect: on Linux with glibc.
    """
    settings = (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, LARGEST), (M_TOP_PAD, PAD), (M_ARENA_MAX, 1)
    mallopt = _glibc("mallopt")
    return mallopt is not None and all(mallopt(name, value) for name, value in settings)


def keep_memory_if_requested() -> None:
    """Call :func:`keep_memory` if the environment variable ``FLEXCLIM_KEEP_MEMORY`` is 1."""
    if os.environ.get(KEEP_MEMORY) == "1":
        keep_memory()


def return_memory() -> None:
    """Return free memory to the system, where malloc is glibc's.

    Memory freed by work on large arrays is fragmented; other work may not be able to use it, and
    it accumulates.
    """
    if (malloc_trim := _glibc("malloc_trim")) is not None:
        malloc_trim(0)


@cache
def _glibc(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL("libc.so.6"), name)
    except (OSError, AttributeError):
        return None
    return function
