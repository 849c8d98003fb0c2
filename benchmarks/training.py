"""A training step of FLEX-small: the trainer's way against a plain eager float32 one.

    python -m benchmarks.training [--batch 4] [--size small] [--precision float32] [--rounds 2]

Both train the same network on the same 128 x 128 patches with AdamW, clipping and averages. The
plain step is what torch does by default: contiguous memory, float32, no care of malloc. The
trainer's step is that of ``flexclim train``: memory that malloc keeps, a fused optimizer, channels
last on a GPU, and the precision asked for. Each is timed in processes of
its own, in turns, and the fastest step of each counts. Prints the ratio, what took the time, and
the share of a large matrix product's FLOP/s that the step reaches (a backward pass counts twice).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from torch_ema import ExponentialMovingAverage

from benchmarks.profile import TYPES, clock, product
from flexclim.execution.allocation import keep_memory
from flexclim.nn.configuration import published_network
from flexclim.nn.diffusion import Diffusion
from flexclim.nn.flex import Flex
from flexclim.train.data.batches import Batch
from flexclim.train.loop.averages import Averages
from flexclim.train.loop.learner import prefers_channels_last
from flexclim.train.loop.losses import DenoisingLoss
from flexclim.train.loop.optimizers import make_optimizer
from flexclim.train.loop.processes import Ranks
from flexclim.train.loop.training_step import TrainingStep
from flexclim.train.recipes.recipe import Trainer

TILE = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--size", choices=("small", "medium"), default="small")
    parser.add_argument("--precision", choices=TYPES, default=None)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--way", choices=("plain", "trainer"), default=None)
    options = parser.parse_args()
    cuda = torch.cuda.is_available()
    options.batch = options.batch or (32 if cuda else 4)
    options.precision = options.precision or ("bf16" if cuda else "float32")
    if options.way:
        print(json.dumps(measure(options)))
        return
    found: dict[str, list[dict]] = {"plain": [], "trainer": []}
    for _ in range(options.rounds):
        for way, results in found.items():
            results.append(child(way, options))
    report(found, options)


def child(way: str, options: argparse.Namespace) -> dict:
    """Measure one way in a process of its own."""
    given = (f"--{name}={getattr(options, name)}" for name in ("batch", "size", "precision"))
    command = [sys.executable, "-m", "benchmarks.training", f"--way={way}", *given]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(options: argparse.Namespace) -> dict:
    """Return seconds of the faster of two steps after a first one, FLOP, and what took the time."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    step = (trainer_step if options.way == "trainer" else plain_step)(options, device)
    with FlopCounterMode(display=False) as counter:
        step(0)
    seconds = []
    for number in (1, 2):
        began = time.perf_counter()
        step(number)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        step(3)
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    shares = {event.key: event.self_cpu_time_total / total for event in events[:6]}
    return {"seconds": min(seconds), "flops": counter.get_total_flops(), "shares": shares}


def plain_step(options: argparse.Namespace, device: torch.device) -> Callable[[int], object]:
    """Return a step as torch runs it by default."""
    network = new_network(options.size, device)
    loss = DenoisingLoss(network, Diffusion())
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    averages = ExponentialMovingAverage(network.parameters(), decay=0.999)
    batch = patches(options.batch)
    inputs, residual = (torch.from_numpy(a).to(device) for a in (batch.inputs, batch.residual))
    label = torch.zeros(options.batch, 1, device=device)

    def step(number: int) -> None:
        noise, t = torch.randn_like(residual), torch.rand(options.batch, device=device)
        optimizer.zero_grad()
        loss(inputs, residual, label, noise, t).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        averages.update()

    return step


def trainer_step(options: argparse.Namespace, device: torch.device) -> Callable[[int], object]:
    """Return the step of ``flexclim train``."""
    keep_memory()
    network = new_network(options.size, device)
    if prefers_channels_last(device):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    training_step = TrainingStep(
        DenoisingLoss(network, Diffusion()),
        make_optimizer("adamw", network.parameters(), 0.01),
        Averages(network, 0.999),
        Ranks(device=device),
        Trainer(batch=options.batch, precision=options.precision),
    )
    batch = patches(options.batch)
    network.train()
    return lambda number: training_step.take(number, batch, 1e-4)


def new_network(size: str, device: torch.device) -> Flex:
    torch.manual_seed(0)
    return Flex(published_network(size, tile=(TILE, TILE))).to(device)


def patches(count: int) -> Batch:
    inputs, residual = torch.randn(2, count, 1, TILE, TILE).numpy()
    one = np.ones((count, 1), np.float32)
    return Batch(inputs, residual, label=0 * one, scale=one)


def report(found: dict[str, list[dict]], options: argparse.Namespace) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    best = {way: min(results, key=lambda r: r["seconds"]) for way, results in found.items()}
    capability = torch.backends.cpu.get_cpu_capability()
    print(
        f"FLEX-{options.size}, batch {options.batch}, {options.precision}, {device}, "
        f"{torch.get_num_threads()} threads, {capability}"
    )
    for way, results in found.items():
        times = ", ".join(f"{result['seconds']:.2f}" for result in results)
        shares = ", ".join(f"{name} {share:.0%}" for name, share in best[way]["shares"].items())
        print(f"{way:8} {times} s a step; {shares}")
    seconds = best["trainer"]["seconds"]
    print(f"ratio {seconds / best['plain']['seconds']:.2f}")
    multiply, count = product(device, TYPES[options.precision])
    peak = count / min(clock(multiply, device) for _ in range(5))
    rate = best["trainer"]["flops"] / seconds
    print(f"{options.batch / seconds:.2f} patches/s, {rate / 1e12:.3f} TFLOP/s, ", end="")
    print(f"{rate / peak:.2f} of a matrix product's {peak / 1e12:.3f}")


if __name__ == "__main__":
    main()
