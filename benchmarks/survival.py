"""Kill runs and damage files; the final store must be identical to that of an undisturbed run.

    python -m benchmarks.survival [--kills 50] [--faults 100] [--seed 0]

A small network of random weights downscales noise (64 times x 4 members) into a Zarr store.
Each driver is ended with SIGKILL at a random moment and started anew; a store that was finished is
compared byte by byte with one that nobody disturbed. Then files of it are removed, truncated or get
one bit flipped: ``check`` has to find all of them, and only those may be written anew.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random = np.random.default_rng(asked.seed)
    # The parent only imports, so that what it forks begins with sound threads.
    import flexclim.downscaling
    import flexclim.nn.flex
    import flexclim.sampling.tiled_sampler  # noqa: F401

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        finished(forked(save_model, folder / "model"))
        begun = time.perf_counter()
        finished(forked(downscale, folder / "model", folder / "whole.zarr"))
        took = time.perf_counter() - begun
        differing = kill(folder, asked.kills, took, random)
        code = finished(forked(injure, folder, asked.faults, asked.seed))
    return int(differing > 0 or code != 0)


def kill(folder: Path, kills: int, took: float, random: np.random.Generator) -> int:
    """Kill drivers at random moments; return the bytes that differ in what they finished."""
    done, stores, differing, left, amid = 0, 0, 0, 0, 0
    shards = written(folder / "whole.zarr")
    while done < kills or left:
        store = folder / f"killed-{stores}.zarr"
        driver = forked(downscale, folder / "model", store)
        if done < kills:
            time.sleep(random.uniform(0, took))
        if done < kills and os.waitpid(driver, os.WNOHANG) == (0, 0):
            os.kill(driver, signal.SIGKILL)
            os.waitpid(driver, 0)
            done, left = done + 1, 1
            amid += 0 < written(store) < shards
            continue
        if done == kills and left:
            finished(driver)
        differing += compared(folder / "whole.zarr", store)
        stores, left = stores + 1, 0
    print(
        f"{kills} kills, {amid} of them between a store's first shard and its last, "
        f"{stores} stores finished: {differing} differing bytes",
        flush=True,
    )
    return differing


def written(store: Path) -> int:
    """Count the shards of the field in a store."""
    return sum(path.is_file() for path in store.glob("t/c/**/*"))


def compared(whole: Path, other: Path) -> int:
    """Count the bytes in which two stores differ; the root tells when and is left out."""
    names = {p.relative_to(s) for s in (whole, other) for p in s.rglob("*") if p.is_file()}
    count = 0
    for name in names - {Path("zarr.json")}:
        a, b = ((s / name).read_bytes() if (s / name).exists() else b"" for s in (whole, other))
        short = min(len(a), len(b))
        count += sum(x != y for x, y in zip(a, b, strict=False)) + max(len(a), len(b)) - short
    return count


def injure(folder: Path, faults: int, seed: int) -> None:
    """Damage files of a finished store, in rounds, and mend them."""
    from flexclim.stores import check_store

    random = np.random.default_rng(seed + 1)
    store, injured, found, rewritten = folder / "whole.zarr", 0, 0, 0
    before = {p: p.read_bytes() for p in sorted(store.glob("*/c/**/*")) if p.is_file()}
    while injured < faults:
        files = list(before)
        count = min(faults - injured, len(files) // 2)
        chosen = [files[i] for i in random.choice(len(files), count, replace=False)]
        for path in chosen:
            _damage(path, random)
        names = {p.relative_to(store).as_posix() for p in chosen}
        found += len(names & check_store(store).keys())
        times = {p: p.stat().st_mtime_ns for p in files if p not in chosen}
        downscale(folder / "model", store)
        rewritten += sum(p.stat().st_mtime_ns != then for p, then in times.items())
        injured += count
    same = all(path.read_bytes() == content for path, content in before.items())
    print(
        f"{injured} faults, {found} found; {rewritten} intact files rewritten; "
        f"the repaired store {'is' if same else 'is NOT'} identical",
        flush=True,
    )
    if found < injured or rewritten or not same:
        raise SystemExit(1)


def _damage(path: Path, random: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    kind = random.integers(3)
    if kind == 0:
        path.unlink()
    elif kind == 1:
        path.write_bytes(content[: random.integers(len(content))])
    else:
        content[random.integers(len(content))] ^= 1 << random.integers(8)
        path.write_bytes(content)


def save_model(folder: Path) -> None:
    """Save a small network of random weights."""
    import torch

    from flexclim.models.card import ModelCard
    from flexclim.models.model import new_model
    from flexclim.models.settings import ModelSettings
    from flexclim.nn.configuration import NetworkSettings
    from flexclim.nn.flex import Flex

    torch.manual_seed(0)
    sizes = NetworkSettings(
        tile=(32, 32), channels=1, conditions={"superres": 1}, model_channels=(32, 32),
        res_blocks=(1, 1), depth=3, num_heads=2, unshuffle=4,
    )  # fmt: skip
    network = Flex(sizes)
    for weights in network.parameters():
        if weights.ndim > 1 and not weights.any():
            torch.nn.init.normal_(weights, std=0.02)
    settings = ModelSettings(
        network=sizes, method="euler", steps=1, halo=8, factors=(2,), residual_scale={2: (0.7,)}
    )
    new_model(network, settings, ModelCard(name="small")).save(folder)


def downscale(model: Path, store: Path) -> None:
    """Downscale noise; the driver that is killed."""
    import pandas as pd
    import torch
    import xarray as xr

    import flexclim

    torch.set_num_threads(1)
    values = np.random.default_rng(0).normal(size=(64, 16, 24)).astype("float32")
    coarse = xr.DataArray(
        values,
        {
            "time": pd.date_range("2020-01-01", periods=64, freq="6h"),
            "lat": np.arange(50.0, 42, -0.5),
            "lon": np.arange(5.0, 17, 0.5),
        },
        ("time", "lat", "lon"),
        name="t",
    )
    flexclim.downscale_to_zarr(coarse, store, 2, model=str(model), members=4, batch=2)


def forked(function: Callable[..., None], *arguments: object) -> int:
    """Run a function in a child, and return the child's number."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        function(*arguments)
        code = 0
    except BaseException as error:
        print(f"{function.__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def finished(child: int) -> int:
    """Wait for a child; one that failed ends the benchmark."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise SystemExit(f"a driver ended with {code}")
    return code


if __name__ == "__main__":
    sys.exit(main())
