"""The model of a finished run, and its card."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from flexclim._version import __version__
from flexclim.models.card import Coverage, DataCard, ModelCard
from flexclim.models.model import Model, new_model
from flexclim.models.settings import ModelSettings
from flexclim.nn.flex import Flex
from flexclim.train.data.coverage import coverage
from flexclim.train.data.sources import TrainingSource
from flexclim.train.data.training_data import TrainingData
from flexclim.train.loop.processes import Ranks
from flexclim.train.loop.snapshot import RunState
from flexclim.train.loop.validation import BASELINES
from flexclim.train.recipes.recipe import Recipe
from flexclim.train.recipes.source_settings import SourceSettings

HALO_PATCHES = 64
NO_FINITE_CRPS = "no CRPS was finite"
# Cells are regarded as uncorrelated where the residual's autocorrelation has fallen to this.
UNCORRELATED = 0.1
DESCRIBED = "standard_name", "long_name", "cell_methods"


def finished_model(
    recipe: Recipe,
    data: TrainingData,
    network: Flex,
    state: RunState,
    ranks: Ranks,
    more: Mapping[str, float] | None = None,
) -> Model:
    """Return the model of a finished run.

    Parameters
    ----------
    network
        With the weights to keep.
    state
        Scores and time; if its ``best_step`` is 0, the weights are the last ones.
    more
        Further scores for the card.
    """
    reach = max(
        correlation_reach(np.nan_to_num(patches.batch(1, HALO_PATCHES).residual))
        for patches in data.validation.values()
    )
    settings = with_halo(data.settings, reach)
    covered = coverage(data.sources, recipe.data, data.settings, recipe.trainer.seed)
    card = model_card(recipe, data, state, hardware(ranks), reach, covered)
    scores = card.scores | {name: float(f"{value:.5g}") for name, value in (more or {}).items()}
    card = card.model_copy(update={"scores": scores})
    return new_model(network, settings, card, precision="bf16")


def model_card(
    recipe: Recipe,
    data: TrainingData,
    state: RunState,
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
    settings = data.settings
    named = settings.named() if settings.inputs else None
    scores = state.best_scores if state.best_step else state.losses
    spacings = [float(f"{source.grid.spacing_km:.4g}") for source in data.sources]
    spacings = [one for one in spacings if math.isfinite(one)]  # simulated flows have none
    return ModelCard(
        name=recipe.name,
        description=recipe.description,
        variables=tuple(part.name for part in (named.targets or ())) if named else (),
        inputs=tuple(part.name for part in (named.inputs or ())) if named else (),
        statics=tuple(part.name for part in settings.statics),
        units=data.units if named else {},
        attributes=_target_attributes(data) if named else {},
        factors=settings.factors,
        leads=settings.forecast.leads if settings.forecast else (),
        spacing_km=(min(spacings), max(spacings)) if spacings else None,
        coverage=covered,
        data=data_cards(recipe),
        scores={name: float(f"{value:.5g}") for name, value in scores.items()},
        licence=recipe.licence,
        # Folders of the machine that trained the model mean nothing elsewhere.
        recipe=recipe.model_dump(
            mode="json", by_alias=True, exclude={"data": {"folder"}, "output": True}
        ),
        hardware=hardware,
        seconds=round(state.seconds, 1),
        version=f"flexclim {__version__}, torch {torch.__version__}",
        notes=notes(recipe, state, reach) + regridded(data.sources),
    )


def _target_attributes(data: TrainingData) -> dict[str, dict[str, str]]:
    """Return what the files say of outputs that are no inputs, and could not tell in sampling."""
    settings, fields = data.settings, data.sources[0].target_fields
    inputs = {part.name for part in settings.inputs or ()}
    return {
        part.name: {
            key: str(value)
            for key, value in fields.attributes[part.name].items()
            if key in DESCRIBED
        }
        for part in settings.targets or ()
        if part.name not in inputs
    }


def data_cards(recipe: Recipe) -> tuple[DataCard, ...]:
    """Describe each source for the card: file names without folders, splits, licence."""
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


def _paths(source: SourceSettings) -> list[str]:
    if source.turbulence:
        return [source.title]
    return [source.path] if isinstance(source.path, str) else list(source.path)


def notes(recipe: Recipe, state: RunState, reach: int) -> str:
    """State which weights these are, and how their scores were computed."""
    kept = "the best by CRPS" if state.best_step else f"the last ({NO_FINITE_CRPS})"
    baselines = " or ".join(BASELINES[task] for task in recipe.data.tasks)
    return (
        f"Weights of step {state.best_step or state.step} of "
        f"{recipe.trainer.steps + recipe.ensemble.steps}, {kept}. "
        f"Scores on {recipe.trainer.validation_patches} patches of the validation split: "
        f"RMSE of the one-step estimate and fair CRPS of {recipe.trainer.score_members} members, "
        f"both divided by the error of {baselines}; spread / skill; log-spectral distance in dB; "
        "power relative to the truth by wavelength in cells. "
        f"The residual's autocorrelation falls to {UNCORRELATED} over {reach} cells."
    )


def regridded(sources: Sequence[TrainingSource]) -> str:
    """Say which sources were taken to another grid first; empty if none was.

    >>> regridded([])
    ''
    """
    fields = [part for one in sources for part in (one.input_fields, one.target_fields)]
    found = dict.fromkeys(f"{one.title}: {one.input_grid}" for one in fields if one.input_grid)
    return "".join(f" {text}." for text in found)


def correlation_reach(residual: np.ndarray) -> int:
    """Return the lag in cells beyond which the autocorrelation of residuals stays below 0.1.

    Parameters
    ----------
    residual
        (B, T, H, W), without NaN.

    Returns
    -------
    int
        The largest over channels and axes, at most half the shorter side.

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
            correlated = [
                lag
                for lag in range(1, half + 1)
                if (field[lag:] * field[:-lag]).mean() > UNCORRELATED * variance
            ]
            farthest = max(farthest, *correlated, 0)
    return int(min(farthest + 1, half))


def with_halo(settings: ModelSettings, reach: int) -> ModelSettings:
    """Return settings whose halo covers the distance over which residuals are correlated.

    The halo is a whole number of coarse cells of the largest factor, at most half a tile, and not
    less than that of ``settings``: with a halo of just the reach, ensembles showed seams.
    """
    factor = max(settings.factors, default=1)
    halo = max(-(-reach // factor) * factor, settings.halo)
    halo = min(halo, min(settings.network.tile) // 2)
    return ModelSettings.model_validate(dict(settings) | {"halo": halo})


def hardware(ranks: Ranks) -> str:
    """Name the hardware that a run was trained on.

    >>> isinstance(hardware(Ranks()), str)
    True
    """
    if ranks.device.type == "cuda":
        return f"{ranks.world} x {torch.cuda.get_device_name(ranks.device)}"
    threads = torch.get_num_threads() * ranks.world
    return f"{threads} threads of {_processor()}"


def _processor() -> str:
    """Return the name of the processor, or its architecture if the system does not give one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
