"""A run in progress: what it needs, where it stands, and the verbs of its loop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from flexclim.errors import ModelError, RecipeError
from flexclim.models.model import load_model
from flexclim.train.data.feed import Feed, open_feed
from flexclim.train.loop import snapshot, state
from flexclim.train.loop.dist import Ranks
from flexclim.train.loop.finished_model import NO_BEST, finished_model
from flexclim.train.loop.learner import Learner
from flexclim.train.loop.logs import Log, open_logs
from flexclim.train.loop.run_progress import Progress
from flexclim.train.loop.snapshot import Standing
from flexclim.train.loop.stage import own_positions
from flexclim.train.loop.validation import RIVALS, Validation, together
from flexclim.train.recipes.recipe import Recipe

if TYPE_CHECKING:
    from flexclim.train.data.batches import Batch

BEST = "best"
SHOWN = (
    *("crps", "spread_skill", "log_spectral_distance"),
    *(f"{rival}_log_spectral_distance" for rival in RIVALS.values()),
)


class Run(AbstractContextManager["Run"]):
    """One training run.

    Parameters
    ----------
    recipe
        What to do.
    ranks
        This process among those that share the work.
    """

    feed: Feed
    learner: Learner

    def __init__(self, recipe: Recipe, ranks: Ranks) -> None:
        self.recipe, self.ranks = recipe, ranks
        self.folder = recipe.folder
        self.standing = Standing()
        self.own = own_positions(recipe.trainer.batch, recipe.trainer.accumulate, ranks)
        _check_share(recipe.trainer.validation_patches, ranks)
        self._complete = False
        self._logs: list[Log] = []
        self._measured: dict[str, float] = {}
        self._open = ExitStack()

    def __exit__(self, *error: Any) -> None:
        for log in self._logs:
            log.close()
        self._open.close()

    @property
    def done(self) -> int:
        """Steps taken."""
        return self.standing.step

    @property
    def steps(self) -> int:
        """Steps of both stages."""
        return self.recipe.trainer.steps + self.recipe.ensemble.steps

    def start(self, resume: bool) -> None:
        """Open the data, build the network, and take up the newest checkpoint if there is one."""
        self._take_folder()
        saved = self._newest(resume)
        self.feed = open_feed(self.recipe, saved.fitted if saved else None, self.ranks)
        if saved:
            self.standing = saved.standing
        self.learner = Learner(self.recipe, self.feed, self.ranks, self.done)
        if saved:
            learner = self.learner
            saved.restore(learner.network, learner.optimizer, learner.averages, learner.scaler)
            self._complete = self.done == self.steps
        self._watch()

    def batches(self) -> Iterator[Batch]:
        """Yield this rank's share of the batch of each step that is left."""
        steps = range(self.done, self.steps)
        return self.feed.train.stream(steps, len(self.own), self.own.start)

    def advance(self, batch: Batch) -> None:
        """Take one step.

        Raises
        ------
        RecipeError
            If the gradient was not finite for too many steps.
        """
        began = time.perf_counter()
        outcome, rate = self.learner.step(self.done, batch)
        standing = self.standing
        standing.bad = standing.bad + 1 if outcome.bad else 0
        if standing.bad >= self.recipe.trainer.max_nonfinite_steps:
            raise RecipeError(_advice(standing))
        standing.step += 1
        seconds = time.perf_counter() - began
        standing.seconds += seconds
        speed = self.recipe.trainer.batch / seconds
        self._measured = {
            "seconds": standing.seconds,
            "loss": outcome.loss,
            "norm": outcome.norm,
            "learning_rate": rate,
            "patches_per_second": speed,
        }
        self._progress.update(self.done, outcome.loss, speed)

    def is_due(self, every: int) -> bool:
        """Whether something that happens every so many steps, and after each stage, is due."""
        return self.done % every == 0 or self.done in (self.recipe.trainer.steps, self.steps)

    def validate(self) -> None:
        """Measure the loss on other times."""
        with self.learner.averaged():
            found = together(
                {
                    task: one.losses(self.learner.network, self.feed.diffusion)
                    for task, one in self._validations.items()
                }
            )
        self.standing.losses = _numbers(found)
        self._progress.report(self.done, {"loss": self._measured["loss"], **found})
        self._measured |= found

    def score(self) -> None:
        """Score a sampled ensemble, and keep the weights if they are the best so far.

        A CRPS of NaN (no truth is known, or members are not finite) is never the best.
        """
        with self.learner.averaged():
            members = self.recipe.trainer.score_members
            found = together(
                {
                    task: one.scores(self.learner.network, self.feed.diffusion, members)
                    for task, one in self._validations.items()
                }
            )
            best = self.standing.best_scores.get("crps", float("inf"))
            if found["crps"] < best:
                self.standing.best_step = self.done
                self.standing.best_scores = self.standing.losses | _numbers(found)
                if self.ranks.first:
                    weights = self.learner.network.state_dict()
                    keep = self.recipe.trainer.keep + 1  # one more than checkpoints may name
                    state.save(self.folder, self.done, {"network": weights}, keep, BEST)
        shown = {name: found[name] for name in SHOWN if name in found}
        self._progress.report(self.done, shown)
        self._measured |= found

    def record(self) -> None:
        """Log what was measured at this step."""
        for log in self._logs:
            log.write(self.done, self._measured)

    def agree(self, number: int) -> int:
        """Return the largest number of any rank: a signal that one got stops all."""
        return self.ranks.largest(number)

    def save(self) -> None:
        """Write a checkpoint."""
        for log in self._logs:
            log.flush()
        if self.ranks.first:
            learner = self.learner
            content = snapshot.pack(
                self.recipe, self.feed.fitted, self.standing,
                learner.network, learner.optimizer, learner.averages, learner.scaler,
            )  # fmt: skip
            state.save(self.folder, self.done, content, self.recipe.trainer.keep)

    def finish(self) -> Path:
        """Write the model folder with the best weights; an earlier one of this run goes.

        One that was complete when this process began stays as it is: it may be calibrated.
        """
        folder = self.folder / "model"
        if self.ranks.first:
            if self._complete and self._holds_model(folder):
                self._progress.say(f"nothing is left to train; {folder} stays as it is")
            else:
                self._write_model(folder)
        self.ranks.wait()
        return folder

    def _holds_model(self, folder: Path) -> bool:
        """Whether a folder holds the whole model of all steps of this run."""
        try:
            trained: dict[str, Any] = dict(load_model(folder).card.recipe)
        except ModelError:
            return False
        own = snapshot.plain(self.recipe)
        stages = "trainer", "ensemble"
        return all(trained.get(part, {}).get("steps") == own[part]["steps"] for part in stages)

    def _write_model(self, folder: Path) -> None:
        """Write the best weights, or the last ones where no CRPS was a number."""
        standing, network = self.standing, self.learner.network
        with self.learner.averaged():
            if standing.best_step:
                best = state.load(state.path_of(self.folder, standing.best_step, BEST))
                snapshot.put_weights(network, best)
            else:
                self._progress.say(f"{NO_BEST}; {folder} holds the last weights")
            model = finished_model(self.recipe, self.feed, network, standing, self.ranks)
        model.save(folder, overwrite=True)

    def _take_folder(self) -> None:
        """Keep other runs out of the folder while this one lasts."""
        if self.ranks.first:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._open.enter_context(FileLock(self.folder / ".lock", timeout=0))
            except Timeout:
                raise RecipeError(
                    f"another process trains in {self.folder}; wait for it, or set output to "
                    "another folder."
                ) from None
            except OSError as error:
                raise RecipeError(f"{self.folder} can't be written: {error.strerror}.") from None
        self.ranks.wait()

    def _newest(self, resume: bool) -> snapshot.Snapshot | None:
        """Read the newest good checkpoint, the same on all ranks."""
        path = state.newest(self.folder) if self.ranks.first else None
        step = self.ranks.from_first(state.step_of(path) if path else -1)
        if step < 0:
            return None
        if not resume:
            raise RecipeError(
                f"{self.folder} holds a run already; resume it, or set output to another folder."
            )
        return snapshot.unpack(state.load(state.path_of(self.folder, step)), self.recipe)

    def _watch(self) -> None:
        """Draw the patches of validation; open logs and progress."""
        trainer = self.recipe.trainer
        own = self.ranks.share(trainer.validation_patches)
        self._validations = {
            task: Validation(
                self.feed.settings,
                patches.batch(0, len(own), own.start),
                own,
                len(self.own),
                self.ranks,
            )
            for task, patches in self.feed.check.items()
        }
        quiet = not self.ranks.first
        self._progress = self._open.enter_context(
            Progress(self.recipe.name, self.done, self.steps, quiet=quiet)
        )
        if self.ranks.first:
            settings = snapshot.plain(self.recipe)
            self._logs = open_logs(
                self.folder, self.done, trainer.loggers, self.recipe.name, settings
            )


def _numbers(found: dict[str, float]) -> dict[str, float]:
    """Return what is finite: a card holds no NaN."""
    return {name: value for name, value in found.items() if isfinite(value)}


def _check_share(patches: int, ranks: Ranks) -> None:
    """Refuse to leave a rank without validation patches."""
    if patches < ranks.world:
        raise RecipeError(
            f"trainer.validation_patches {patches} leaves some of {ranks.world} ranks without one; "
            f"choose at least {ranks.world}."
        )


def _advice(standing: Standing) -> str:
    return (
        f"the gradient was not finite for {standing.bad} steps up to step {standing.step}; lower "
        "trainer.learning_rate, look for extreme values in the data (data.sources.largest, "
        "transform), or train in bf16 or float32 where precision is fp16. The run resumes from "
        "its last checkpoint."
    )
