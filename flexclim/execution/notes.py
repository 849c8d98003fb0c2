"""Notes that tasks leave for the run that they belong to, such as that a batch was split.

A run is one call by the user. Its identifier travels in the plan, which tasks receive, and in the
annotation of graph layers that run the network, where whoever runs the graph finds it.
"""

from __future__ import annotations

import json
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import xarray as xr

from flexclim.errors import FlexclimWarning

if TYPE_CHECKING:
    from distributed import Client

# Attribute of an output: notes that tasks left while it was computed, one a line.
NOTES = "flexclim_notes"
# Attribute of a variable that constraints with others hold for; and of an output, as JSON by
# variable: how many cells they moved, of how many, and by how much at most.
CONSTRAINTS, MOVED = "flexclim_constraints", "flexclim_moved"


class Moved(NamedTuple):
    """A note of cells that a constraint moved: how many of a block, and by how much at most."""

    variable: str
    block: str
    cells: int
    largest: float


Note = str | Moved
# The lists that get the notes of each run that is being computed by this process.
_collecting: dict[str, list[list[Note]]] = {}
_lock = threading.Lock()


def record(run: str, note: Note) -> None:
    """Leave a note from within a task; on a worker it becomes an event of the run's own topic.

    Where nobody collects notes of this run, as when a user computes a lazy field, a text becomes a
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
    if not collected and isinstance(note, str):
        warnings.warn(note, FlexclimWarning, stacklevel=2)


def warn_of(notes: Iterable[Note]) -> None:
    """Warn of each note that is a text."""
    for note in notes:
        if isinstance(note, str):
            warnings.warn(note, FlexclimWarning, stacklevel=3)


def attributes_of(
    notes: Iterable[Note], fields: xr.Dataset, known: Mapping[str, object] | None = None
) -> dict[str, str]:
    """Return the attributes that keep notes: texts, and how many cells constraints moved.

    Parameters
    ----------
    fields
        Those that are computed, lazy or not; the ones with constraints have the attribute that
        states them.
    known
        Attributes of a store that earlier calls began, to which notes are added.
    """
    known = known or {}
    texts = dict.fromkeys(str(known.get(NOTES, "")).splitlines())
    moved = {
        name: {"cells": 0, "largest": 0.0} | json.loads(str(known.get(MOVED, "{}"))).get(name, {})
        for name, field in fields.data_vars.items()
        if CONSTRAINTS in field.attrs
    }
    for note in notes:
        if isinstance(note, str):
            texts[note] = None
        elif (one := moved.get(note.variable)) is not None:  # else it was renamed
            one["cells"] += note.cells
            one["largest"] = max(one["largest"], float(f"{note.largest:.3g}"))
    for name, one in moved.items():
        one |= {"of": fields[name].size, "units": str(fields[name].attrs.get("units", ""))}
    attributes = {NOTES: "\n".join(texts), MOVED: json.dumps(moved) if moved else ""}
    return {name: text for name, text in attributes.items() if text}


@contextmanager
def collecting(runs: Iterable[str], client: Client | None) -> Iterator[Callable[[], list[Note]]]:
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
    notes: list[Note] = []
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


def _events(client: Client, before: dict[str, int]) -> list[Note]:
    """Return notes that are newer than the first ``before`` events of each run."""
    if client.status != "running":  # the connection is lost, and with it the notes
        return []
    found = [
        note if isinstance(note, str) else Moved(*note)
        for run, count in before.items()
        for _, note in client.get_events(_topic(run))[count:]
    ]
    return list(dict.fromkeys(found))


def _topic(run: str) -> str:
    return f"flexclim-{run}"
