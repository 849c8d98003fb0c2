"""The settings and the card of a trained model."""

from __future__ import annotations

import csv
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

import flexclim
from flexclim.card import DataCard, DiffusionSettings, ModelCard, ModelSettings, NetworkSettings
from flexclim.train.patches import OpenSource
from flexclim.train.recipe import Recipe

LOG_SCORES = ("validation", "rmse", "crps")


def model_settings(recipe: Recipe, residual_scale: Mapping[int, float]) -> ModelSettings:
    """Return what sampling with the trained network needs.

    The halo is a quarter of a tile: the local scaling leaves residuals that are correlated over a
    few coarse cells.
    """
    process = recipe.diffusion
    return ModelSettings(
        network=NetworkSettings(**recipe.network.model_dump()),
        diffusion=DiffusionSettings(
            prediction=process.prediction, loss=process.loss, shift=process.shift
        ),
        method=process.method,
        steps=process.steps,
        scaling="local",
        residual_scale=dict(residual_scale),
        label="factor",
        operator="block_mean",
        conserve=True,
        halo=min(recipe.network.tile) // 4,
        factors=tuple(sorted(recipe.data.factors)),
    )


def model_card(
    recipe: Recipe, sources: Sequence[OpenSource], scores: Mapping[str, float], seconds: float
) -> ModelCard:
    """Return the card of a finished run.

    Parameters
    ----------
    sources
        Of training; their grids tell the spacings.
    scores
        Of validation; see :func:`last_scores`.
    seconds
        Spent in training steps.
    """
    spacings = [float(f"{source.grid.spacing_km:.4g}") for source in sources]
    return ModelCard(
        name=recipe.name,
        description=recipe.description,
        factors=tuple(sorted(recipe.data.factors)),
        spacing_km=(min(spacings), max(spacings)),
        data=tuple(
            DataCard(
                source=Path(source.path).name,
                variables=source.variables,
                period=" to ".join(source.train),
                licence=source.licence,
            )
            for source in recipe.data.sources
        ),
        scores=dict(scores),
        licence=recipe.licence,
        # The folders of the machine that it was trained on are of no use elsewhere.
        recipe=recipe.model_dump(
            mode="json", by_alias=True, exclude={"data": {"folder"}, "output": True}
        ),
        hardware=hardware(),
        seconds=round(seconds, 1),
        version=f"flexclim {flexclim.__version__}, torch {torch.__version__}",
        notes="Scores are of the validation split: rmse of the one-step mean and fair CRPS of two "
        "members, both over the error of interpolation.",
    )


def last_scores(log: Path) -> dict[str, float]:
    """Return the validation scores of the last line of a run's ``log.csv``; none: empty."""
    if not log.exists():
        return {}
    with log.open(newline="") as file:
        lines = list(csv.DictReader(file))
    return {name: float(lines[-1][name]) for name in LOG_SCORES if lines and name in lines[-1]}


def hardware() -> str:
    """Return the device that torch trains on.

    >>> isinstance(hardware(), str)
    True
    """
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} CPU cores ({platform.machine()})"
