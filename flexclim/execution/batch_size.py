"""How much memory a forward pass takes, and how many tiles fit into one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flexclim.nn.configuration import NetworkSettings

# Pixels in one forward pass: enough to keep a device, or a core, busy, and no more.
PASS_PIXELS = {"cpu": 2**16, "cuda": 2**20}
# Features of a field's windows are kept up to this size in float32.
MAX_FEATURE_BYTES = 2**32
# The share of the free memory that a forward pass may take.
SHARE = 0.5
# Feature maps of a level's width that a residual block holds at once, in addition to the skips.
MAPS_PER_BLOCK = 6


def pass_bytes(network: NetworkSettings, precision: str = "float32") -> int:
    """Estimate the bytes of activations of one tile in a forward pass.

    The maps of the encoder and the task encoder are kept for the decoder; the widest residual
    block holds ``MAPS_PER_BLOCK`` more.
    """
    cells = network.tile[0] * network.tile[1] // network.unshuffle**2
    widest: int = max(2 * cells // 4**level * n for level, n in enumerate(network.model_channels))
    # Some intermediate results within a block are float32 in every precision.
    return 2 * feature_bytes(network, precision) + MAPS_PER_BLOCK * widest * 4


def feature_bytes(network: NetworkSettings, precision: str = "float32") -> int:
    """Return the bytes of the task encoder's output for one tile."""
    cells = network.tile[0] * network.tile[1] // network.unshuffle**2
    numbers: int = cells * network.model_channels[0]
    for channels, blocks in zip(network.model_channels, network.res_blocks, strict=True):
        numbers += cells * channels * blocks + cells // 4 * channels
        cells //= 4
    return numbers * (4 if precision == "float32" else 2)


def kept_tiles(network: NetworkSettings, batch: int) -> int:
    """Return of how many tiles the features may be kept between sampler steps.

    They take at most half the memory of a forward pass of ``batch`` tiles; of more tiles they are
    recomputed at each step.
    """
    limit = min(batch * pass_bytes(network) // 2, MAX_FEATURE_BYTES)
    return int(limit // feature_bytes(network))


def choose_batch(network: NetworkSettings, device: str, precision: str, free: int) -> int:
    """Return how many tiles go through the network at once: at least one.

    Enough to keep the device busy, as far as they fit into ``SHARE`` of the ``free`` bytes.
    """
    wanted = PASS_PIXELS[device.split(":")[0]] // (network.tile[0] * network.tile[1])
    return max(1, min(wanted, int(SHARE * free) // pass_bytes(network, precision)))


def is_out_of_memory(error: Exception) -> bool:
    """Return whether a forward pass failed because memory did not suffice, on a GPU or a CPU."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
