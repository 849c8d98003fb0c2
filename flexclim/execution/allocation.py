"""Memory that stays with the process between network passes, and is returned after large work."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache

# glibc's malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
LARGEST = 2**31 - 1
PAD = 2**26


@cache
def keep_memory() -> bool:
    """Have malloc keep freed memory for the next pass, once in a process.

    PyTorch has no cache of its own on a CPU: activations of each pass are mapped from the system
    and returned to it, and touching new pages takes up to a third of the time of a pass. What is
    freed stays with the process, in one place for all threads: each would keep its own otherwise,
    and what one has freed no other could use. Threads that have one already keep it, so call
    before they start.

    Returns
    -------
    bool
        Whether it took effect: on Linux with glibc.
    """
    settings = (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, LARGEST), (M_TOP_PAD, PAD), (M_ARENA_MAX, 1)
    mallopt = _glibc("mallopt")
    return mallopt is not None and all(mallopt(name, value) for name, value in settings)


def return_memory() -> None:
    """Have malloc return what it keeps to the system, where it is glibc's.

    What is kept of work on large arrays lies in pieces that other work may not fit into, and piles
    up.
    """
    if (malloc_trim := _glibc("malloc_trim")) is not None:
        malloc_trim(0)


@cache
def _glibc(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL("libc.so.6"), name)
    except (OSError, AttributeError):
        return None
    return found
