"""Train a network from a recipe. Read this first.

    recipe -> patches -> [ advance -> (validate) -> (score) -> record -> (draw) -> (save) ] x steps
                      -> model

There are two stages: denoising, then (if the recipe asks for it) fine-tuning of the few-step
sampler end to end on the fair CRPS of its members. Every random number depends on the seed, the
step and the position in the batch alone (dropout: on the first position of a part). A run that was
killed therefore continues exactly as it would have, and runs whose number of ranks times parts is
the same train alike.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType, TracebackType

import torch

from flexclim.errors import suggest_options
from flexclim.train.loop.processes import join_ranks
from flexclim.train.loop.run import Run
from flexclim.train.recipes.recipe import Recipe

# Slurm warns with SIGUSR1 (``--signal``) before the time limit; SIGTERM follows.
WATCHED = ("SIGTERM", "SIGINT", "SIGUSR1")


@suggest_options
def fit(recipe: Recipe, resume: bool = True) -> Path:
    """Train a model and write its folder.

    Under ``torchrun`` every process calls this, and they share the work.

    Parameters
    ----------
    recipe
        From :func:`flexclim.train.load_recipe`.
    resume
        Continue from the newest checkpoint in the run's folder; False: a checkpoint there is an
        error.

    Returns
    -------
    Path
        The model folder, ``RUN/model``: the averaged weights with the best CRPS on validation
        data.

    Raises
    ------
    RecipeError
        If data cannot be read, the folder holds a run of another recipe, or gradients are not
        finite for many steps in a row.
    KeyboardInterrupt, SystemExit
        After Ctrl-C, SIGTERM or SIGUSR1, once the state is saved; call again to continue.

    >>> recipe = load_recipe("gfs_wind_x4", ["trainer.steps=2000"])  # doctest: +SKIP
    >>> fit(recipe)  # doctest: +SKIP
    PosixPath('runs/gfs-wind-x4/model')
    """
    settings = recipe.trainer
    with join_ranks() as ranks, Interrupts() as interrupts, Run(recipe, ranks) as run:
        with _threads_kept():
            run.start(resume)
        for batch in run.batches():
            run.advance(batch)
            scoring = run.is_due(settings.score_every)
            if scoring or run.is_due(settings.validate_every):
                run.validate()
            if scoring:
                run.score()
            run.record()
            if scoring:
                run.draw()
                run.stop_early()
            stop = run.agree(interrupts.number)
            if stop or scoring or run.is_due(settings.save_every):
                run.save()
            if stop:
                interrupts.end(stop, f"stopped at step {run.done}; call again to continue.")
        return run.finish()


class Interrupts(AbstractContextManager["Interrupts"]):
    """Remembers the first signal that asks for an end, for the loop to check between steps.

    A second Ctrl-C interrupts at once. Outside the main thread no signal is watched.
    """

    def __init__(self) -> None:
        self.number = 0
        self._earlier: list[tuple[int, object]] = []

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for name in WATCHED:
                if number := getattr(signal, name, None):
                    self._earlier.append((number, signal.signal(number, self._remember)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for number, earlier in self._earlier:
            signal.signal(number, earlier)  # type: ignore[arg-type]

    def _remember(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self.number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = self.number or number

    def end(self, number: int, message: str) -> None:
        """Exit as the signal asks: KeyboardInterrupt for Ctrl-C, else exit code 128 + number."""
        if number == signal.SIGINT:
            raise KeyboardInterrupt(message)
        print(message, file=sys.stderr)
        raise SystemExit(128 + number)


@contextmanager
def _threads_kept() -> Iterator[None]:
    """Restore torch's number of threads: numba, if xarray reads with it, sets it to all cores."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
