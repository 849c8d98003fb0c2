"""Connect to a cluster of worker processes or start one, and load the models there."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dask

from flexclim.errors import FlexclimError, ModelError
from flexclim.execution.devices import device_here
from flexclim.execution.workers import (
    GPU,
    GPU_THREADS,
    NO_WORKERS,
    NO_WORKERS_SECONDS,
    TORCH_THREADS,
    active_client,
    workers_now,
)
from flexclim.models.model import ModelReference

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

# A task is given up after this many of its workers died; a run of days meets some bad nodes.
ALLOWED_FAILURES = 10
# Threads of a worker without a GPU: one samples while another prepares or writes.
THREADS = 2


def equip(
    models: Sequence[tuple[ModelReference, str]],
    device: str,
    zarr_settings: Mapping[str, object],
) -> None:
    """Have the workers of the active cluster, now and later, set up zarr and load models once.

    Parameters
    ----------
    models
        Each with its precision.
    zarr_settings
        zarr's configuration in worker processes.

    Raises
    ------
    ModelError
        If a model was not saved, or a worker can't read it.
    """
    client = active_client()
    if client is None:
        return
    for reference, _ in models:
        if reference.path is None and _in_other_processes(client):
            raise ModelError(
                f"model {reference.name!r} was not saved, so workers can't load it; save it "
                "first: model.save(folder)."
            )
    from flexclim.execution.worker_plugin import LoadModels

    client.register_plugin(LoadModels(models, device, zarr_settings))


@contextmanager
def connected(scheduler: str | None = None, workers: int | None = None) -> Iterator[None]:
    """Run on a cluster inside the block; without arguments nothing changes.

    Parameters
    ----------
    scheduler
        The address of a running cluster, such as ``"tcp://10.0.0.1:8786"``.
    workers
        Processes to start on this machine: one per GPU with dask-cuda where there are GPUs,
        otherwise they share the cores.

    Raises
    ------
    FlexclimError
        If both are given, dask.distributed is missing, or no scheduler answers at the address.
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
        with _client_of(scheduler):
            yield
        return
    with dask.config.set(_settings()), _cluster(workers) as cluster, Client(cluster) as client:
        client.run(_ignore_interrupts)
        try:
            yield
        except BaseException as error:
            if not isinstance(error, Exception):  # stopped: workers are killed as they compute
                logging.getLogger("distributed").setLevel(logging.CRITICAL)
            raise


def _ignore_interrupts() -> None:
    """Leave Ctrl-C, which a terminal sends to workers too, to the process that ends them."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _client_of(scheduler: str | None) -> Client:
    from distributed import Client

    try:
        return Client(scheduler)
    except (OSError, ValueError) as error:
        raise FlexclimError(
            f"no dask scheduler answers at {scheduler} ({str(error).splitlines()[0]}). Start one "
            "with: dask scheduler."
        ) from None


def _settings() -> dict[str, object]:
    """Return dask settings for clusters that we start; the user's own take precedence."""
    usual = {NO_WORKERS: f"{NO_WORKERS_SECONDS:g}s"}
    unset = {key: value for key, value in usual.items() if dask.config.get(key, None) is None}
    return unset | {"distributed.scheduler.allowed-failures": ALLOWED_FAILURES}


def _cluster(workers: int) -> LocalCluster:
    from distributed import LocalCluster

    if device_here()[0] == "cuda":
        try:
            from dask_cuda import LocalCUDACluster
        except ImportError:
            raise FlexclimError(
                "one worker per GPU needs dask-cuda. Install it: pip install 'flexclim[cuda]', or "
                "leave out the number of workers to use one GPU."
            ) from None
        cluster: LocalCluster = LocalCUDACluster(
            n_workers=workers, threads_per_worker=GPU_THREADS, resources={GPU: 1}
        )
        return cluster
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


def _in_other_processes(client: Client) -> bool:
    return any(not address.startswith("inproc://") for address in workers_now(client))
