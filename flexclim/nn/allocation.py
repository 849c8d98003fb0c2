"""Memory that stays with the process between network passes."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# glibc's malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
LARGEST = 2**31 - 1
PAD = 2**26


@cache
def keep_memory() -> bool:
    """Have malloc keep freed memory for the next pass, once in a process.

    PyTorch has no cache of its own on a CPU: activations of each pass are mapped from the system
    and returned to it, and touching new pages takes up to a third of the time of a pass. Peak
    memory stays the same; what is freed stays with the process.

    Returns
    -------
    bool
        Whether it took effect: on Linux with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    settings = (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, LARGEST), (M_TOP_PAD, PAD)
    return all(mallopt(name, value) for name, value in settings)
