"""What a pass of a network spends its time on, and how near it comes to the machine.

    python -m benchmarks.profile [--model small] [--precision float32] [--batch N] [--table]

Prints the share of each kind of operation in one pass (torch's profiler), and the FLOP/s of the
pass over those of a large matrix product and of a large convolution in the same precision, all
three taken in turns. ``--model`` is small, medium, big or flex-nano. On a GPU, where passes are
recorded as CUDA graphs, also one that is not, tiles a second, the memory of a tile, and how long it
takes to copy what a pass makes to the host, through pinned memory and without. ``--compile`` adds
``torch.compile`` to the comparison.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import flexclim
from flexclim.execution.allocation import keep_memory
from flexclim.execution.batch_size import PASS_PIXELS
from flexclim.nn.compilation import programs
from flexclim.nn.configuration import SIZES, published_network
from flexclim.nn.copies import to_host
from flexclim.nn.flex import Flex
from flexclim.nn.weights_file import compute_in

TYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
KINDS = {
    "convolution": ("convolution",),
    "attention": ("scaled_dot_product", "flash_attention"),
    "matrix product": ("addmm", "aten::mm", "bmm", "linear"),
    "normalisation": ("group_norm", "layer_norm", "batch_norm", "var_mean"),
    "activation": ("silu", "gelu"),
    "resampling": ("upsample", "avg_pool", "pixel"),
    "copies": ("copy_", "cat", "index_select", "clone", "contiguous"),
}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="small")
    parser.add_argument("--precision", choices=TYPES, default=None)
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="each operation of the profile")
    parser.add_argument("--compile", action="store_true", help="time torch.compile too")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = options.precision or ("bf16" if device == "cuda" else "float32")
    network = compute_in(load(options.model).to(device), precision)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    side = network.config.tile[0]
    batch = options.batch or max(1, PASS_PIXELS[device] // side**2 // (8 if device == "cpu" else 1))
    keep_memory()
    given, flops = prepared(network, batch, device)
    run = partial(programs(network, compiled=False)[0], *given)
    print(f"{options.model}, {precision}, {batch} tiles of {side} x {side}, {describe(device)}")
    profile(partial(network, *given), device, options.table)
    passes = {"pass": run}
    if device == "cuda":
        passes["not recorded"] = partial(network, *given)
    if options.compile:
        passes["compiled"] = partial(programs(network, compiled=True)[0], *given)
    works: dict[str, tuple[Callable[[], object], int]] = {
        name: (one, flops) for name, one in passes.items()
    }
    works["matrix product"] = product(device, TYPES[precision])
    works["convolution"] = convolution(device, TYPES[precision])
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(options.rounds + 1):
        for name, (work, count) in works.items():
            rates[name].append(count / clock(work, device))
    best = {name: statistics.median(found[1:]) for name, found in rates.items()}
    for name, rate in best.items():
        of = rate / best["matrix product"]
        tiles = f", {rate / flops * batch:.1f} tiles/s" if name in passes else ""
        print(f"{name:15} {rate / 1e9:10.1f} GFLOP/s, {of:.2f} of the matrix product{tiles}")
    print(f"pass over convolution {best['pass'] / best['convolution']:.2f}")
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        network(*given)
        peak = (torch.cuda.max_memory_allocated() - held) / batch
        print(f"{peak / 1e6:.1f} MB a tile")
        copies(torch.randn(batch, 1, side, side, device=device), options.rounds)


def load(name: str) -> Flex:
    """Return a published size with random weights, or the network of a model."""
    if name in SIZES:
        return Flex(published_network(name)).eval()
    return flexclim.load_model(name).network


def prepared(network: Flex, batch: int, device: str) -> tuple[tuple[Any, ...], int]:
    """Return what one pass of a batch is given, and its FLOP."""
    height, width = network.config.tile
    tile = torch.randn(batch, 1, height, width, device=device)
    tile = tile.contiguous(memory_format=torch.channels_last)
    t = torch.ones(batch, device=device)
    label = torch.zeros(batch, network.config.label_size, device=device)
    features = network.encode("superres", tile, label)
    given = tile, t, features, label
    with FlopCounterMode(display=False) as counter:
        network(*given)
    return given, counter.get_total_flops()


def copies(made: torch.Tensor, rounds: int) -> None:
    """Print how long copies to the host take, in turns."""
    ways = {"as sampling does": to_host, "plain": lambda values: values.cpu().numpy()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, copy in ways.items():
            times[name].append(clock(partial(copy, made), made.device.type))
    said = (f"{name} {1e3 * statistics.median(found[1:]):.3f}" for name, found in times.items())
    print(f"copy of {made.nbytes / 1e6:.1f} MB to the host, ms: {', '.join(said)}")


def profile(run: Callable[[], object], device: str, table: bool) -> None:
    """Print the share of each kind of operation."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    run()
    with torch.profiler.profile(activities=activities) as found:
        run()
    events = found.key_averages()
    column = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    shares: dict[str, float] = defaultdict(float)
    for event in events:
        # Kernels are listed beside the operations that launch them.
        if event.device_type == torch.autograd.DeviceType.CPU:
            shares[kind_of(event.key)] += getattr(event, column)
    total = sum(shares.values())
    for kind, spent in sorted(shares.items(), key=lambda item: -item[1]):
        print(f"  {kind:15} {100 * spent / total:5.1f} %")
    if table:
        print(events.table(sort_by=column, row_limit=25))


def kind_of(operation: str) -> str:
    """Return the kind of an operation by its name."""
    for kind, names in KINDS.items():
        if any(name in operation for name in names):
            return kind
    return "sums and others"


def product(device: str, dtype: torch.dtype) -> tuple[Callable[[], object], int]:
    """Return a large matrix product and its FLOP."""
    size = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return lambda: torch.mm(a, b), 2 * size**3


def convolution(device: str, dtype: torch.dtype) -> tuple[Callable[[], object], int]:
    """Return a large 3 x 3 convolution, channels last, and its FLOP."""
    batch, channels, side = (64, 256, 64) if device == "cuda" else (1, 128, 128)
    x = torch.randn(batch, channels, side, side, device=device, dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    conv = torch.nn.Conv2d(channels, channels, 3, padding=1).to(device, dtype)
    conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return lambda: conv(x), 2 * 9 * batch * channels**2 * side**2


def clock(work: Callable[[], object], device: str) -> float:
    """Return the seconds of one call."""
    if device == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def describe(device: str) -> str:
    """Name the device."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU with {torch.get_num_threads()} threads ({torch.backends.cpu.get_cpu_capability()})"


if __name__ == "__main__":
    main()
