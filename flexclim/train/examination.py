"""What a run of a recipe would choose, and whether its data can be trained on, before it starts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from flexclim.errors import suggest_options
from flexclim.grids.grid import Grid
from flexclim.nn.flex import Flex
from flexclim.train.data.common_units import CommonUnits
from flexclim.train.data.model_settings import network_settings
from flexclim.train.data.sources import TrainingSource
from flexclim.train.data.time_axis import text_of
from flexclim.train.data.training_data import open_splits
from flexclim.train.loop import checkpoint_files
from flexclim.train.loop.banner import banner
from flexclim.train.loop.learner import freeze
from flexclim.train.loop.processes import join_ranks
from flexclim.train.loop.starting_model import check_start
from flexclim.train.recipes.recipe import Recipe


@suggest_options
def examine_recipe(recipe: Recipe) -> str:
    """Check the data of a recipe, and name what a run would choose; nothing is trained.

    Opens all files and reads a few planes of each variable.

    Returns
    -------
    str
        Device, parameters, samples, steps, the defaults that depend on other settings, and for
        each source its variables, grid and times in both splits.

    Raises
    ------
    RecipeError
        As in :func:`flexclim.train.fit` before its first step.

    >>> print(examine_recipe(load_recipe("gfs_wind_x4")))  # doctest: +SKIP
    """
    check_start(recipe)
    units = CommonUnits({})
    sources, checked = open_splits(recipe, units)
    with torch.device("meta"):
        network = Flex(network_settings(recipe))
    freeze(network, recipe.trainer.only)
    with join_ranks() as ranks:
        lines = [banner(recipe, sources, network, ranks)]
    lines += [f"  {name:10}{text}" for name, text in _choices(recipe, units).items()]
    for source in sources:
        lines += _described(source, checked)
    return "\n".join(lines)


def _choices(recipe: Recipe, units: CommonUnits) -> dict[str, str]:
    """Name what depends on other settings, or on what is in the run's folder."""
    data, tuning = recipe.data, recipe.ensemble
    label = ", ".join(part.name for part in data.label_parts) or "none"
    stated = ", ".join(f"{name} in {unit}" for name, unit in units.known.items() if unit)
    rates = [recipe.trainer.learning_rate] * bool(recipe.trainer.steps)
    rates += [tuning.learning_rate] * bool(tuning.steps)
    newest = checkpoint_files.newest(recipe.folder) if recipe.folder.is_dir() else None
    begins = "anew" if newest is None else f"continues at step {checkpoint_files.step_of(newest)}"
    return {
        "mirrored": ", ".join(data.flips) or "no patches",
        "label": label,
        "units": stated or "any: fields are scaled by themselves",
        "rates": f"{' and '.join(f'{rate:g}' for rate in rates) or 'none'}, then cosine decay",
        "sampler": f"{recipe.diffusion.steps} steps of {recipe.diffusion.method}",
        "run": begins,
    }


def _described(source: TrainingSource, checked: Sequence[TrainingSource]) -> list[str]:
    """Describe a source, and the times of it that are held back."""
    held = [
        one.stamps
        for one in checked
        if one.settings is source.settings and one.targets == source.targets
    ]
    names = ", ".join(dict.fromkeys([*source.inputs, *source.targets]))
    return [
        source.title,
        f"  {'variables':10}{names}",
        f"  {'grid':10}{_size(source.grid)}",
        f"  {'train':10}{_span(source.stamps)}",
        f"  {'validate':10}{_span(np.concatenate(held)) if held else 'no times of this source'}",
    ]


def _size(grid: Grid) -> str:
    spacing = f", {grid.spacing_km:.3g} km" if np.isfinite(grid.spacing_km) else ""
    return f"{grid.domain.shape[0]} x {grid.domain.shape[1]} cells{spacing}"


def _span(stamps: np.ndarray) -> str:
    return f"{stamps.size} times, {text_of(stamps.min())} to {text_of(stamps.max())}"
