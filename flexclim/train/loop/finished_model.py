"""The model folder that a finished run leaves, and what its card tells."""

from __future__ import annotations

import math
import platform
from pathlib import Path

import numpy as np
import torch

from flexclim._version import __version__
from flexclim.models.card import Coverage, DataCard, ModelCard
from flexclim.models.model import Model, new_model
from flexclim.models.settings import ModelSettings
from flexclim.nn.flex import Flex
from flexclim.train.data.coverage import coverage
from flexclim.train.data.feed import Feed
from flexclim.train.data.normalisation import known_units
from flexclim.train.loop.dist import Ranks
from flexclim.train.loop.snapshot import Standing
from flexclim.train.loop.validation import RIVALS
from flexclim.train.recipes.recipe import Recipe, Source

HALO_PATCHES = 64
NO_BEST = "no CRPS was a number"
# Where the residual's autocorrelation has fallen to this, cells know little of each other.
UNRELATED = 0.1


def finished_model(
    recipe: Recipe, feed: Feed, network: Flex, standing: Standing, ranks: Ranks
) -> Model:
    """Return the model of a finished run.

    Parameters
    ----------
    network
        With the weights to keep.
    standing
        Scores and time; where no step was the best, the weights are the last.
    """
    reach = max(
        correlation_reach(np.nan_to_num(patches.batch(1, HALO_PATCHES).residual))
        for patches in feed.check.values()
    )
    settings = with_halo(feed.settings, reach)
    covered = coverage(feed.sources, recipe.data, feed.settings, recipe.trainer.seed)
    card = model_card(recipe, feed, standing, hardware(ranks), reach, covered)
    return new_model(network, settings, card, precision="bf16")


def model_card(
    recipe: Recipe,
    feed: Feed,
    standing: Standing,
    hardware: str,
    reach: int,
    covered: tuple[Coverage, ...] = (),
) -> ModelCard:
    """Return the card of a finished run.

    Parameters
    ----------
    reach
        From :func:`correlation_reach`.
    covered
        From :func:`flexclim.train.data.coverage.coverage`.
    """
    named = feed.settings.named() if feed.settings.inputs else None
    scores = standing.best_scores if standing.best_step else standing.losses
    spacings = [float(f"{source.grid.spacing_km:.4g}") for source in feed.sources]
    spacings = [one for one in spacings if math.isfinite(one)]  # simulated flows have none
    return ModelCard(
        name=recipe.name,
        description=recipe.description,
        variables=tuple(part.name for part in (named.targets or ())) if named else (),
        inputs=tuple(part.name for part in (named.inputs or ())) if named else (),
        statics=tuple(part.name for part in feed.settings.statics),
        units=known_units(feed.sources) if named else {},
        factors=feed.settings.factors,
        leads=feed.settings.forecast.leads if feed.settings.forecast else (),
        spacing_km=(min(spacings), max(spacings)) if spacings else None,
        coverage=covered,
        data=data_cards(recipe),
        scores={name: float(f"{value:.5g}") for name, value in scores.items()},
        licence=recipe.licence,
        # The folders of the machine that it was trained on are of no use elsewhere.
        recipe=recipe.model_dump(
            mode="json", by_alias=True, exclude={"data": {"folder"}, "output": True}
        ),
        hardware=hardware,
        seconds=round(standing.seconds, 1),
        version=f"flexclim {__version__}, torch {torch.__version__}",
        notes=notes(recipe, standing, reach),
    )


def data_cards(recipe: Recipe) -> tuple[DataCard, ...]:
    """Return what is told of each source: names without folders, splits, licence."""
    named = tuple(part.name for part in (*recipe.data.inputs, *recipe.data.all_targets))
    return tuple(
        DataCard(
            source=", ".join(Path(path).name for path in _paths(source)),
            variables=source.variables or tuple(dict.fromkeys(named)),
            period=" to ".join(source.train)
            + (f"; validated on {' to '.join(source.validate_)}" if source.validate_ else ""),
            licence=source.licence,
        )
        for source in recipe.data.sources
    )


def _paths(source: Source) -> list[str]:
    if source.turbulence:
        return [source.title]
    return [source.path] if isinstance(source.path, str) else list(source.path)


def notes(recipe: Recipe, standing: Standing, reach: int) -> str:
    """Return which weights these are and how their scores were made."""
    kept = "the best by CRPS" if standing.best_step else f"the last ({NO_BEST})"
    rivals = " or ".join(RIVALS[task] for task in recipe.data.tasks)
    return (
        f"Weights of step {standing.best_step or standing.step} of "
        f"{recipe.trainer.steps + recipe.ensemble.steps}, {kept}. "
        f"Scores are of {recipe.trainer.validation_patches} patches of the "
        f"validation split: rmse of the one-step mean and fair CRPS of "
        f"{recipe.trainer.score_members} members over the error of {rivals}; spread over "
        "skill; log-spectral distance in dB; power of waves of so many cells over the truth's. "
        f"The residual's autocorrelation falls to {UNRELATED} over {reach} cells."
    )


def correlation_reach(residual: np.ndarray) -> int:
    """Return the cells over which the autocorrelation of residuals falls to 0.1 for good.

    Parameters
    ----------
    residual
        (B, T, H, W), without NaN; the slowest channel and axis count. At most half of the shorter
        side: longer lags are not measured.

    >>> white = np.random.default_rng(0).normal(size=(8, 1, 32, 32))
    >>> correlation_reach(white)
    1
    """
    centred = residual - residual.mean((0, 2, 3), keepdims=True)
    farthest = 0
    half = min(residual.shape[-2:]) // 2
    for channel in np.moveaxis(centred, 1, 0):
        variance = np.square(channel).mean()
        for axis in (1, 2):
            field = np.moveaxis(channel, axis, 0)
            related = [
                lag
                for lag in range(1, half + 1)
                if (field[lag:] * field[:-lag]).mean() > UNRELATED * variance
            ]
            farthest = max(farthest, *related, 0)
    return min(farthest + 1, half)


def with_halo(settings: ModelSettings, reach: int) -> ModelSettings:
    """Return settings whose tiles share at least what residuals are correlated over.

    Whole coarse cells of the largest factor, at most half a tile. Not less than the settings say:
    seams of ensembles were seen where tiles shared no more than the reach.
    """
    factor = max(settings.factors, default=1)
    halo = max(-(-reach // factor) * factor, settings.halo)
    halo = min(halo, min(settings.network.tile) // 2)
    return ModelSettings.model_validate(dict(settings) | {"halo": halo})


def hardware(ranks: Ranks) -> str:
    """Return what a run was trained on.

    >>> isinstance(hardware(Ranks()), str)
    True
    """
    if ranks.device.type == "cuda":
        return f"{ranks.world} x {torch.cuda.get_device_name(ranks.device)}"
    threads = torch.get_num_threads() * ranks.world
    return f"{threads} threads of {_processor()}"


def _processor() -> str:
    """Return the name of the processor where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
