"""``downscale_to_zarr`` against the bare forward passes that it needs.

    python -m benchmarks.downscale [--model flex-nano] [--times 20] [--members 16] [--profile]

GFS wind of September 2018 (u10, global, with both poles), brought from 4 degrees back to 1 at 2
steps (``--degrees 1``: from 1 to a quarter), into a Zarr store. ``--compile`` compiles the network
first. ``--model small`` takes FLEX-small with random weights (its usual size: 4
times x 8 members). The bare forward passes are the task encoder once a tile and time and the
network once a tile, member, time and step, in the same batches, on tensors that lie ready: some of
them are timed before, between and after the runs. ``--host`` times all but the forward passes,
which answer with their noise at once. ``--like-gpu 42`` has them and the noise take 42 ms a
megapixel of a member and no core, one after the other as on a GPU, and prints how much longer the
whole takes. ``--profile`` runs once on one thread and prints where the time goes beside the
network.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import os
import pstats
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dask
import numpy as np
import torch
import xarray as xr

import flexclim
from flexclim import stores
from flexclim.execution import workers
from flexclim.execution.allocation import keep_memory
from flexclim.execution.forward_passes import run_passes
from flexclim.models.card import ModelCard
from flexclim.models.model import Model, keep_loaded, new_model
from flexclim.models.settings import ModelSettings
from flexclim.nn.compilation import programs
from flexclim.nn.configuration import SIZES, published_network
from flexclim.nn.copies import to_host
from flexclim.nn.flex import Flex
from flexclim.planning.downscaling_plan import (
    DownscalingOptions,
    DownscalingPlan,
    plan_downscaling,
)
from flexclim.planning.source import resolve
from flexclim.sampling import planes as ensemble
from flexclim.sampling.tiled_sampler import TiledSampler

FACTOR = 4
# The share of the bare forward passes that is timed each time.
TIMED = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="flex-nano")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--degrees", type=int, choices=(4, 1), default=4)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--host", action="store_true")
    parser.add_argument("--like-gpu", type=float, metavar="MS")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    keep_memory()  # as the command line does
    coarse = wind(options.times, options.degrees)
    model = load(options.model)
    asked = DownscalingOptions(factor=FACTOR, members=options.members, compile=options.compile)
    keep_loaded(model)
    plan = plan_downscaling(resolve(coarse.to_dataset()), ["u10"], ["u10"], model, asked)
    downscale = partial(run, model=model, members=options.members, compiled=options.compile)
    cells = plan.sampling.tiles.domain.shape[0] * plan.sampling.tiles.domain.shape[1]
    amount = cells * options.times * options.members / 1e6
    if options.like_gpu:
        show_like_gpu(partial(downscale, coarse), options.like_gpu, options.rounds)
        return
    with passes_that(no_passes) if options.host else nullcontext():
        downscale(coarse.isel(time=slice(0, 1)))
        if options.profile:
            show_profile(partial(downscale, coarse))
            return
        if options.host:
            show_beside(partial(downscale, coarse), amount, options.rounds)
            return
    bare, whole = [bare_passes(model, plan, options.times)], []
    for _ in range(options.rounds):
        began = time.perf_counter()
        downscale(coarse)
        whole.append(time.perf_counter() - began)
        bare.append(bare_passes(model, plan, options.times))
        print(
            f"bare forward passes {bare[-1]:.1f} s, downscale_to_zarr {whole[-1]:.1f} s", flush=True
        )
    near = [(before + after) / 2 for before, after in itertools.pairwise(bare)]
    ratios = [w / b for w, b in zip(whole, near, strict=True)]
    rate = amount / statistics.median(whole)
    size = f"{options.times} times x {options.members} members"
    print(f"{options.model}, {size} on {plan.sampling.device} in {plan.sampling.precision}:")
    print(f"{plan.sampling.tiles.count} tiles, {rate:.3f} megapixels x members a second")
    print(f"ratio {statistics.median(ratios):.3f} (median of {options.rounds})")


def wind(times: int, degrees: int) -> xr.DataArray:
    """Return coarse wind of some times, at this spacing."""
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    fine = xr.open_dataset(folder / "gfs_wind_1deg_2018.nc")["u10"].isel(time=slice(0, times))
    return fine.load() if degrees == 1 else flexclim.coarsen(fine.load(), degrees)


def load(name: str) -> Model:
    """Return a model, or a published size with random weights."""
    if name not in SIZES:
        return flexclim.load_model(name)
    network = published_network(name)
    settings = ModelSettings(
        network=network, halo=32, factors=(FACTOR,), residual_scale={FACTOR: (1.0,)}
    )
    return new_model(Flex(network), settings, ModelCard(name=name))


def run(coarse: xr.DataArray, model: Model, members: int, compiled: bool) -> None:
    """Downscale into a store that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "fine.zarr"
        flexclim.downscale_to_zarr(
            coarse, store, FACTOR, model=model, members=members, compile=compiled
        )


@contextmanager
def passes_that(sample: Callable[..., Any]) -> Iterator[None]:
    """Have all passes be what ``sample`` does in place of :meth:`TiledSampler.sample`."""

    def encode(*_: object) -> None: ...

    with patch.multiple(TiledSampler, encode=encode, sample=sample):
        yield


def no_passes(sampler: TiledSampler, inputs: object, label: object, noise: Any, *_: object) -> Any:
    """Answer with the noise that is given."""
    return to_host(torch.as_tensor(noise, device=sampler.device))


def show_beside(downscale: Callable[[], None], amount: float, rounds: int) -> None:
    """Print how long it takes, of all cores and of one, for a megapixel of a member."""
    for _ in range(rounds):
        began, busy = time.perf_counter(), time.process_time()
        downscale()
        took, busy = time.perf_counter() - began, time.process_time() - busy
        print(
            f"beside the passes {took:.1f} s: a megapixel of a member {1e3 * took / amount:.0f} "
            f"ms, {1e3 * busy / amount:.0f} ms of one core"
        )


def show_like_gpu(downscale: Callable[[], None], pace: float, rounds: int) -> None:
    """Print how long it takes where passes, and noise, need no core but ``pace`` ms a megapixel."""
    busy, took, ratios = threading.Lock(), [0.0], []

    def draw(shape: tuple[int, int], key: object, numbers: Sequence[int], origin: object) -> Any:
        return np.zeros((len(numbers), *shape), np.float32)

    def sample(sampler: object, inputs: object, label: object, noise: Any, *_: object) -> Any:
        with busy:
            began = time.perf_counter()
            time.sleep(1e-9 * pace * noise.size)
            took[0] += time.perf_counter() - began
        return noise

    with (
        passes_that(sample),
        patch.object(ensemble, "_drawing", lambda device: (draw, np.stack)),
        patch.object(stores.store, "threads_for", lambda *_: workers.GPU_THREADS),
    ):
        for _ in range(rounds):
            took[0], began = 0.0, time.perf_counter()
            downscale()
            whole = time.perf_counter() - began
            ratios.append(whole / took[0])
            print(f"passes {took[0]:.1f} s, downscale_to_zarr {whole:.1f} s", flush=True)
    print(f"ratio {statistics.median(ratios):.3f} (median of {rounds})")


def show_profile(downscale: Callable[[], None]) -> None:
    """Print the functions that take longest, with all tasks on one thread."""
    found = cProfile.Profile()
    with dask.config.set(scheduler="synchronous"), found:
        downscale()
    pstats.Stats(found).sort_stats("tottime").print_stats(25)


def bare_passes(model: Model, plan: DownscalingPlan, times: int) -> float:
    """Return the seconds that the network alone takes, from a share of its passes.

    They run as flexclim runs them, on a CPU each on one thread.
    """
    sampling = plan.sampling
    batch, steps, tiles = sampling.batch, sampling.steps, sampling.tiles.count
    network, encoder = programs(
        model.network_on(sampling.device, sampling.precision), sampling.compiled
    )
    tile = torch.randn(batch, 1, *sampling.tiles.tile).to(sampling.device)
    tile = tile.contiguous(memory_format=torch.channels_last)
    size = model.settings.network.label_size
    label, t = (
        torch.zeros(batch, size, device=sampling.device),
        torch.ones(batch, device=sampling.device),
    )
    encode = torch.inference_mode()(lambda: encoder("superres", tile, label))
    features = encode()
    denoise = torch.inference_mode()(lambda: network(tile, t, features, label))
    encodings = times * tiles / batch
    passes = len(sampling.member_numbers) * steps * encodings
    return timed(encode, encodings, sampling.device) + timed(denoise, passes, sampling.device)


def timed(work: Callable[[], object], count: float, device: str) -> float:
    """Return the seconds of ``count`` calls, from a share of them."""
    calls = max(torch.get_num_threads(), round(TIMED * count))
    began = time.perf_counter()
    list(run_passes([work] * calls, device.split(":")[0]))
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / calls * count


if __name__ == "__main__":
    main()
