"""What a run learns from: patches of both splits, and the numbers that scale them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from flexclim.card import DiffusionSettings, ModelSettings, NetworkSettings
from flexclim.nn.diffusion import Diffusion
from flexclim.train.patches import OpenSource, Patches, open_sources
from flexclim.train.recipe import Recipe


@dataclass(frozen=True)
class Feed:
    """Patches of the training and of the validation split.

    ``settings`` are those of the model to be; ``fitted`` holds, as JSON values, the numbers in
    them that were measured on the training split.
    """

    settings: ModelSettings
    fitted: dict[str, Any]
    sources: tuple[OpenSource, ...]
    train: Patches
    check: Patches

    @property
    def diffusion(self) -> Diffusion:
        """The diffusion process, the same in training and sampling."""
        return self.settings.diffusion.process()


def open_feed(recipe: Recipe, fitted: dict[str, Any] | None) -> Feed:
    """Open the data of both splits.

    Parameters
    ----------
    fitted
        Numbers from an earlier start of the run; None: measure them on the training split.
    """
    sources, checked = open_sources(recipe.data, "train"), open_sources(recipe.data, "validate")
    seed, tile = recipe.trainer.seed, recipe.network.tile
    if fitted is None:
        p = Patches(sources, recipe.data, tile, dict.fromkeys(recipe.data.factors, 1.0), seed)
        squares = {f: [] for f in recipe.data.factors}
        for step in range(24):
            b = p.batch(step, 16)
            for r, f in zip(b.residual, b.factor):
                squares[int(f)].append(float(np.square(r).mean()))
        fitted = {
            "residual_scale": {
                str(f): [round(float(np.sqrt(np.mean(v))) if v else 1.0, 3)]
                for f, v in squares.items()
            }
        }
    scale = {int(f): tuple(v) for f, v in fitted["residual_scale"].items()}
    process = recipe.diffusion
    settings = ModelSettings(
        network=NetworkSettings(**recipe.network.model_dump()),
        diffusion=DiffusionSettings(
            prediction=process.prediction, loss=process.loss, shift=process.shift
        ),
        method=process.method,
        steps=process.steps,
        scaling="local",
        residual_scale=scale,
        label="factor",
        operator="block_mean",
        conserve=True,
        halo=min(recipe.network.tile) // 4,
        factors=tuple(sorted(recipe.data.factors)),
    )
    s1 = {f: v[0] for f, v in scale.items()}
    return Feed(
        settings,
        fitted,
        tuple(sources),
        Patches(sources, recipe.data, tile, s1, seed),
        Patches(checked, recipe.data, tile, s1, seed + 1),
    )
