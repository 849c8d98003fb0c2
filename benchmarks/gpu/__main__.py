"""Train recipes on a GPU machine without network, until a given minute.

    python -m benchmarks.gpu pack RECIPE ... [SETTING=VALUE ...] [--folder gpu] [--precision 8]
    python -m benchmarks.gpu run RECIPE ... [SETTING=VALUE ...] --minutes M [M ...] [--until 8.5]
                             [--folder gpu] [--runs runs/gpu] [--results FOLDER] [--ranks N]
    python -m benchmarks.gpu unpack RESULTS FOLDER

`pack` writes the data of the recipes into a folder that travels with the checkout. `run` unpacks
them, checks the GPU for at most two minutes, measures the speed of each recipe, fits its steps into
its minutes, and trains it under torchrun with one process per GPU, in bf16. It stops at the minute
`--until` of the call; the same command continues. `unpack` joins the parts of the results.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import packing, results
from benchmarks.gpu.schedule import default_settings, job_of, launch
from benchmarks.gpu.training import write_json
from flexclim.train import load_recipe

LIMIT = 35  # MB of packed data
CHECKS, CHECKING = "checks.json", 120.0  # seconds
ENDING = 60.0  # seconds that the model and the scores of a stopped run may take


def main() -> int:
    began, options = time.time(), parse()
    if options.action == "pack":
        return pack(options)
    if options.action == "unpack":
        for folder in results.unpack(options.results, options.into):
            print(folder)
        return 0
    return run(options, began)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    for name in ("pack", "run"):
        one = actions.add_parser(name)
        one.add_argument("recipes", nargs="+", help="recipes, and settings of all of them")
        one.add_argument("--folder", type=Path, default=Path("gpu"), help="of the packed data")
    one.add_argument("--minutes", type=float, nargs="+", required=True, help="of each recipe")
    one.add_argument("--until", type=float, default=float("inf"), help="minute of this call")
    one.add_argument("--runs", type=Path, default=Path("runs/gpu"), help="kept between calls")
    one.add_argument("--results", type=Path, default=Path("runs/gpu/results"))
    one.add_argument("--ranks", type=int, default=torch.cuda.device_count() or 1)
    one.add_argument("--precision", default="", help="of the weights in the results, such as int8")
    actions.choices["pack"].add_argument(
        "--precision", type=float, default=8.0, help="steps per difference between neighbours"
    )
    other = actions.add_parser("unpack")
    other.add_argument("results", type=Path)
    other.add_argument("into", type=Path)
    options = parser.parse_args()
    if options.action != "unpack":
        options.settings = [one for one in options.recipes if "=" in one]
        options.recipes = [one for one in options.recipes if "=" not in one]
    return options


def pack(options: argparse.Namespace) -> int:
    """Pack the data of the recipes; fail if they are too large to travel."""
    recipes = [load_recipe(name, options.settings) for name in options.recipes]
    for name, (before, after) in packing.pack(recipes, options.folder, options.precision).items():
        print(f"{name}: {before / 1e6:.1f} MB, {after / 1e6:.1f} MB of what training reads")
    size = (options.folder / packing.ARCHIVE).stat().st_size / 1e6
    print(f"{options.folder / packing.ARCHIVE}: {size:.1f} MB")
    if size > LIMIT:
        print(f"more than {LIMIT} MB: pack fewer recipes, or with a lower --precision")
    return int(size > LIMIT)


def run(options: argparse.Namespace, began: float) -> int:
    """Check, measure, train and collect results; a call that follows goes on."""
    data = options.runs / "data"
    options.runs.mkdir(parents=True, exist_ok=True)
    packing.unpack(options.folder, data)
    settings = [*default_settings(options.ranks), *options.settings, f"data.folder={data}"]
    checked = check(options.runs, options.recipes, settings)
    if any(not one["passed"] and "tests" not in one["name"] for one in checked):
        print("numbers differ from those of the CPU; nothing was trained", file=sys.stderr)
        return 1
    stop = began + 60 * options.until
    folders, failed = [], 0
    minutes = options.minutes * len(options.recipes)
    for recipe, own in zip(options.recipes, minutes, strict=False):
        folder = options.runs / Path(recipe).stem
        folders.append(folder)
        if time.time() >= stop:
            break
        job = job_of(folder, recipe, settings, 60 * own, options.ranks)
        until = min(stop, time.time() + job.budget - job.spent)
        if not job.done and time.time() < until:
            replace(job, until=until).write(folder)
            left = max(0.0, until - time.time())
            failed += not launch("train", folder, options.ranks, left + ENDING)
        results.collect(folders, checked, options.results, options.precision)
    print((options.results / results.SCORES).read_text())
    return int(failed > 0)


def check(folder: Path, recipes: Sequence[str], settings: Sequence[str]) -> list[dict[str, Any]]:
    """Return the results of the checks; they are made once."""
    path = folder / CHECKS
    if path.is_file():
        found: list[dict[str, Any]] = json.loads(path.read_text())
        return found
    command = [sys.executable, "-m", "benchmarks.gpu.checks", *recipes, *settings]
    lines = folder / "checks.txt"
    with lines.open("w") as file:
        try:
            subprocess.run(command, stdout=file, timeout=CHECKING)
        except subprocess.TimeoutExpired:
            print(f"checks stopped after {CHECKING:.0f} s", file=sys.stderr)
    print(lines.read_text(), flush=True)
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    write_json(path, found)
    return found


if __name__ == "__main__":
    sys.exit(main())
