"""Notes that tasks leave for the run that they belong to, such as that a batch was split.

A run is one call by the user. Its identifier travels in the plan, which tasks receive, and in the
annotation of graph layers that run the network, where whoever runs the graph finds it.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flexclim.errors import FlexclimWarning

if TYPE_CHECKING:
    from distributed import Client

# Attribute of an output: notes that tasks left while it was computed, one a line.
NOTES = "flexclim_notes"
# The lists that get the notes of each run that is being computed by this process.
_collecting: dict[str, list[list[str]]] = {}
_lock = threading.Lock()


def record(run: str, note: str) -> None:
    """Leave a note from within a task; on a worker it becomes an event of the run's own topic.

    Where nobody collects notes of this run, as when a user computes a lazy field, it becomes a
    warning; on a worker it is dropped.
    """
    if "distributed" in sys.modules:
        from distributed import get_worker

        try:
            get_worker().log_event(_topic(run), note)
        except ValueError:  # not a task of a worker
            pass
        else:
            return
    with _lock:
        collected = _collecting.get(run, ())
        for notes in collected:
            notes.append(note)
    if not collected:
        warnings.warn(note, FlexclimWarning, stacklevel=2)


def warn_of(notes: Iterable[str]) -> None:
    """Warn of each note."""
    for note in notes:
        warnings.warn(note, FlexclimWarning, stacklevel=3)


@contextmanager
def collecting(runs: Iterable[str], client: Client | None) -> Iterator[Callable[[], list[str]]]:
    """Collect the notes of some runs; yield a function that returns them, each once.

    Parameters
    ----------
    client
        Of the cluster that runs the tasks; None: they run in this process.
    """
    runs = tuple(dict.fromkeys(runs))
    if client is not None:
        before = {run: len(client.get_events(_topic(run))) for run in runs}
        yield lambda: _events(client, before)
        return
    notes: list[str] = []
    with _lock:
        for run in runs:
            _collecting.setdefault(run, []).append(notes)
    try:
        yield lambda: list(dict.fromkeys(notes))
    finally:
        with _lock:
            for run in runs:
                lists = [one for one in _collecting.pop(run) if one is not notes]
                if lists:
                    _collecting[run] = lists


def _events(client: Client, before: dict[str, int]) -> list[str]:
    """Return notes that are newer than the first ``before`` events of each run."""
    if client.status != "running":  # the connection is lost, and with it the notes
        return []
    found = [
        str(note)
        for run, count in before.items()
        for _, note in client.get_events(_topic(run))[count:]
    ]
    return list(dict.fromkeys(found))


def _topic(run: str) -> str:
    return f"flexclim-{run}"
