"""The network of a run with its optimizer, averaged weights and learning rate, in both stages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from flexclim.cf.quantities import FieldProperties
from flexclim.errors import RecipeError
from flexclim.nn.flex import Flex
from flexclim.train.data.training_data import TrainingData
from flexclim.train.loop.averages import Averages
from flexclim.train.loop.draws import Sampling
from flexclim.train.loop.losses import DenoisingLoss, EnsembleLoss
from flexclim.train.loop.optimizers import learning_rate, make_optimizer
from flexclim.train.loop.physical_units import PhysicalUnits
from flexclim.train.loop.processes import Ranks
from flexclim.train.loop.starting_model import starting_weights
from flexclim.train.loop.training_step import TYPES, StepOutcome, TrainingStep, make_scaler
from flexclim.train.recipes.recipe import Recipe

if TYPE_CHECKING:
    from flexclim.models.channels import Target
    from flexclim.train.data.batches import Batch
    from flexclim.train.data.sources import TrainingSource


UNIT_PATCHES = 64  # patches on which errors in the targets' units are measured


class Learner:
    """A network in training.

    Parameters
    ----------
    recipe, data
        Sizes and initial weights of the network; settings of both stages.
    ranks
        This process among those that share the work.
    step
        Steps taken earlier; the caller restores the state they led to.
    """

    def __init__(self, recipe: Recipe, data: TrainingData, ranks: Ranks, step: int) -> None:
        self.recipe, self.data, self.ranks = recipe, data, ranks
        trainer = recipe.trainer
        torch.manual_seed(trainer.seed)
        network = Flex(data.settings.network)
        if recipe.start:
            network.load_state_dict(starting_weights(recipe.start, network))
        freeze(network, trainer.only)
        self.network = network.to(ranks.device)
        if prefers_channels_last(ranks.device):
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.recompute(trainer.checkpointing)
        self.optimizer = make_optimizer(
            trainer.optimizer, self.network.parameters(), trainer.weight_decay
        )
        self.scaler = make_scaler(ranks.device, trainer.precision)
        tuning = step > trainer.steps
        self.averages = Averages(self.network, recipe.ensemble.ema if tuning else trainer.ema)
        self._training_step: TrainingStep | None = None

    def step(self, step: int, batch: Batch) -> tuple[StepOutcome, float]:
        """Take one step on this rank's share of a batch; return the outcome and learning rate."""
        if self._training_step is None or step == self.recipe.trainer.steps:
            self._training_step = self._begin_stage(step)
        rate = self._rate(step)
        self.network.train()
        return self._training_step.take(step, batch, rate), rate

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Use the averaged weights within the context, at the precision of training."""
        precision = self.recipe.trainer.precision
        device = self.ranks.device.type
        with (
            self.averages.average_parameters(),
            torch.autocast(device, TYPES[precision], enabled=precision != "float32"),
        ):
            yield

    def _begin_stage(self, step: int) -> TrainingStep:
        """Return the training step of the stage that ``step`` belongs to."""
        recipe = self.recipe
        if step < recipe.trainer.steps:
            loss = DenoisingLoss(self.network, self.data.diffusion)
            return self._step_on(loss, sampling=recipe.diffusion.times)
        if step == recipe.trainer.steps:
            # Continue from the averaged weights, with a shorter average.
            self.averages.copy_to()
            self.averages = Averages(self.network, recipe.ensemble.ema)
        return self._step_on(self._ensemble_loss(), members=recipe.ensemble.members)

    def _step_on(
        self, loss: nn.Module, *, members: int | None = None, sampling: Sampling = "uniform"
    ) -> TrainingStep:
        return TrainingStep(
            loss,
            self.optimizer,
            self.averages,
            self.ranks,
            self.recipe.trainer,
            members=members,
            sampling=sampling,
            scaler=self.scaler,
            several_tasks=len(self.recipe.data.tasks) > 1,
            noise_amplitude=self.data.settings.noise_amplitude,
        )

    def _ensemble_loss(self) -> EnsembleLoss:
        settings, tuning = self.data.settings, self.recipe.ensemble
        targets, units = bounded(settings.targets or (), self.data.sources), None
        if tuning.physical:
            units = PhysicalUnits.of(targets, self.data.train.batch(0, UNIT_PATCHES))
        return EnsembleLoss(
            self.network,
            self.data.diffusion,
            steps=settings.steps,
            method=settings.method,
            gradient=tuning.gradient,
            mean=tuning.mean,
            one_step=tuning.one_step,
            spectrum=tuning.spectrum,
            texture=tuning.texture,
            amplitude=tuning.amplitude,
            past=self.recipe.data.forecast.past,
            lowest=lowest(targets).to(self.ranks.device),
            physical=tuning.physical,
            units=units,
        )

    def _rate(self, step: int) -> float:
        trainer, ensemble = self.recipe.trainer, self.recipe.ensemble
        if step < trainer.steps:
            return learning_rate(step, trainer.steps, trainer.warmup, trainer.learning_rate)
        step -= trainer.steps
        return learning_rate(step, ensemble.steps, trainer.warmup // 4, ensemble.learning_rate)


def freeze(network: Flex, only: Sequence[str]) -> None:
    """Freeze all parameters except those whose names start with one of ``only``; empty: none.

    Raises
    ------
    RecipeError
        If no name starts with one of them.
    """
    names = [name for name, _ in network.named_parameters()]
    for start in only:
        if not any(name.startswith(start) for name in names):
            parts = sorted({".".join(name.split(".")[:2]) for name in names})
            raise RecipeError(
                f"trainer.only: no parameter's name starts with {start!r}; names start with "
                f"{', '.join(parts)}."
            )
    for name, weights in network.named_parameters():
        weights.requires_grad_(not only or name.startswith(tuple(only)))


def bounded(targets: Sequence[Target], sources: Sequence[TrainingSource]) -> list[Target]:
    """Return targets that say whether they are non-negative, by their attributes if not set.

    Sampling finds it in the same way in the fields that it is given.
    """
    found = []
    for one in targets:
        if one.non_negative is None:
            bounds = FieldProperties.of(sources[0].target_fields.named(one.name)).bounds
            positive = bounds.lower is not None and bounds.lower >= 0
            one = one.model_copy(update={"non_negative": positive})
        found.append(one)
    return found


def lowest(targets: Sequence[Target]) -> Tensor:
    """Return (T,) the normalised value of 0 for non-negative targets, -inf for others."""
    values = [-one.mean / one.std if one.non_negative else -math.inf for one in targets]
    return torch.tensor(values)


def prefers_channels_last(device: torch.device) -> bool:
    """Return whether training is faster with channels last in memory.

    It is on GPUs. On CPUs the gradients of normalisation (in bf16) and of convolution weights (with
    AVX2) take several times as long that way.
    """
    return device.type == "cuda"
