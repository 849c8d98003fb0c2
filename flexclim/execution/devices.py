"""The device that samples, and the memory that is free there."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from flexclim.errors import FlexclimError
from flexclim.execution.workers import TORCH_THREADS, active_client, first_worker, workers_of

CGROUP = Path("/sys/fs/cgroup")


def choose_device(device: str | None, compiled: bool = False) -> tuple[str, int]:
    """Return the device to sample on, and the bytes that are free there for a forward pass.

    If a dask cluster is active they are those of one of its workers, with a GPU where some have
    one; workers of one machine share its memory. Waits until a cluster has a worker.

    Parameters
    ----------
    device
        As requested; default: a GPU where there is one.
    compiled
        Whether the network is to be compiled there.

    Raises
    ------
    FlexclimError
        If there is no such device, it can't compile, or the cluster gets no worker.
    """
    client = active_client()
    if client is None:
        return device_here(device, compiled)
    workers = workers_of(client)
    first = first_worker(workers)
    neighbours = sum(worker["host"] == workers[first]["host"] for worker in workers.values())
    (found,) = client.run(device_here, device, compiled, workers=[first]).values()
    return found[0], found[1] // (1 if found[0].startswith("cuda") else neighbours)


def device_here(device: str | None = None, compiled: bool = False) -> tuple[str, int]:
    """Return the device that this process would sample on, and its free bytes per forward pass.

    On a CPU as many forward passes run at once as torch has threads, and share the memory.

    Raises
    ------
    FlexclimError
        If there is no such device here, or ``compiled`` is True and it can't compile a network.
    """
    import torch

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    _check_device(device := str(device))
    if compiled:
        from flexclim.nn.compilation import check_compiler

        check_compiler(device)
    threads = int(os.environ.get(TORCH_THREADS, 0)) or torch.get_num_threads()
    return device, free_memory(device) // (threads if device == "cpu" else 1)


def _check_device(device: str) -> None:
    if device == "cpu":
        return
    import torch

    kind, _, number = device.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise FlexclimError(
            f'device={device!r} is not a device to sample on. Give "cpu", "cuda" or a GPU such as '
            '"cuda:1".'
        )
    if int(number or 0) >= (available := torch.cuda.device_count()):
        raise FlexclimError(
            f"device={device!r} is not available: torch finds {available or 'no'} GPUs. Give "
            "another, or leave device out."
        )


def free_memory(device: str) -> int:
    """Return the bytes that are free on a device and that this process may use."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return min(int(psutil.virtual_memory().available), _control_group_memory())


def _control_group_memory() -> int:
    """Return the bytes that the control group of this process, such as a batch job's, has left."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return max(0, int((CGROUP / limit).read_text()) - int((CGROUP / used).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return 2**63
