"""Run the tasks of a graph in this process, on one of dask's local schedulers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import dask

# Tasks from other libraries may be tuples, dask's older form. To wrap every task they must be
# converted; dask has no public function for that.
from dask._task_spec import convert_legacy_graph
from dask.callbacks import Callback
from dask.highlevelgraph import HighLevelGraph
from dask.task_spec import GraphNode, Task, TaskRef
from dask.typing import Key

from flexclim.errors import FlexclimError
from flexclim.execution.failures import TRIES, Failure


@dataclass(frozen=True)
class Retried:
    """A task that is retried when it fails.

    It raises only errors that the user has to fix.
    """

    node: GraphNode
    dependencies: tuple[Key, ...]

    def __call__(self, *values: object) -> object:
        """Return the task's value, or the failure of one of its dependencies, or its own."""
        if failed := next((value for value in values if isinstance(value, Failure)), None):
            return failed
        inputs = dict(zip(self.dependencies, values, strict=True))
        for left in reversed(range(TRIES)):
            try:
                return self.node(inputs)
            except FlexclimError:
                raise
            except Exception as error:
                if not left:
                    return Failure(self.node.key, error)
        raise AssertionError


def run_locally(
    graph: HighLevelGraph,
    rounds: Sequence[Sequence[Key]],
    count_one: Callable[[], None],
    threads: int,
) -> dict[Key, Failure]:
    """Compute items, as many rounds at once as there are threads; return those that failed.

    Parameters
    ----------
    rounds
        Keys of the items; those of a later round wait for earlier ones.
    count_one
        Called for each item that is complete.
    threads
        The most that are used; dask's configuration may set fewer.
    """
    failures: dict[Key, Failure] = {}
    together = min(threads, dask.config.get("num_workers", None) or threads)
    for first in range(0, len(rounds), together):
        keys = [key for one in rounds[first : first + together] for key in one]
        failures |= _run(graph, keys, count_one, together)
    return failures


def _run(
    graph: HighLevelGraph, keys: Sequence[Key], count_one: Callable[[], None], threads: int
) -> dict[Key, Failure]:
    from dask.threaded import get as on_threads

    nodes: Mapping[Key, GraphNode] = convert_legacy_graph(dict(graph.cull(set(keys))))
    retried = {key: _retried(node) for key, node in nodes.items()}
    items = set(keys)

    def completed(key: Key, result: object, *_: object) -> None:
        if key in items and not isinstance(result, Failure):
            count_one()

    get = dask.base.get_scheduler() or on_threads
    with Callback(posttask=completed):
        results = get(retried, list(keys), num_workers=threads)
    return {
        key: result
        for key, result in zip(keys, results, strict=True)
        if isinstance(result, Failure)
    }


def _retried(node: GraphNode) -> GraphNode:
    """Return a node of the same value that is retried where it is a task."""
    if not isinstance(node, Task):
        return node
    dependencies = tuple(node.dependencies)
    return Task(node.key, Retried(node, dependencies), *map(TaskRef, dependencies))
