"""Stop a command cleanly on Ctrl-C, and on SIGTERM, which batch systems send to a job first."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = signal.SIGTERM, signal.SIGINT
AGAIN = 0.05  # seconds


class Stopped(BaseException):
    """A signal arrived. Not an Exception, so that no task is retried because of it."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(
            f"stopped by {signal.Signals(number).name}. What a store holds is complete: give the "
            "same command again to continue."
        )


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise :class:`Stopped` in the main thread at the first signal; a second one ends at once.

    Signals that whoever started the process has it ignore stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        for one in earlier:
            signal.signal(one, signal.SIG_DFL)
        raise Stopped(number)

    earlier = {
        number: signal.signal(number, stop)
        for number in SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }

    def again(lost: sys.UnraisableHookArgs) -> None:
        """Send the signal again if it came where Python ignores exceptions, as in a destructor."""
        if not isinstance(lost.exc_value, Stopped):
            shown(lost)
            return
        for one in earlier:
            signal.signal(one, stop)
        threading.Timer(AGAIN, os.kill, (os.getpid(), lost.exc_value.number)).start()

    shown, sys.unraisablehook = sys.unraisablehook, again
    try:
        yield
    finally:
        sys.unraisablehook = shown
        for number, handler in earlier.items():
            signal.signal(number, handler)
