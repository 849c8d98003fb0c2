"""Sampling with FLEX-small: flexclim's way against a plain loop of the same network.

    python -m benchmarks.sampling [--tiles 16] [--members 8] [--precision float32]

16 tiles x 8 members of 128 x 128 at 2 steps. The plain loop takes one tile and member at a time, in
float32 with contiguous memory, and runs the task encoder at every step. flexclim encodes a tile
once, batches, and uses channels-last memory that malloc keeps (and bf16 where asked for). Prints
the ratio of both times and the share of a large matrix product's FLOP/s that the network reaches.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.profile import TYPES, clock, product
from flexclim.execution.allocation import keep_memory
from flexclim.nn.configuration import published_network
from flexclim.nn.diffusion import Diffusion
from flexclim.nn.flex import Flex, TaskFeatures
from flexclim.nn.sampler import sample, time_grid

TILE = 128
TIMES = time_grid(2)
DIFFUSION = Diffusion()


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tiles", type=int, default=16)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--precision", choices=TYPES, default=None)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = options.precision or ("bf16" if device == "cuda" else "float32")
    batch = options.batch or (64 if device == "cuda" else 4)
    network = Flex(published_network("small")).eval().to(device)
    inputs = torch.randn(options.tiles, 1, TILE, TILE, device=device)
    noise = torch.randn(options.tiles, options.members, TILE, TILE, device=device)
    with FlopCounterMode(display=False) as counter:
        features = network.encode("superres", inputs[:1])
        network(noise[:1, :1], torch.ones(1, device=device), features)
    timed = min(4, options.tiles)
    if device == "cuda":  # the first pass warms up
        plain_loop(network, inputs[:timed], noise[:timed])
    plain = clock(lambda: plain_loop(network, inputs[:timed], noise[:timed]), device)
    plain *= options.tiles / timed
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    keep_memory()
    if device == "cuda":  # the first pass warms up
        batched(network, inputs, noise, batch, precision)
    ours = clock(lambda: batched(network, inputs, noise, batch, precision), device)
    passes = options.tiles * options.members * (len(TIMES) - 1)
    print(f"device {device}, {torch.get_num_threads()} threads, {precision}, batch {batch}")
    print(f"plain loop {plain:.1f} s (timed on {timed} tiles), flexclim {ours:.1f} s")
    print(f"ratio {plain / ours:.2f}")
    flops = passes * counter.get_total_flops() / ours
    multiply, count = product(device, TYPES[precision])
    peak = count / min(clock(multiply, device) for _ in range(5))
    print(
        f"{flops / 1e12:.3f} TFLOP/s of {peak / 1e12:.3f} of a matrix product: {flops / peak:.2f}"
    )


def plain_loop(network: Flex, inputs: torch.Tensor, noise: torch.Tensor) -> None:
    """Sample one tile and member at a time, encoding the coarse tile at every step."""
    for tile, members in zip(inputs, noise, strict=True):
        for member in members:
            sample(partial(plain_estimate, network, tile), member[None, None], DIFFUSION, TIMES)


def plain_estimate(
    network: Flex, tile: torch.Tensor, state: torch.Tensor, now: float
) -> torch.Tensor:
    t = state.new_full((1,), now)
    return DIFFUSION.clean(network(state, t, network.encode("superres", tile[None])), state, t)


def batched(
    network: Flex, inputs: torch.Tensor, noise: torch.Tensor, batch: int, precision: str
) -> None:
    """Sample in batches of members and tiles that share features encoded once."""
    members = noise.shape[1]
    group = max(1, batch // members)
    with torch.autocast(inputs.device.type, TYPES[precision], enabled=precision != "float32"):
        for tiles, state in zip(inputs.split(group), noise.split(group), strict=True):
            features = network.encode("superres", channels_last(tiles))
            state = state.reshape(-1, 1, TILE, TILE)
            owner = torch.arange(len(state), device=state.device) // members
            estimate = partial(batched_estimate, network, features, owner, batch)
            sample(estimate, state, DIFFUSION, TIMES)


def batched_estimate(
    network: Flex,
    features: TaskFeatures,
    owner: torch.Tensor,
    batch: int,
    state: torch.Tensor,
    now: float,
) -> torch.Tensor:
    clean = []
    for part, own in zip(state.split(batch), owner.split(batch), strict=True):
        t = part.new_full((len(part),), now)
        output = network(channels_last(part), t, features.take(own)).float()
        clean.append(DIFFUSION.clean(output, part, t))
    return torch.cat(clean)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    main()
