"""Whether a network is faster in bf16 than in float32 on this processor, by a short timing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import torch

from flexclim.nn.configuration import NetworkSettings
from flexclim.nn.flex import Flex
from flexclim.nn.weights_file import compute_in

# Pixels of the forward passes that are timed, and how often each is at most.
PIXELS, ROUNDS = 2**14, 3
# Seconds after which no further pass is timed.
ENOUGH = 1.0
# The time of this thread alone, whatever else runs; on Windows it is too coarse.
CLOCK = time.perf_counter if sys.platform == "win32" else time.thread_time


def has_bf16() -> bool:
    """Return whether this processor has instructions for bf16: AVX512-BF16 or AMX."""
    known = torch.cpu._is_avx512_bf16_supported, torch.cpu._is_amx_tile_supported
    return any(found() for found in known)


@torch.inference_mode()
def gain_of_bf16(config: NetworkSettings) -> float:
    """Return the time of a forward pass in float32 over that in bf16, on this thread.

    Both are taken in turns, and the fastest of each counts. The weights are those of no model: the
    time does not depend on them.
    """
    height, width = config.tile
    batch = max(1, PIXELS // (height * width))
    passes = [_forward_pass(config, precision, batch) for precision in ("float32", "bf16")]
    seconds: list[list[float]] = [[], []]
    began = time.perf_counter()
    for number in range(1 + ROUNDS):  # the first round warms up
        for run, found in zip(passes, seconds, strict=True):
            start = CLOCK()
            run()
            found.append(CLOCK() - start)
        if number and time.perf_counter() - began > ENOUGH:
            break
    exact, rough = (min(found[1:]) for found in seconds)
    return exact / rough


def _forward_pass(config: NetworkSettings, precision: str, batch: int) -> Callable[[], object]:
    """Return a forward pass of a network with equal weights, as sampling runs it."""
    with torch.device("meta"):
        network = Flex(config)
    network = compute_in(network, precision).to_empty(device="cpu").eval()
    for values in (*network.parameters(), *network.buffers()):
        values.fill_(0.01)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task, channels = next(iter(config.conditions.items()))
    noisy, condition = (
        torch.full((batch, *config.tile, count), 0.5).permute(0, 3, 1, 2)
        for count in (config.channels, channels)
    )
    t, label = torch.full((batch,), 0.5), torch.zeros(batch, config.label_size)
    return partial(network, noisy, t, network.encode(task, condition, label), label)
