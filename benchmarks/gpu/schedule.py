"""How many steps fit into a time, and processes that measure and train a recipe."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.gpu.training import JOB, MEASURED, OUT_OF_MEMORY, SPEED, USED, Job
from flexclim.train.recipes.recipe import Recipe

SPLITS = (1, 2, 4, 8, 16)  # parts of a batch that are tried in turn where memory runs out
SCALED = ("steps", "warmup", "validate_every", "score_every")


def job_of(folder: Path, recipe: str, overrides: Sequence[str], budget: float, ranks: int) -> Job:
    """Return the job of an earlier call, or one whose steps take ``budget`` seconds in all."""
    if (folder / JOB).is_file():
        return replace(Job.read(folder), budget=budget)
    began = time.time()
    shutil.rmtree(folder, ignore_errors=True)
    measuring = folder.with_name(f".{folder.name}.measured")
    for parts in SPLITS:
        launched = time.time()
        shutil.rmtree(measuring, ignore_errors=True)
        job = Job(recipe, (*overrides, f"trainer.accumulate={parts}"), budget=budget)
        job.write(measuring)
        launch("measure", measuring, ranks)
        if not (measuring / OUT_OF_MEMORY).exists():
            break
    if not (measuring / SPEED).exists():
        raise SystemExit(f"{recipe} could not be measured; see the messages above.")
    speed = json.loads((measuring / SPEED).read_text())
    shutil.rmtree(measuring)
    starting = max(0.0, time.time() - launched - MEASURED * sum(speed))
    spent = time.time() - began
    fitted = steps_in(job.load(), speed, USED * (budget - spent - starting))
    more = *job.overrides, *fitted, f"output={folder / 'run'}"
    job = replace(job, overrides=more, speed=tuple(speed), spent=spent)
    job.write(folder)
    each = " and ".join(f"{one:.3g}" for one in speed)
    print(f"{recipe}: {each} s a step, {parts} parts a batch: {' '.join(fitted)}", flush=True)
    return job


def steps_in(recipe: Recipe, speed: Sequence[float], seconds: float) -> list[str]:
    """Return the steps of both stages that fill a time, in the proportion of the recipe.

    Parameters
    ----------
    speed
        Seconds of a step of each stage that the recipe has.
    seconds
        Of all steps.

    Returns
    -------
    list of str
        Overrides; warm-up and the intervals between scores change with the steps.

    >>> from flexclim.train import load_recipe
    >>> steps_in(load_recipe("flex_wind"), [0.1, 0.4], 600)[:2]
    ['ensemble.steps=600', 'trainer.steps=3600']
    """
    trainer, tuning = recipe.trainer, recipe.ensemble.steps
    stages = [steps for steps in (trainer.steps, tuning) if steps]
    share = max(0.0, seconds) / sum(steps * one for steps, one in zip(stages, speed, strict=True))
    fitted = [f"ensemble.steps={max(1, int(share * tuning)) if tuning else 0}"]
    for name in SCALED:
        value = getattr(trainer, name)
        fitted.append(f"trainer.{name}={max(1, int(share * value)) if value else 0}")
    return fitted


def launch(action: str, folder: Path, ranks: int, seconds: float | None = None) -> bool:
    """Run processes on the job of a folder; return whether all ended well."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *(f"--nproc-per-node={ranks}", "-m", "benchmarks.gpu.training", action, str(folder)),
    ]
    threads = str(max(1, (os.cpu_count() or 1) // ranks))
    process = subprocess.Popen(
        command, env={"OMP_NUM_THREADS": threads} | os.environ, process_group=0
    )
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        print(f"{folder.name} did not end in {seconds:.0f} s", file=sys.stderr)
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # torchrun and its ranks
            process.wait()


def default_settings(ranks: int) -> list[str]:
    """Return the settings of a run that it may override."""
    settings = ["trainer.precision=bf16", f"trainer.batch={256 * ranks}"]
    if torch.cuda.is_available():
        workers = min(12, max(1, (os.cpu_count() or 1) // ranks - 2))
        settings.append(f"data.workers={workers}")
    return settings
