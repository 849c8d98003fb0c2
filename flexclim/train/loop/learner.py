"""The network of a run with all that moves it: optimizer, averages, stages, learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flexclim.errors import RecipeError
from flexclim.nn.flex import Flex
from flexclim.train.data.feed import Feed
from flexclim.train.loop.averages import Averages
from flexclim.train.loop.dist import Ranks
from flexclim.train.loop.losses import DenoisingLoss, EnsembleLoss
from flexclim.train.loop.optimizers import learning_rate, make_optimizer
from flexclim.train.loop.own_units import OwnUnits
from flexclim.train.loop.stage import TYPES, Outcome, Stage, make_scaler
from flexclim.train.loop.starting_weights import starting_weights
from flexclim.train.recipes.recipe import Recipe

if TYPE_CHECKING:
    from flexclim.models.settings import Target
    from flexclim.train.data.batches import Batch


UNIT_PATCHES = 64  # on which errors in the targets' units are measured


class Learner:
    """What learns.

    Parameters
    ----------
    recipe, feed
        The network's sizes and start; settings of both stages.
    ranks
        This process among those that share the work.
    step
        Steps taken before; the state they led to is for the caller to restore.
    """

    def __init__(self, recipe: Recipe, feed: Feed, ranks: Ranks, step: int) -> None:
        self.recipe, self.feed, self.ranks = recipe, feed, ranks
        trainer = recipe.trainer
        torch.manual_seed(trainer.seed)
        network = Flex(feed.settings.network)
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
        self._stage: Stage | None = None

    def step(self, step: int, batch: Batch) -> tuple[Outcome, float]:
        """Take one step on this rank's share of a batch; return what came of it, and its rate."""
        if self._stage is None or step == self.recipe.trainer.steps:
            self._stage = self._next_stage(step)
        rate = self._rate(step)
        self.network.train()
        return self._stage.step(step, batch, rate), rate

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averaged weights in place for a while, at the precision of training."""
        precision = self.recipe.trainer.precision
        device = self.ranks.device.type
        with (
            self.averages.average_parameters(),
            torch.autocast(device, TYPES[precision], enabled=precision != "float32"),
        ):
            yield

    def _next_stage(self, step: int) -> Stage:
        """Return the stage that a step belongs to."""
        recipe, settings = self.recipe, self.feed.settings
        common: Any = {
            "optimizer": self.optimizer,
            "ranks": self.ranks,
            "settings": recipe.trainer,
            "scaler": self.scaler,
            "compile_first": recipe.trainer.compile,
            "several_tasks": len(recipe.data.tasks) > 1,
        }
        if step < recipe.trainer.steps:
            loss = DenoisingLoss(self.network, self.feed.diffusion)
            sampling = recipe.diffusion.times
            return Stage(loss, averages=self.averages, sampling=sampling, **common)
        tuning = recipe.ensemble
        if step == recipe.trainer.steps:
            # Go on from the averaged weights, with a shorter average.
            self.averages.copy_to()
            self.averages = Averages(self.network, tuning.ema)
        targets, units = settings.targets or (), None
        if tuning.physical:
            units = OwnUnits.of(targets, self.feed.train.batch(0, UNIT_PATCHES))
        ensemble = EnsembleLoss(
            self.network,
            self.feed.diffusion,
            steps=settings.steps,
            method=settings.method,
            gradient=tuning.gradient,
            mean=tuning.mean,
            spectrum=tuning.spectrum,
            past=recipe.data.forecast.past,
            lowest=lowest(targets).to(self.ranks.device),
            physical=tuning.physical,
            units=units,
        )
        return Stage(ensemble, averages=self.averages, members=tuning.members, **common)

    def _rate(self, step: int) -> float:
        trainer, ensemble = self.recipe.trainer, self.recipe.ensemble
        if step < trainer.steps:
            return learning_rate(step, trainer.steps, trainer.warmup, trainer.learning_rate)
        step -= trainer.steps
        return learning_rate(step, ensemble.steps, trainer.warmup // 4, ensemble.learning_rate)


def freeze(network: Flex, only: Sequence[str]) -> None:
    """Leave only parameters whose names begin with one of ``only`` to learn; empty: all.

    Raises
    ------
    RecipeError
        If none begins so.
    """
    names = [name for name, _ in network.named_parameters()]
    for start in only:
        if not any(name.startswith(start) for name in names):
            parts = sorted({".".join(name.split(".")[:2]) for name in names})
            raise RecipeError(
                f"trainer.only: no parameter's name begins with {start!r}; they begin with "
                f"{', '.join(parts)}."
            )
    for name, weights in network.named_parameters():
        weights.requires_grad_(not only or name.startswith(tuple(only)))


def lowest(targets: Sequence[Target]) -> Tensor:
    """Return (T,) what a network reads of targets where they are 0, if they are never below.

    Targets that may be negative, or that their recipe says nothing of, have -inf.
    """
    values = [-one.mean / one.std if one.non_negative else -math.inf for one in targets]
    return torch.tensor(values)


def prefers_channels_last(device: torch.device) -> bool:
    """Whether training is faster with channels last in memory.

    It is on GPUs. On CPUs the gradients of normalisation (in bf16) and of a convolution's weights
    (with AVX2) take several times as long so.
    """
    return device.type == "cuda"
