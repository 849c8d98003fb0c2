"""The data of a run: patches of both splits, and the normalisation measured on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flexclim.models.settings import FORECAST, SUPERRES, ModelSettings
from flexclim.nn.diffusion import Diffusion
from flexclim.train.data.batches import Batches, MixedBatches, TaskBatches, Tiles
from flexclim.train.data.common_units import CommonUnits
from flexclim.train.data.downscaling_patches import Patches
from flexclim.train.data.forecast_sequences import Sequences
from flexclim.train.data.model_settings import Normalisation, check_network, model_settings
from flexclim.train.data.normalisation import fit_normalisation
from flexclim.train.data.sources import TrainingSource, check_sources, open_sources, warn_of_leaks
from flexclim.train.recipes.data_settings import Data
from flexclim.train.recipes.recipe import Recipe

Measure = Callable[[Sequence[TrainingSource], Recipe], Normalisation]


@dataclass(frozen=True)
class TrainingData:
    """Patches of the training split, and of the validation split by task.

    ``settings`` are those of the model to be trained; ``fitted`` holds the numbers in them that
    were measured on the training split. ``units`` are those of named variables and static fields.
    """

    settings: ModelSettings
    fitted: Normalisation
    sources: tuple[TrainingSource, ...]
    train: Batches
    validation: dict[str, TaskBatches]
    units: dict[str, str]

    @property
    def diffusion(self) -> Diffusion:
        """The diffusion process, the same in training and sampling."""
        return Diffusion.of(self.settings.diffusion)


def open_training_data(
    recipe: Recipe, fitted: Normalisation | None = None, measure: Measure = fit_normalisation
) -> TrainingData:
    """Open and check the data of both splits.

    Parameters
    ----------
    fitted
        Normalisation of an earlier start of the run; default: measured on the training split.
    measure
        Measures the normalisation; runs of several ranks do so once for all.
    """
    data, seed = recipe.data, recipe.trainer.seed
    units = CommonUnits(dict(fitted.get("units", {})) if fitted else {})
    sources, checked = open_splits(recipe, units)
    if fitted is None:
        fitted = measure(sources, recipe)
        fitted["units"] = units.known
    settings = model_settings(recipe, fitted)
    parts = _by_task(sources, data, settings, seed, settings.network.tiles)
    return TrainingData(
        settings,
        fitted,
        tuple(sources),
        MixedBatches(parts, {task: data.tasks[task] for task in data.tasks}, seed)
        if len(parts) > 1
        else next(iter(parts.values())),
        _by_task(checked, data, settings, seed + 1),
        units.known,
    )


def open_splits(
    recipe: Recipe, units: CommonUnits
) -> tuple[list[TrainingSource], list[TrainingSource]]:
    """Open and check the sources of the training and of the validation split.

    A few planes are read; nothing is measured.
    """
    check_network(recipe)
    data = recipe.data
    sources, checked = (open_sources(data, split, units) for split in ("train", "validate"))
    check_sources([*sources, *checked], data, recipe.network.tile)
    warn_of_leaks(sources, checked)
    return sources, checked


def _by_task(
    sources: Sequence[TrainingSource],
    data: Data,
    settings: ModelSettings,
    seed: int,
    tiles: Tiles | None = None,
) -> dict[str, TaskBatches]:
    makers: dict[str, type[Patches | Sequences]] = {SUPERRES: Patches, FORECAST: Sequences}
    # In the order of the settings, so that the order of tasks in the recipe does not matter.
    return {task: makers[task](sources, data, settings, seed, tiles) for task in settings.tasks}
