"""Run work items: on threads, or on the dask.distributed cluster whose client is active.

An item is a task that returns next to nothing, such as one that writes a shard. On threads and
clusters alike, a task that fails is tried three times; then the items that need it are given up,
all others are completed, and one error names those that are missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from dask.highlevelgraph import HighLevelGraph
from dask.system import CPU_COUNT
from dask.typing import Key

from flexclim.execution.distributed_runs import run_on_cluster
from flexclim.execution.failures import failures_error
from flexclim.execution.local_runs import run_locally
from flexclim.execution.network_tasks import passes_in, runs_of
from flexclim.execution.notes import Note, collecting
from flexclim.execution.progress import item_counter
from flexclim.execution.workers import active_client

LOG = logging.getLogger(__name__)


def run(
    graph: HighLevelGraph,
    keys: Sequence[Key],
    *,
    label: Callable[[Key], str] = str,
    noun: str = "items",
    on_notes: Callable[[list[Note]], None] = lambda notes: None,
    round_of: Callable[[Key], int] = lambda key: 0,
    threads: int = CPU_COUNT,
) -> None:
    """Compute the tasks ``keys`` of a graph and all that they depend on.

    On a cluster if a ``distributed.Client`` is active, else on threads, or on the scheduler that
    ``dask.config`` names. In a terminal, a bar counts forward
    passes, or items that have none; elsewhere, a line a minute is logged.

    Parameters
    ----------
    graph
        Holds the items and the tasks that they depend on.
    keys
        The items.
    label
        Returns the name of an item, for errors.
    noun
        The plural that names items.
    on_notes
        Called with the notes that tasks left through :func:`flexclim.execution.notes.record`,
        also if the run fails.
    round_of
        Returns the number of an item's round. Items of a later round wait for earlier ones while
        threads or workers are busy; dask alone may leave all items of many chains to the end.
    threads
        The most that are used where there is no cluster; dask's configuration may set fewer.

    Raises
    ------
    FlexclimError
        As soon as a task raises one; at the end, if tasks failed three times; if a cluster has no
        workers for longer than ``distributed.scheduler.no-workers-timeout``.
    """
    client, rounds = active_client(), _rounds(keys, round_of)
    LOG.info("%d %s to write, on %s", len(keys), noun, client or f"{threads} threads")

    def passes() -> int:
        return passes_in(graph.cull(set(keys)))

    counter = item_counter(len(keys), noun, passes, here=client is None)
    with counter as count_one, collecting(runs_of(graph), client) as notes:
        try:
            if client is None:
                failures = run_locally(graph, rounds, count_one, threads)
            else:
                failures = run_on_cluster(client, graph, rounds, count_one)
        finally:
            on_notes(notes())
    if failures:
        first = next(iter(failures.values()))
        raise failures_error(failures, len(keys), label, noun) from first.error


def _rounds(keys: Sequence[Key], round_of: Callable[[Key], int]) -> list[list[Key]]:
    """Return the items of each round, in the order of rounds."""
    rounds: dict[int, list[Key]] = {}
    for key in keys:
        rounds.setdefault(round_of(key), []).append(key)
    return [rounds[number] for number in sorted(rounds)]
