"""What a run learns from: patches of both splits, and the numbers that scale them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flexclim.models.settings import FORECAST, SUPERRES, ModelSettings
from flexclim.nn.diffusion import Diffusion
from flexclim.train.data.batches import Batches, Mixed
from flexclim.train.data.normalisation import check_network, fit_normalisation, model_settings
from flexclim.train.data.patches import Patches
from flexclim.train.data.sequences import Sequences
from flexclim.train.data.splits import TrainingSource, check_sources, open_sources
from flexclim.train.loop.dist import Ranks
from flexclim.train.recipes.data_settings import Data
from flexclim.train.recipes.recipe import Recipe

ALONE = Ranks()


@dataclass(frozen=True)
class Feed:
    """Patches of the training and of the validation split; of the latter by task.

    ``settings`` are those of the model to be; ``fitted`` holds, as JSON values, the numbers in
    them that were measured on the training split.
    """

    settings: ModelSettings
    fitted: dict[str, Any]
    sources: tuple[TrainingSource, ...]
    train: Batches
    check: dict[str, Batches]

    @property
    def diffusion(self) -> Diffusion:
        """The diffusion process, the same in training and sampling."""
        return Diffusion.of(self.settings.diffusion)


def open_feed(recipe: Recipe, fitted: dict[str, Any] | None, ranks: Ranks = ALONE) -> Feed:
    """Open and check the data of both splits.

    Parameters
    ----------
    fitted
        Numbers from an earlier start of the run; None: measure them on the training split.
    ranks
        Rank 0 measures, and tells the others.
    """
    check_network(recipe)
    data, seed = recipe.data, recipe.trainer.seed
    sources, checked = open_sources(data, "train"), open_sources(data, "validate")
    check_sources([*sources, *checked], data, recipe.network.tile)
    if fitted is None:
        fitted = ranks.from_first(fit_normalisation(sources, recipe) if ranks.first else None)
    assert fitted is not None
    settings = model_settings(recipe, fitted)
    return Feed(
        settings,
        fitted,
        tuple(sources),
        _mixed(sources, data, settings, seed),
        _by_task(checked, data, settings, seed + 1),
    )


def _mixed(
    sources: Sequence[TrainingSource], data: Data, settings: ModelSettings, seed: int
) -> Batches:
    parts = _by_task(sources, data, settings, seed)
    if len(parts) == 1:
        return next(iter(parts.values()))
    return Mixed(parts, {task: data.tasks[task] for task in data.tasks}, seed)


def _by_task(
    sources: Sequence[TrainingSource], data: Data, settings: ModelSettings, seed: int
) -> dict[str, Batches]:
    makers = {SUPERRES: Patches, FORECAST: Sequences}
    # In the order of the settings: that of the recipe's tasks changes nothing.
    return {task: makers[task](sources, data, settings, seed) for task in settings.tasks}
