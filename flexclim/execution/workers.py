"""The dask.distributed client that is active, and the workers of its cluster."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

import dask

from flexclim.errors import FlexclimError

if TYPE_CHECKING:
    from distributed import Client

# Seconds between two checks whether a cluster has workers.
CHECK_EVERY = 1.0
# How long a run waits for workers, unless dask's configuration says otherwise.
NO_WORKERS = "distributed.scheduler.no-workers-timeout"
NO_WORKERS_SECONDS = 300.0
# The resource that workers with a GPU may offer, and the share of it that a task that runs the
# network takes: one is on the GPU while others work on the host before or after that.
GPU, GPU_SHARE = "GPU", 0.25
# Threads of a process that has a GPU: most wait for it, or write.
GPU_THREADS = 8
# The environment variable that sets a worker's number of torch threads.
TORCH_THREADS = "FLEXCLIM_TORCH_THREADS"


class WorkerInfo(TypedDict, total=False):
    """A worker as the scheduler describes it; the keys that are read here."""

    host: str
    resources: Mapping[str, float]


def active_client() -> Client | None:
    """Return the client of the cluster that dask would use; None if there is none."""
    get = dask.base.get_scheduler()
    client: Client | None = getattr(get, "__self__", None)
    return client if type(client).__name__ == "Client" else None


def workers_of(client: Client) -> dict[str, WorkerInfo]:
    """Return the workers of a cluster by address; wait until there is one.

    Raises
    ------
    FlexclimError
        If none comes in time.
    """
    patience, requested = Patience(client), False
    while not (workers := workers_now(client)):
        if not requested:  # an adaptive cluster starts workers only when there is work
            client.submit(bool, pure=False)
            requested = True
        patience.check("no work started")
        time.sleep(CHECK_EVERY)
    return workers


def workers_now(client: Client) -> dict[str, WorkerInfo]:
    """Return the workers that a cluster has now, by address."""
    return dict(client.scheduler_info(n_workers=-1)["workers"])


def first_worker(workers: Mapping[str, WorkerInfo]) -> str:
    """Return the address of the worker that tells what all can do: one with a GPU if there is."""
    return max(workers, key=lambda address: workers[address].get("resources", {}).get(GPU, 0))


def offers_gpu(worker: WorkerInfo) -> bool:
    """Return whether a worker offers the resource GPU."""
    return bool(worker.get("resources", {}).get(GPU, 0))


class Patience:
    """A limit on how long a run waits for a cluster that has no workers."""

    def __init__(self, client: Client) -> None:
        from dask.utils import parse_timedelta

        self.client, self.last_seen = client, time.monotonic()
        configured = dask.config.get(NO_WORKERS, None)
        self.seconds = (
            NO_WORKERS_SECONDS if configured is None else float(parse_timedelta(configured))
        )

    def check(self, remaining: str) -> None:
        """Raise if the connection is lost or no worker has been there for too long.

        Parameters
        ----------
        remaining
            What is not done yet, for the error.
        """
        if self.client.status != "running":
            raise FlexclimError(
                f"the connection to the dask scheduler is lost, with {remaining}. Restart it and "
                "call again to continue."
            )
        if self.client.scheduler_info(n_workers=1)["workers"]:
            self.last_seen = time.monotonic()
        if time.monotonic() - self.last_seen > self.seconds:
            raise FlexclimError(
                f"the dask cluster has had no worker for {self.seconds:g} s, with {remaining}. "
                "See the workers' logs, start some and call again to continue; "
                f"{NO_WORKERS} in dask's configuration sets how long to wait."
            )
