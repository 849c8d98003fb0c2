"""A cluster of worker processes: made or joined, and given the models once each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dask

from flexclim.errors import FlexclimError, ModelError
from flexclim.execution.devices import device_here
from flexclim.execution.engine import (
    GPU,
    GPU_THREADS,
    NO_WORKERS,
    NO_WORKERS_SECONDS,
    TORCH_THREADS,
    active_client,
)
from flexclim.models.model import ModelReference

# A task whose workers died so often is given up; one that runs for days meets some bad nodes.
ALLOWED_FAILURES = 10
# Threads of a worker without a GPU: one samples, another prepares or writes meanwhile.
THREADS = 2


def equip(references: Sequence[ModelReference], device: str, precision: str) -> None:
    """Have the workers of the active cluster, and those that join, load models once.

    Raises
    ------
    ModelError
        If a model was not saved, or a worker can't read it.
    """
    client = active_client()
    if client is None:
        return
    for reference in references:
        if reference.path is None and _in_other_processes(client):
            raise ModelError(
                f"model {reference.name!r} was not saved, so workers can't load it; save it "
                "first: model.save(folder)."
            )
    from flexclim.execution.worker import LoadModels

    client.register_plugin(LoadModels(references, device, precision))


@contextmanager
def connected(scheduler: str | None = None, workers: int | None = None) -> Iterator[None]:
    """Work on a cluster meanwhile: one that runs at an address, or new processes on this machine.

    Parameters
    ----------
    scheduler
        Such as ``"tcp://10.0.0.1:8786"``.
    workers
        Processes to start: one a GPU with dask-cuda where there are GPUs, else they share the
        cores.

    Raises
    ------
    FlexclimError
        If both are given, dask.distributed is missing, or nobody answers at the address.
    """
    if scheduler is None and workers is None:
        yield
        return
    if scheduler is not None and workers is not None:
        raise FlexclimError("give either a scheduler to join or a number of workers to start.")
    try:
        from distributed import Client
    except ImportError:
        raise FlexclimError(
            "workers need dask.distributed. Install it: pip install 'flexclim[distributed]'."
        ) from None
    if workers is None:
        try:
            client = Client(scheduler)
        except (OSError, ValueError) as error:
            raise FlexclimError(
                f"no dask scheduler answers at {scheduler} ({str(error).splitlines()[0]}). Start "
                "one with: dask scheduler."
            ) from None
        with client:
            yield
        return
    with dask.config.set(_patience()), _cluster(workers) as cluster, Client(cluster):
        yield


def _patience() -> dict[str, Any]:
    """Return settings for clusters that we start, but those that the user has set."""
    wanted = {NO_WORKERS: f"{NO_WORKERS_SECONDS:g}s"}
    kept = {key: value for key, value in wanted.items() if dask.config.get(key, None) is None}
    return kept | {"distributed.scheduler.allowed-failures": ALLOWED_FAILURES}


def _cluster(workers: int) -> Any:
    from distributed import LocalCluster

    if device_here()[0] == "cuda":
        try:
            from dask_cuda import LocalCUDACluster
        except ImportError:
            raise FlexclimError(
                "one worker a GPU needs dask-cuda. Install it: pip install 'flexclim[cuda]', or "
                "leave out the number of workers to use one GPU."
            ) from None
        return LocalCUDACluster(
            n_workers=workers, threads_per_worker=GPU_THREADS, resources={GPU: 1}
        )
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=THREADS,
        env={TORCH_THREADS: str(max(1, _cores() // workers))},
    )


def _cores() -> int:
    """Return the cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _in_other_processes(client: Any) -> bool:
    addresses = client.scheduler_info(n_workers=-1)["workers"]
    return any(not address.startswith("inproc://") for address in addresses)
