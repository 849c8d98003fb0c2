"""A run in progress: its data, network and state, and the verbs of its loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from flexclim.errors import ModelError, RecipeError
from flexclim.models.model import load_model
from flexclim.train.data.model_settings import Normalisation, check_network
from flexclim.train.data.normalisation import fit_normalisation
from flexclim.train.data.sources import TrainingSource
from flexclim.train.data.training_data import TrainingData, open_training_data
from flexclim.train.loop import checkpoint_files, snapshot
from flexclim.train.loop.banner import banner
from flexclim.train.loop.finished_model import NO_FINITE_CRPS, finished_model
from flexclim.train.loop.learner import Learner
from flexclim.train.loop.logs import FILE, Log, open_logs, read_log
from flexclim.train.loop.lost_signal import ChangeSignal, change_signals, scores_of
from flexclim.train.loop.pictures import draw_curves, draw_samples
from flexclim.train.loop.processes import Ranks
from flexclim.train.loop.snapshot import RunState
from flexclim.train.loop.starting_model import check_start
from flexclim.train.loop.terminal import Terminal
from flexclim.train.loop.training_step import own_positions
from flexclim.train.loop.validation import BASELINES, Validation, combined
from flexclim.train.recipes.recipe import Recipe

if TYPE_CHECKING:
    from flexclim.train.data.batches import Batch

LOCK = ".lock"
BEST = "best"  # checkpoints with the best weights
PRINTED = (
    *("crps", "spread_skill", "log_spectral_distance"),
    *(f"{baseline}_log_spectral_distance" for baseline in BASELINES.values()),
)


class Run(AbstractContextManager["Run"]):
    """One training run.

    Parameters
    ----------
    recipe
        Data, network and schedule of the run.
    ranks
        This process among those that share the work.
    """

    data: TrainingData
    learner: Learner

    def __init__(self, recipe: Recipe, ranks: Ranks) -> None:
        self.recipe, self.ranks = recipe, ranks
        self.folder = recipe.folder
        self.state = RunState()
        self.own = own_positions(recipe.trainer.batch, recipe.trainer.accumulate, ranks)
        _check_share(recipe.trainer.validation_patches, ranks)
        self._was_complete = False
        self._made: list[Path] = []
        self._logs: list[Log] = []
        self._measured: dict[str, float] = {}
        self._open = ExitStack()

    def __exit__(self, *error: object) -> None:
        for log in self._logs:
            log.close()
        if error[0] is not None:
            self._remove_empty_folder()
        self._open.close()

    @property
    def done(self) -> int:
        """Steps taken."""
        return self.state.step

    @property
    def steps(self) -> int:
        """Steps of both stages."""
        return self.recipe.trainer.steps + self.recipe.ensemble.steps

    def start(self, resume: bool) -> None:
        """Open the data, build the network, and restore the newest checkpoint if there is one."""
        check_network(self.recipe)
        check_start(self.recipe)
        self._lock_folder()
        saved = self._newest_checkpoint(resume)
        self.data = open_training_data(self.recipe, saved.fitted if saved else None, self._measure)
        if saved:
            self.state = saved.state
        self.learner = Learner(self.recipe, self.data, self.ranks, self.done)
        if saved:
            learner = self.learner
            saved.restore(learner.network, learner.optimizer, learner.averages, learner.scaler)
            self._check_steps()
            self._was_complete = self.done == self.steps
        self._open_validation()
        self._open_logs()
        self._terminal.say(banner(self.recipe, self.data.sources, self.learner.network, self.ranks))

    def _check_steps(self) -> None:
        if self.done > self.steps:
            raise RecipeError(
                f"{self.folder} holds a run of {self.done} steps, the recipe plans {self.steps}. "
                "Set trainer.steps and ensemble.steps to at least as many, or output to another "
                "folder."
            )

    def batches(self) -> Iterator[Batch]:
        """Yield this rank's share of the batch of each step until the steps taken are all steps."""
        while True:
            steps = range(self.done, self.steps)
            stream = self.data.train.stream(steps, len(self.own), self.own.start)
            for step, batch in zip(steps, stream, strict=False):
                if step < self.done:  # a stage ended early
                    break
                yield batch
            else:
                return

    def advance(self, batch: Batch) -> None:
        """Take one step.

        Raises
        ------
        RecipeError
            If the gradient was not finite for too many steps in a row.
        """
        began = time.perf_counter()
        outcome, rate = self.learner.step(self.done, batch)
        state = self.state
        state.nonfinite_steps = state.nonfinite_steps + 1 if outcome.faulty else 0
        if state.nonfinite_steps >= self.recipe.trainer.max_nonfinite_steps:
            raise RecipeError(_advice(state))
        state.step += 1
        seconds = time.perf_counter() - began
        state.seconds += seconds
        speed = self.recipe.trainer.batch / seconds
        self._measured = {
            "seconds": state.seconds,
            "loss": outcome.loss,
            "norm": outcome.norm,
            "learning_rate": rate,
            "patches_per_second": speed,
        }
        self._terminal.update(self.done, outcome.loss, speed)

    def is_due(self, every: int) -> bool:
        """Return whether an action taken every ``every`` steps, and after each stage, is due."""
        return self.done % every == 0 or self.done in (self.recipe.trainer.steps, self.steps)

    def validate(self) -> None:
        """Measure losses on the validation split."""
        with self.learner.averaged():
            found = combined(
                {
                    task: one.losses(self.learner.network, self.data.diffusion)
                    for task, one in self._validations.items()
                }
            )
        self.state.losses = _finite(found)
        self._terminal.report(self.done, found)
        self._measured |= found

    def score(self) -> None:
        """Score a sampled ensemble, and keep the weights if its CRPS is the best so far.

        A CRPS of NaN (the truth is missing, or members are not finite) is never the best.
        """
        with self.learner.averaged():
            members = self.recipe.trainer.score_members
            found = combined(
                {
                    task: one.scores(self.learner.network, self.data.diffusion, members)
                    for task, one in self._validations.items()
                }
            )
            self.state.stale += 1
            if found["crps"] < self.state.best_scores.get("crps", float("inf")):
                self.state.stale = 0
                self._keep_best(found)
        self._terminal.report(self.done, {name: found[name] for name in PRINTED if name in found})
        self._measured |= found

    def record(self) -> None:
        """Log the numbers of this step."""
        for log in self._logs:
            log.write(self.done, self._measured)

    def draw(self) -> None:
        """Draw the curves of the log, and the samples of the last score."""
        if self.ranks.first:
            sampled = {task: one.sampled for task, one in self._validations.items()}
            pictures = draw_curves(
                self.folder, read_log(self.folder / FILE), self.recipe.trainer.steps
            )
            pictures |= draw_samples(self.folder, self.done, sampled)
            for log in self._logs:
                log.show(self.done, pictures)

    def stop_early(self) -> None:
        """Go to the end of this stage if its CRPS has not improved for too many scores in a row."""
        state, first = self.state, self.recipe.trainer.steps
        patience, end = self.recipe.trainer.early_stopping, first
        if self.done >= first:
            end = self.steps
        if patience and state.stale >= patience and self.done not in (first, self.steps):
            self._terminal.say(
                f"step {self.done}: no better CRPS in {state.stale} scores, so this stage ends "
                f"{end - self.done} steps early"
            )
            state.step = end
        if self.done in (first, self.steps):
            state.stale = 0

    def agree(self, number: int) -> int:
        """Return the largest number of any rank, so that a signal to one rank stops all."""
        return self.ranks.largest(number)

    def save(self) -> None:
        """Write a checkpoint."""
        for log in self._logs:
            log.flush()
        if self.ranks.first:
            learner = self.learner
            content = snapshot.pack(
                self.recipe, self.data.fitted, self.state,
                learner.network, learner.optimizer, learner.averages, learner.scaler,
            )  # fmt: skip
            checkpoint_files.save(self.folder, self.done, content, self.recipe.trainer.keep)

    def finish(self) -> Path:
        """Write the model folder with the best weights, replacing an earlier one of this run.

        If the run was complete before this process started, an existing model folder is left
        unchanged, as it may have been calibrated.
        """
        folder = self.folder / "model"
        if self.ranks.first:
            if self._was_complete and self._holds_model(folder):
                self._terminal.say(f"no steps are left to train; {folder} is unchanged")
            else:
                self._write_model(folder)
        self.ranks.wait()
        return folder

    def _keep_best(self, scores: dict[str, float]) -> None:
        """Save the current (averaged) weights and scores as the best."""
        self.state.best_step = self.done
        self.state.best_scores = self.state.losses | _finite(scores)
        if self.ranks.first:
            weights = self.learner.network.state_dict()
            keep = self.recipe.trainer.keep + 1  # kept checkpoints refer to at most that many
            checkpoint_files.save(self.folder, self.done, {"network": weights}, keep, BEST)

    def _holds_model(self, folder: Path) -> bool:
        """Return whether a folder holds the model of all steps of this run."""
        try:
            trained = load_model(folder).card.recipe
        except ModelError:
            return False
        stages = {"trainer": self.recipe.trainer.steps, "ensemble": self.recipe.ensemble.steps}
        found = {stage: trained.get(stage) for stage in stages}
        return stages == {
            stage: part.get("steps") for stage, part in found.items() if isinstance(part, dict)
        }

    def _write_model(self, folder: Path) -> None:
        """Write the best weights, or the last ones if no CRPS was finite."""
        state, network = self.state, self.learner.network
        with self.learner.averaged():
            if state.best_step:
                path = checkpoint_files.path_of(self.folder, state.best_step, BEST)
                snapshot.put_weights(network, self._best_weights(path))
            else:
                self._terminal.say(f"{NO_FINITE_CRPS}; {folder} holds the last weights")
            signals: list[ChangeSignal] = []
            if self.recipe.data.colder_half:
                signals = change_signals(self.recipe, self.data, network, self.ranks.device)
            for signal in signals:
                self._terminal.say(str(signal))
            more = _finite(scores_of(signals))
            model = finished_model(self.recipe, self.data, network, state, self.ranks, more)
        model.save(folder, overwrite=True)

    def _best_weights(self, path: Path) -> checkpoint_files.Content:
        try:
            return checkpoint_files.load(path)
        except RecipeError as error:
            raise RecipeError(
                f"{error} It holds the best weights of this run: restore it, or train again with "
                "output set to another folder."
            ) from None

    def _lock_folder(self) -> None:
        """Keep other runs out of the folder until this one ends."""
        if self.ranks.first:
            try:
                self._made = [p for p in (self.folder, *self.folder.parents) if not p.exists()]
                self.folder.mkdir(parents=True, exist_ok=True)
                self._open.enter_context(FileLock(self.folder / LOCK, timeout=0))
            except Timeout:
                raise RecipeError(
                    f"another process is training in {self.folder}; wait for it, or set output to "
                    "another folder."
                ) from None
            except OSError as error:
                raise RecipeError(
                    f"{self.folder} can't be written: {error.strerror}; set output to another "
                    "folder."
                ) from None
        self.ranks.wait()

    def _remove_empty_folder(self) -> None:
        """Remove the folders that this run made and wrote nothing to but its lock."""
        if self._made and {path.name for path in self.folder.iterdir()} <= {LOCK}:
            with suppress(OSError):
                (self.folder / LOCK).unlink(missing_ok=True)
                for folder in self._made:
                    folder.rmdir()

    def _newest_checkpoint(self, resume: bool) -> snapshot.Snapshot | None:
        """Read the newest intact checkpoint, the same on all ranks."""
        path = checkpoint_files.newest(self.folder) if self.ranks.first else None
        step = self.ranks.from_first(checkpoint_files.step_of(path) if path else -1)
        if step < 0:
            return None
        if not resume:
            raise RecipeError(
                f"{self.folder} already holds a run; resume it, or set output to another folder."
            )
        path = checkpoint_files.path_of(self.folder, step)
        return snapshot.unpack(checkpoint_files.load(path), self.recipe)

    def _measure(self, sources: Sequence[TrainingSource], recipe: Recipe) -> Normalisation:
        """Measure the normalisation on the first rank, for all ranks."""
        own = fit_normalisation(sources, recipe) if self.ranks.first else Normalisation()
        return self.ranks.from_first(own)

    def _open_validation(self) -> None:
        """Read this rank's validation patches."""
        own = self.ranks.share(self.recipe.trainer.validation_patches)
        self._validations = {
            task: Validation(
                self.data.settings,
                patches.batch(0, len(own), own.start),
                own,
                len(self.own),
                self.ranks,
            )
            for task, patches in self.data.validation.items()
        }

    def _open_logs(self) -> None:
        """Show progress, and open the logs that the first rank writes."""
        first, name = self.ranks.first, self.recipe.name
        terminal = Terminal(name, self.done, self.steps, quiet=not first)
        self._terminal = self._open.enter_context(terminal)
        if first:
            settings = snapshot.plain(self.recipe)
            loggers = self.recipe.trainer.loggers
            self._logs = open_logs(self.folder, self.done, loggers, name, settings)


def _finite(found: dict[str, float]) -> dict[str, float]:
    """Return the finite numbers, as a model card holds no NaN."""
    return {name: value for name, value in found.items() if isfinite(value)}


def _check_share(patches: int, ranks: Ranks) -> None:
    """Check that every rank has validation patches."""
    if patches < ranks.world:
        raise RecipeError(
            f"trainer.validation_patches {patches} leaves some of {ranks.world} ranks without one; "
            f"choose at least {ranks.world}."
        )


def _advice(state: RunState) -> str:
    return (
        f"the gradient was not finite for {state.nonfinite_steps} steps up to step {state.step}; "
        "lower trainer.learning_rate, look for extreme values in the data (data.sources.largest, "
        "transform), or train in bf16 or float32 if precision is fp16. The run resumes from its "
        "last checkpoint."
    )
