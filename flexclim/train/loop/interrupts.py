"""Signals that end a run early, after its state is saved."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any

# Slurm warns with SIGUSR1 (``--signal``) before the time is up; SIGTERM follows.
WATCHED = ("SIGTERM", "SIGINT", "SIGUSR1")


class Interrupts(AbstractContextManager["Interrupts"]):
    """Remembers the first signal that asks for an end; the loop looks at it between steps.

    A second Ctrl-C interrupts at once. Outside the main thread nothing is watched.
    """

    def __init__(self) -> None:
        self.number = 0
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for name in WATCHED:
                if number := getattr(signal, name, None):
                    self._earlier[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for number, earlier in self._earlier.items():
            signal.signal(number, earlier)

    def _remember(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self.number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = self.number or number

    def end(self, number: int, message: str) -> None:
        """Leave as the signal asks: KeyboardInterrupt for Ctrl-C, else exit code 128 + number."""
        if number == signal.SIGINT:
            raise KeyboardInterrupt(message)
        print(message, file=sys.stderr)
        raise SystemExit(128 + number)
