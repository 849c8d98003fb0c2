"""What each process does that torchrun starts: measure the speed of a recipe, or train it.

    torchrun ... -m benchmarks.gpu.training measure|train FOLDER

FOLDER holds the recipe with its overrides (`job.json`), and gets what was measured (`speed.json`)
or trained. Training stops when its steps are done or its time is up, with a checkpoint every half
minute, and writes the model so far.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from flexclim import files
from flexclim.train import load_recipe
from flexclim.train.data.batches import PREFETCHED, Batch
from flexclim.train.loop.processes import join_ranks
from flexclim.train.loop.run import Run
from flexclim.train.recipes.recipe import Recipe

JOB, SPEED, OUT_OF_MEMORY = "job.json", "speed.json", "out_of_memory"
STAGES = "trainer", "ensemble"
MEASURED = 24  # steps of each stage, of which the second half counts
TOLERANCE = 0.1  # by which the second stage may be too short or long
POINTS = 0.0, 0.25, 0.5  # parts of the second stage after which its steps are fitted again
USED = 0.9  # of the time is for steps; the rest for validation, checkpoints and the end
SAVE_EVERY = 30.0  # seconds


@dataclass(frozen=True)
class Job:
    """A recipe by name or file with its overrides, and how long it may train.

    ``speed`` are the seconds of a step of each stage, ``budget`` those of all calls together and
    ``spent`` those of earlier calls. ``until``, as ``time.time()``, is when a call ends.
    """

    recipe: str
    overrides: tuple[str, ...]
    speed: tuple[float, ...] = ()
    budget: float = 0.0
    spent: float = 0.0
    until: float = 0.0
    done: bool = False

    @classmethod
    def read(cls, folder: Path) -> Job:
        """Read the job of a folder."""
        values = json.loads((folder / JOB).read_text())
        tuples = {name: tuple(values[name]) for name in ("overrides", "speed")}
        return cls(**values | tuples)

    def write(self, folder: Path) -> None:
        """Write the job to a folder."""
        write_json(folder / JOB, asdict(self))

    def load(self, *more: str) -> Recipe:
        """Return the recipe."""
        return load_recipe(self.recipe, [*self.overrides, *more])


def write_json(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, json.dumps(values, indent=1).encode())


def main() -> None:
    action, folder = sys.argv[1], Path(sys.argv[2])
    job = Job.read(folder)
    try:
        measure(job, folder) if action == "measure" else train(job, folder)
    except torch.OutOfMemoryError:
        (folder / OUT_OF_MEMORY).touch()
        raise


def measure(job: Job, folder: Path) -> None:
    """Write the seconds that a step of each stage takes."""
    own = job.load()
    # Until the batches are used up that workers prepare before the first step is over.
    steps = MEASURED + 2 * PREFETCHED * own.data.workers
    stages = [name for name in STAGES if getattr(own, name).steps]
    recipe = job.load(
        *(f"{name}.steps={steps if name in stages else 0}" for name in STAGES),
        f"output={folder / 'measured'}",
    )
    with join_ranks() as ranks, Run(recipe, ranks) as run:
        run.start(resume=False)
        ends = [time.perf_counter()]
        for batch in run.batches():
            run.advance(batch)
            ends.append(time.perf_counter())
    if ranks.first:
        last = range(steps, run.steps + 1, steps)
        half = MEASURED // 2
        write_json(folder / SPEED, [(ends[end] - ends[end - half]) / half for end in last])


def train(job: Job, folder: Path) -> None:
    """Train until all steps are done or the time is up; score and write the model so far."""
    recipe, began = job.load(), time.time()
    settings = recipe.trainer
    with join_ranks() as ranks, Run(recipe, ranks) as run:
        run.start(resume=True)
        saved, fresh = time.time(), {run.done + 1, settings.steps + 1}
        for batch in batches(run):
            run.advance(batch)
            if run.done in fresh:  # the first step of a call or a stage may compile
                clock = run.done, time.time()
            if run.done - settings.steps in [int(p * run.recipe.ensemble.steps) for p in POINTS]:
                job = refitted(job, run, time.time() - began, clock)
            up = time.time() >= job.until
            due = up or time.time() - saved >= SAVE_EVERY
            up, due = (bool(run.agree(int(one))) for one in (up, due))
            scoring = up or run.is_due(settings.score_every)
            if scoring or run.is_due(settings.validate_every):
                run.validate()
            if scoring:
                run.score()
            run.record()
            if scoring or due:
                run.save()
                saved = time.time()
            if up or run.done == run.steps:
                break
        run.finish()
        if ranks.first:
            spent = job.spent + time.time() - began
            replace(job, spent=spent, done=run.done == run.steps).write(folder)


def batches(run: Run) -> Iterator[Batch]:
    """Yield the batches of all steps, also of those that are added meanwhile."""
    while run.done < run.steps:
        yield from run.batches()


def refitted(job: Job, run: Run, seconds: float, clock: tuple[int, float]) -> Job:
    """Fit the steps of the second stage into the time that is left.

    Parameters
    ----------
    seconds
        Spent in this call.
    clock
        A step of this call, and when it was done. If it is one of the second stage, its pace since
        then counts, else the pace that was measured.
    """
    earlier, taken = run.recipe.ensemble.steps, run.done - run.recipe.trainer.steps
    if not earlier:
        return job
    counted = run.done - clock[0] if clock[0] > run.recipe.trainer.steps else 0
    pace = (time.time() - clock[1]) / counted if counted >= MEASURED else job.speed[-1]
    left = USED * (job.budget - job.spent - seconds)
    steps = run.ranks.from_first(taken + max(1, int(left / pace)))
    if abs(steps - earlier) <= TOLERANCE * earlier:
        return job
    tuning = run.recipe.ensemble.model_copy(update={"steps": steps})
    run.recipe = run.learner.recipe = run.recipe.model_copy(update={"ensemble": tuning})
    if run.ranks.first:
        print(f"{steps} instead of {earlier} steps of the second stage", flush=True)
    return replace(job, overrides=(*job.overrides, f"ensemble.steps={steps}"))


if __name__ == "__main__":
    main()
