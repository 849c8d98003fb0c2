"""Where to sample: on which device, how much memory it has, and how much a pass takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from flexclim.errors import FlexclimError
from flexclim.execution.allocation import keep_memory
from flexclim.execution.engine import GPU, TORCH_THREADS, active_client, workers_of

if TYPE_CHECKING:
    from flexclim.models.settings import NetworkSettings

# Pixels in one pass of the network: enough to keep a device, or a core, busy, no more.
PASS_PIXELS = {"cpu": 2**16, "cuda": 2**20}
# Features of a field's windows are kept up to this size in float32.
MOST_FEATURES = 2**32
# The share of what is free that a pass may take.
SHARE = 0.5
# Fields of a level's width that a residual block holds at once, beside the skips.
HELD = 6
CGROUP = Path("/sys/fs/cgroup")


def choose_device(device: str | None, compiled: bool = False) -> tuple[str, int]:
    """Return the device to sample on, and the bytes that are free there for a pass.

    If a dask cluster is active they are those of one of its workers, with a GPU where some have
    one; workers share the memory of their machine. A cluster without workers is waited for.

    Parameters
    ----------
    device
        As asked for; None: a GPU where there is one.
    compiled
        Whether the network shall be compiled there.

    Raises
    ------
    FlexclimError
        If there is no such device, it can't compile, or no worker comes to the cluster.
    """
    client = active_client()
    if client is None:
        return device_here(device, compiled)
    workers = workers_of(client)
    first = max(workers, key=lambda address: workers[address].get("resources", {}).get(GPU, 0))
    neighbours = sum(worker["host"] == workers[first]["host"] for worker in workers.values())
    (found,) = client.run(device_here, device, compiled, workers=[first]).values()
    return found[0], found[1] // (1 if found[0].startswith("cuda") else neighbours)


def device_here(device: str | None = None, compiled: bool = False) -> tuple[str, int]:
    """Return the device that this process would sample on, and the bytes free there for a pass.

    On a CPU as many passes run at once as torch has threads, from memory that they share.

    Raises
    ------
    FlexclimError
        If there is no such device here, or it can't compile a network that shall be ``compiled``.
    """
    if device in (None, "cpu"):
        keep_memory()  # before torch starts threads

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
            f'device={device!r} is not one to sample on. Give "cpu", "cuda" or a GPU such as '
            '"cuda:1".'
        )
    if int(number or 0) >= (there := torch.cuda.device_count()):
        raise FlexclimError(
            f"device={device!r} is not here: torch finds {there or 'no'} GPUs. Give another, or "
            "none to have it chosen."
        )


def free_memory(device: str) -> int:
    """Return the bytes that are free on a device, and that this process may use."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return min(psutil.virtual_memory().available, _group_limit())


def pass_bytes(network: NetworkSettings, precision: str = "float32") -> int:
    """Estimate the bytes of activations of one tile in a pass of the network.

    The encoder's maps and those of the task encoder are kept for the decoder; the widest residual
    block holds ``HELD`` fields more, of the skip beside its own.
    """
    cells = network.tile[0] * network.tile[1] // network.unshuffle**2
    widest = max(2 * cells // 4**level * n for level, n in enumerate(network.model_channels))
    # What goes on within a block is float32, in part.
    return 2 * feature_bytes(network, precision) + HELD * widest * 4


def feature_bytes(network: NetworkSettings, precision: str = "float32") -> int:
    """Return the bytes of what a task encoder makes of one tile."""
    cells = network.tile[0] * network.tile[1] // network.unshuffle**2
    numbers = cells * network.model_channels[0]
    for channels, blocks in zip(network.model_channels, network.res_blocks, strict=True):
        numbers += cells * channels * blocks + cells // 4 * channels
        cells //= 4
    return numbers * (4 if precision == "float32" else 2)


def keeps_features(network: NetworkSettings, tiles: int, batch: int) -> bool:
    """Say whether features of so many tiles are kept between steps, else made anew at each.

    They are as long as they take no more than half of what a pass does.
    """
    most = min(batch * pass_bytes(network) // 2, MOST_FEATURES)
    return tiles * feature_bytes(network) <= most


def choose_batch(network: NetworkSettings, device: str, precision: str, free: int) -> int:
    """Return how many tiles go through the network at once.

    As many as keep the device busy, if they fit into ``SHARE`` of the free bytes; at least one.
    """
    wanted = PASS_PIXELS[device.split(":")[0]] // (network.tile[0] * network.tile[1])
    return max(1, min(wanted, int(SHARE * free) // pass_bytes(network, precision)))


def is_out_of_memory(error: Exception) -> bool:
    """Say whether a pass failed for want of memory, on a GPU or a CPU."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _group_limit() -> int:
    """Return what the control group of this process, such as a batch job's, has left."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return max(0, int((CGROUP / limit).read_text()) - int((CGROUP / used).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return 2**63
