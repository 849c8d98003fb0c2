"""Stop a command cleanly on SIGTERM, which batch systems send before they kill a job."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """SIGTERM arrived. Not an Exception, so that no task is retried because of it."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(
            f"stopped by {signal.Signals(number).name}. What is in a store is complete: give the "
            "same command again to continue."
        )


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise :class:`Stopped` in the main thread on the first SIGTERM; a second one kills."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Stopped(number)

    earlier = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
