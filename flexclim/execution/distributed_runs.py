"""Run the tasks of a graph on a dask.distributed cluster."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dask.highlevelgraph import HighLevelGraph
from dask.typing import Key

from flexclim.errors import FlexclimError
from flexclim.execution.failures import TRIES, Failure
from flexclim.execution.network_tasks import with_resources
from flexclim.execution.workers import (
    CHECK_EVERY,
    GPU,
    GPU_SHARE,
    Patience,
    offers_gpu,
    workers_now,
)

if TYPE_CHECKING:
    from distributed import Client, Future


def run_on_cluster(
    client: Client,
    graph: HighLevelGraph,
    rounds: Sequence[Sequence[Key]],
    count_one: Callable[[], None],
) -> dict[Key, Failure]:
    """Compute items, earlier rounds with higher priority; return those that failed.

    The scheduler retries failed tasks itself, and those of workers that died. Where workers offer
    GPUs, tasks that run the network go there.

    Parameters
    ----------
    rounds
        Keys of the items.
    count_one
        Called for each item that is complete.
    """
    if any(map(offers_gpu, workers_now(client).values())):
        graph = with_resources(graph, {GPU: GPU_SHARE})
    futures: list[Future[object]] = [
        future
        for number, keys in enumerate(rounds)
        for future in client.get(
            graph.cull(set(keys)), list(keys), sync=False, retries=TRIES - 1, priority=-number
        )
    ]
    pending = {future.key: future for future in futures}
    finished: queue.Queue[Future[object]] = queue.Queue()
    failures: dict[Key, Failure] = {}
    try:
        for future in futures:
            future.add_done_callback(finished.put)
        patience = Patience(client)
        while pending:
            try:
                future = finished.get(timeout=CHECK_EVERY)
            except queue.Empty:
                patience.check(f"{len(pending)} items left")
                continue
            del pending[future.key]
            if future.status == "finished":
                count_one()
            else:
                failures[future.key] = _failure(future)
            future.release()
    finally:
        if client.status == "running":
            client.cancel(list(pending.values()))
    return failures


def _failure(future: Future[object]) -> Failure:
    """Return the failure of a future; raise if the user has to fix it."""
    if future.status in ("cancelled", "lost"):
        raise FlexclimError(
            "the dask scheduler dropped the run: it was restarted, or the connection was lost. "
            "Call again to continue."
        )
    error = future.exception()
    if isinstance(error, FlexclimError):
        raise error
    return Failure(future.key, error)
