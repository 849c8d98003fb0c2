"""Progress of a run: a bar in a terminal or notebook, elsewhere a log line a minute.

Forward passes are counted where they run in this process; on a cluster, completed items tell how
many were taken.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm.auto import tqdm

LOG = logging.getLogger(__name__)
LOG_EVERY = 60.0  # seconds
DELAY = 0.5  # seconds before a bar appears
PASSES = "forward passes"
S, MIN, H, D = ("s", 1), ("min", 60), ("h", 3600), ("d", 86400)

Advance = Callable[[float], None]
# Functions that are called for each forward pass in this process.
_listeners: list[Advance] = []


def count_pass() -> None:
    """Tell whoever shows progress in this process that a forward pass was taken."""
    for listener in tuple(_listeners):
        listener(1)


@contextmanager
def progress_bar(passes: Callable[[], int] = lambda: 0, *, here: bool = True) -> Iterator[None]:
    """Show how many forward passes have been taken or, without any, how many tasks of dask.

    Parameters
    ----------
    passes
        Returns how many there are; it is called only where somebody sees them counted.
    here
        Whether this process takes them; on a cluster nothing is shown.
    """
    in_all = passes() if here and _is_seen() else 0
    if in_all:
        with _shown(in_all, PASSES) as advance, _listening(advance):
            yield
    elif here and has_bars():
        from tqdm.dask import TqdmCallback

        with TqdmCallback(**_style("tasks")):
            yield
    else:
        yield


@contextmanager
def item_counter(
    total: int, noun: str, passes: Callable[[], int], *, here: bool
) -> Iterator[Callable[[], None]]:
    """Yield a function to call for each completed item, and show progress.

    Parameters
    ----------
    total
        How many items there are.
    noun
        The plural that names items.
    passes, here
        As for :func:`progress_bar`. Where there are forward passes, these are counted, not items;
        on a cluster items tell how many were taken.
    """
    in_all = passes() if _is_seen() else 0
    if not in_all:
        with _shown(total, noun) as advance:
            yield lambda: advance(1)
    elif here:
        with _shown(in_all, PASSES) as advance, _listening(advance):
            yield lambda: None
    else:
        with _shown(in_all, PASSES) as advance:
            yield lambda: advance(in_all / total)


def duration_text(seconds: float) -> str:
    """Return a time in its two largest units.

    >>> [duration_text(s) for s in (0.4, 42, 75, 7500, 200000)]
    ['0.4 s', '42 s', '1 min 15 s', '2 h 5 min', '2 d 8 h']
    """
    if round(seconds) < 60:
        return f"{seconds:.2g} s"
    small, large = (S, MIN) if seconds < 3600 else (MIN, H) if seconds < 86400 else (H, D)
    whole, rest = divmod(round(seconds / small[1]), large[1] // small[1])
    return f"{whole} {large[0]} {rest} {small[0]}"


def open_bar(**options: Any) -> tqdm[Any]:
    """Return a bar of tqdm: in a notebook a widget, elsewhere text on stderr."""
    with warnings.catch_warnings():  # without ipywidgets, a notebook has bars of text
        warnings.filterwarnings("ignore", message="IProgress not found")
        from tqdm.auto import tqdm
    return tqdm(**options)


def _is_seen() -> bool:
    return has_bars() or LOG.isEnabledFor(logging.INFO)


def has_bars() -> bool:
    """Return whether this process runs in a terminal or for a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return sys.stderr.isatty() or hasattr(shell, "kernel")


@contextmanager
def _listening(advance: Advance) -> Iterator[None]:
    _listeners.append(advance)
    try:
        yield
    finally:
        _listeners.remove(advance)


@contextmanager
def _shown(total: int, noun: str) -> Iterator[Advance]:
    """Yield a function that counts what is done, and show a bar or log."""
    if not has_bars():
        yield Logged(total, noun)
        return
    lock, done = threading.Lock(), 0.0
    with open_bar(total=total, **_style(noun)) as bar:

        def advance(count: float) -> None:
            nonlocal done
            with lock:
                done += count
                bar.update(round(done) - bar.n)

        yield advance


def _style(noun: str) -> dict[str, Any]:
    """Return options of a bar: what it counts, its time and the time left."""
    shown = "{l_bar}{bar}| {n_fmt}/{total_fmt} " + noun + ", {elapsed}, {remaining} left"
    return {"bar_format": shown, "delay": DELAY, "dynamic_ncols": True}


class Logged:
    """Counts what is done and, once a minute, logs how much that is and the time left.

    It may be called from several threads.
    """

    def __init__(self, total: int, noun: str) -> None:
        self.total, self.noun, self.done = total, noun, 0.0
        self.start = self.last = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, count: float) -> None:
        """Count what was done."""
        with self._lock:
            self.done += count
            now = time.monotonic()
            if now - self.last < LOG_EVERY or self.done >= self.total:
                return
            self.last = now
        left = (now - self.start) * (self.total / self.done - 1)
        LOG.info("%.0f of %d %s, %s left", self.done, self.total, self.noun, duration_text(left))
