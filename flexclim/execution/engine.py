"""Run work items: on threads, or on the dask.distributed cluster whose client is active.

An item is a task that returns next to nothing, such as one that writes a shard. Whatever runs it,
a task that fails is tried three times; then the items that need it are given up, all others are
finished, and one error names those that are missing.
"""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask
from dask._task_spec import convert_legacy_graph  # nothing public does it
from dask.callbacks import Callback
from dask.highlevelgraph import HighLevelGraph
from dask.system import CPU_COUNT
from dask.task_spec import GraphNode, Task, TaskRef

from flexclim.errors import FlexclimError
from flexclim.execution.network_tasks import with_resources
from flexclim.execution.progress import count_up

Key = Any  # of a dask graph: a text or a tuple
TRIES = 3
# Seconds between two looks at the workers of a cluster.
LOOK = 1.0
# Without workers a run ends after so long, unless dask's configuration says otherwise.
NO_WORKERS = "distributed.scheduler.no-workers-timeout"
NO_WORKERS_SECONDS = 300.0
# The resource that workers with a GPU may offer, and the share of it that a task that runs the
# network takes: one is on the GPU while others work on the host before or after that.
GPU, SHARE = "GPU", 0.25
# Threads of a process that has a GPU: most wait for it, or write.
GPU_THREADS = 8


# Tells a worker how many threads torch may use.
TORCH_THREADS = "FLEXCLIM_TORCH_THREADS"
# Where workers tell what the user should know of a run.
TOPIC = "flexclim"
_facts: list[str] = []


def record(fact: str) -> None:
    """Tell whoever called :func:`run`, from within a task, something that it should know."""
    if "distributed" in sys.modules:
        from distributed import get_worker

        try:
            get_worker().log_event(TOPIC, fact)
        except ValueError:  # this is no worker
            pass
        else:
            return
    _facts.append(fact)


@dataclass(frozen=True)
class Failure:
    """What a task returns in place of its value after its last try."""

    key: Key
    error: Exception


@dataclass(frozen=True)
class Tried:
    """A task that is tried again when it fails, and never raises but what the user must mend."""

    node: GraphNode
    needs: tuple[Key, ...]

    def __call__(self, *found: Any) -> Any:
        """Return the task's value, or the failure of what it depends on, or its own."""
        if failed := next((value for value in found if isinstance(value, Failure)), None):
            return failed
        values = dict(zip(self.needs, found, strict=True))
        for left in reversed(range(TRIES)):
            try:
                return self.node(values)
            except FlexclimError:
                raise
            except Exception as error:
                if not left:
                    return Failure(self.node.key, error)
        raise AssertionError


def run(
    graph: HighLevelGraph,
    keys: Sequence[Key],
    name: Callable[[Key], str] = str,
    what: str = "items",
    tell: Callable[[list[str]], None] = lambda facts: None,
    turn: Callable[[Key], int] = lambda key: 0,
    threads: int = CPU_COUNT,
) -> None:
    """Run the tasks ``keys`` of a graph and all that they need.

    On a cluster if a ``distributed.Client`` is active, else on threads, or on the scheduler that
    ``dask.config`` names. A bar in a terminal counts finished items.

    Parameters
    ----------
    graph
        Its other tasks make what the items need.
    keys
        The items.
    name
        Says to the user which item a key is.
    what
        What items are called.
    tell
        Gets what tasks told through :func:`record`, each once, also if the run fails.
    turn
        Says when an item comes: those of a later turn wait for those of earlier ones as far as
        threads or workers are busy. dask alone may leave all items of many chains to the end.
    threads
        So many at most where there is no cluster; dask's configuration may say fewer.

    Raises
    ------
    FlexclimError
        As soon as a task raises one; at the end, if tasks failed ``TRIES`` times; if all workers
        of a cluster are gone for longer than ``distributed.scheduler.no-workers-timeout``.
    """
    client = active_client()
    _facts.clear()
    before = len(client.get_events(TOPIC)) if client else 0
    try:
        with count_up(len(keys), what) as one_more:
            if client is None:
                failures = _run_here(graph, _turns(keys, turn), one_more, threads)
            else:
                failures = _run_on(client, graph, _turns(keys, turn), one_more)
    finally:
        tell(_told_facts(client, before))
    if failures:
        raise FlexclimError(_told(failures, len(keys), name, what)) from next(
            iter(failures.values())
        ).error


def _told_facts(client: Any, before: int) -> list[str]:
    """Return what tasks told since the cluster had ``before`` events, each once."""
    if client is None:
        return list(dict.fromkeys(_facts))
    if client.status != "running":  # the cluster is gone, and what it knew
        return []
    return list(dict.fromkeys(event for _, event in client.get_events(TOPIC)[before:]))


def active_client() -> Any:
    """Return the client of the cluster that dask would use; None: there is none."""
    get = dask.base.get_scheduler()
    client = getattr(get, "__self__", None)
    return client if type(client).__name__ == "Client" else None


def _turns(keys: Sequence[Key], turn: Callable[[Key], int]) -> list[list[Key]]:
    """Return the items of each turn, first first."""
    turns: dict[int, list[Key]] = {}
    for key in keys:
        turns.setdefault(turn(key), []).append(key)
    return [turns[number] for number in sorted(turns)]


def _run_here(
    graph: HighLevelGraph,
    turns: Sequence[Sequence[Key]],
    one_more: Callable[[], None],
    threads: int,
) -> dict[Key, Failure]:
    """Run on one of dask's local schedulers, as many turns at once as it has threads."""
    failures: dict[Key, Failure] = {}
    together = min(threads, dask.config.get("num_workers", None) or threads)
    for first in range(0, len(turns), together):
        keys = [key for turn in turns[first : first + together] for key in turn]
        failures |= _run_turn(graph, keys, one_more, together)
    return failures


def _run_turn(
    graph: HighLevelGraph, keys: Sequence[Key], one_more: Callable[[], None], threads: int
) -> dict[Key, Failure]:
    from dask.threaded import get as on_threads

    needed = convert_legacy_graph(dict(graph.cull(set(keys))))
    tried = {key: _tried(node) for key, node in needed.items()}
    wanted = set(keys)

    def done(key: Key, result: Any, *_: Any) -> None:
        if key in wanted and not isinstance(result, Failure):
            one_more()

    get = dask.base.get_scheduler() or on_threads
    with Callback(posttask=done):
        results = get(tried, list(keys), num_workers=threads)
    return {
        key: result
        for key, result in zip(keys, results, strict=True)
        if isinstance(result, Failure)
    }


def _tried(node: GraphNode) -> GraphNode:
    """Return a task that does the same, three times if need be."""
    if not isinstance(node, Task):
        return node
    needs = tuple(node.dependencies)
    return Task(node.key, Tried(node, needs), *map(TaskRef, needs))


def _run_on(
    client: Any,
    graph: HighLevelGraph,
    turns: Sequence[Sequence[Key]],
    one_more: Callable[[], None],
) -> dict[Key, Failure]:
    """Run on a cluster, which tries failed tasks again itself, also those of dead workers."""
    finished: queue.Queue[Any] = queue.Queue()
    if _offers_gpu(client):
        graph = with_resources(graph, {GPU: SHARE})
    options = {"sync": False, "retries": TRIES - 1}
    futures = [
        future
        for number, keys in enumerate(turns)
        for future in client.get(graph.cull(set(keys)), list(keys), priority=-number, **options)
    ]
    pending = {future.key: future for future in futures}
    failures: dict[Key, Failure] = {}
    try:
        for future in futures:
            future.add_done_callback(finished.put)
        watch = Watch(client)
        while pending:
            try:
                future = finished.get(timeout=LOOK)
            except queue.Empty:
                watch.look(f"{len(pending)} items left")
                continue
            del pending[future.key]
            if future.status == "finished":
                one_more()
            else:
                failures[future.key] = Failure(*_blame(future, client))
            future.release()
    finally:
        if client.status == "running":
            client.cancel(list(pending.values()))
    return failures


def workers_of(client: Any) -> dict[str, Any]:
    """Return what is known of a cluster's workers, by address, once there is one.

    Raises
    ------
    FlexclimError
        If none comes.
    """
    watch, asked = Watch(client), None
    while not (workers := client.scheduler_info(n_workers=-1)["workers"]):
        # A cluster that adapts starts workers only where there is work.
        asked = asked or client.submit(bool, pure=False)
        watch.look("nothing begun")
        time.sleep(LOOK)
    return dict(workers)


class Watch:
    """Looks after the workers of a cluster."""

    def __init__(self, client: Any) -> None:
        from dask.utils import parse_timedelta

        self.client, self.seen = client, time.monotonic()
        asked = dask.config.get(NO_WORKERS, None)
        self.allowed = NO_WORKERS_SECONDS if asked is None else float(parse_timedelta(asked))

    def look(self, left: str) -> None:
        """Raise if the cluster is gone, or has had no worker for too long."""
        if self.client.status != "running":
            raise FlexclimError(
                f"the connection to the dask scheduler is lost, with {left}. Start it "
                "anew and call again to continue."
            )
        if self.client.scheduler_info(n_workers=1)["workers"]:
            self.seen = time.monotonic()
        if time.monotonic() - self.seen > self.allowed:
            raise FlexclimError(
                f"the dask cluster has had no worker for {self.allowed:g} s, with {left}. "
                "See the workers' logs, start some and call again to continue; "
                f"{NO_WORKERS} in dask's configuration sets how long to wait."
            )


def _offers_gpu(client: Any) -> bool:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(GPU in worker.get("resources", {}) for worker in workers)


def _blame(future: Any, client: Any) -> tuple[Key, Exception]:
    """Return the task that a future failed of, and how; raise what the user must mend."""
    if future.status in ("cancelled", "lost"):
        raise FlexclimError(
            "the dask scheduler dropped the run: it was restarted, or the connection was lost. "
            "Call again to continue."
        )
    error = future.exception()
    if isinstance(error, FlexclimError):
        raise error
    return future.key, error


def _told(
    failures: Mapping[Key, Failure], total: int, name: Callable[[Key], str], what: str
) -> str:
    """Say in one line which items failed and why."""
    (first, failure), *others = failures.items()
    error = failure.error
    where = "; ".join(getattr(error, "__notes__", []))
    reason = " ".join(str(error).split())[:300]
    more = f"; and {len(others)} more" if others else ""
    return (
        f"{len(failures)} of {total} {what} failed {TRIES} times: {name(first)}"
        f"{f' ({where})' if where else ''}: {type(error).__name__}: {reason}{more}. The others are "
        "done; call again to try these anew."
    )
