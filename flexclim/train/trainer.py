"""Fit a network by recipe: the loop, its validation, its checkpoints.

Two stages: denoising, then (where the recipe asks for it) the few-step sampler end to end on the
fair CRPS of its members. Everything random is a function of the seed and the step.
"""

from __future__ import annotations

import csv
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_ema import ExponentialMovingAverage

from flexclim.checkpoint import new_model
from flexclim.errors import RecipeError
from flexclim.nn.allocation import keep_memory
from flexclim.nn.diffusion import Diffusion
from flexclim.nn.flex import Flex, FlexConfig
from flexclim.train import state
from flexclim.train.card import last_scores, model_card, model_settings
from flexclim.train.losses import (
    diffusion_loss,
    ensemble_loss,
    factor_label,
    fair_crps,
    learning_rate,
    sample_members,
)
from flexclim.train.patches import Batch, Patches, open_sources
from flexclim.train.progress import Progress
from flexclim.train.recipe import Recipe

SCALE_STEPS = 24  # batches that the residual's scale is measured on
SAVE_EVERY = 100


def fit(recipe: Recipe, resume: bool = True) -> Path:
    """Train a model and write its folder.

    Parameters
    ----------
    recipe
        From :func:`flexclim.train.load_recipe`.
    resume
        Go on from the newest checkpoint in the run's folder; False: refuse a folder that has one.

    Returns
    -------
    Path
        The model folder, ``RUN/model``.

    Raises
    ------
    RecipeError
        If data can't be read, or the folder holds a run of another recipe.
    """
    run = Run(recipe)
    run.start(resume)
    run.train()
    return run.save_model()


class Run:
    """One training run: what it needs and where it stands."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = recipe.folder
        self.diffusion = Diffusion(
            prediction=recipe.diffusion.prediction,
            loss=recipe.diffusion.loss,
            shift=recipe.diffusion.shift,
        )
        self.sources = open_sources(recipe.data, "train")
        checked = open_sources(recipe.data, "validate")
        keep_memory()
        torch.manual_seed(recipe.trainer.seed)
        self.network = Flex(FlexConfig(**recipe.network.model_dump()))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), weight_decay=recipe.trainer.weight_decay, fused=True
        )
        self.ema = ExponentialMovingAverage(self.network.parameters(), decay=recipe.trainer.ema)
        self.step = 0
        self.seconds = 0.0
        self.residual_scale: dict[int, float] = {}
        self._checked_sources = checked

    @property
    def steps(self) -> int:
        """Steps of both stages."""
        return self.recipe.trainer.steps + self.recipe.ensemble.steps

    def start(self, resume: bool) -> None:
        """Take up the newest checkpoint, or measure the residual's scale and begin."""
        self.folder.mkdir(parents=True, exist_ok=True)
        found = state.newest(self.folder)
        if found and not resume:
            raise RecipeError(
                f"{self.folder} holds a run already; resume it, or set output to another folder."
            )
        if found:
            self._load(found)
        else:
            self.residual_scale = self._measure_scale()
        self.patches = self._patches(self.sources, self.recipe.trainer.seed)
        self.checks = self._patches(self._checked_sources, self.recipe.trainer.seed + 1).batch(
            0, self.recipe.trainer.validation_patches
        )

    def train(self) -> None:
        """Take all steps that are left."""
        size = self.recipe.trainer.batch
        with Progress(self.recipe.name, self.step, self.steps) as progress:
            bad = 0
            for batch in self.patches.stream(range(self.step, self.steps), size):
                began = time.perf_counter()
                if self.step == self.recipe.trainer.steps:
                    self._begin_fine_tuning()
                loss = self._step(batch)
                bad = 0 if math.isfinite(loss) else bad + 1
                if bad == 10:
                    raise RecipeError(
                        f"the loss was not finite for 10 steps up to step {self.step}; lower "
                        "trainer.learning_rate or look for extreme values in the data."
                    )
                self.step += 1
                self.seconds += time.perf_counter() - began
                progress.update(self.step, loss, size / (time.perf_counter() - began))
                if self.step % self.recipe.trainer.validate_every == 0 or self.step == self.steps:
                    scores = {"loss": loss, **self.validate()}
                    self._log(scores)
                    progress.report(self.step, scores)
                if self.step % SAVE_EVERY == 0 or self.step == self.steps:
                    self._save()

    def _begin_fine_tuning(self) -> None:
        """Go on from the averaged weights, with a shorter average."""
        self.ema.copy_to()
        decay = self.recipe.ensemble.ema
        self.ema = ExponentialMovingAverage(self.network.parameters(), decay=decay)

    def _step(self, batch: Batch) -> float:
        fine_tuning = self.step >= self.recipe.trainer.steps
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        inputs, residual, label = _tensors(batch)
        random = torch.Generator().manual_seed(
            int(np.random.SeedSequence([self.recipe.trainer.seed, self.step]).generate_state(1)[0])
        )
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16, self.recipe.trainer.precision == "bf16"):
            if fine_tuning:
                loss = self._ensemble_loss(inputs, residual, label, random)
            else:
                noise = torch.randn(residual.shape, generator=random)
                t = torch.rand(residual.shape[0], generator=random)
                loss = diffusion_loss(
                    self.network, self.diffusion, inputs, residual, label, noise, t
                )
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.trainer.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
            self.ema.update()
        return float(loss.detach())

    def _ensemble_loss(
        self, inputs: Tensor, residual: Tensor, label: Tensor, random: torch.Generator
    ) -> Tensor:
        settings = self.recipe.ensemble
        shape = residual.shape[0], settings.members, *residual.shape[2:]
        members, first = sample_members(
            self.network,
            self.diffusion,
            inputs,
            label,
            torch.randn(shape, generator=random),
            self.recipe.diffusion.steps,
            self.recipe.diffusion.method,
        )
        return ensemble_loss(members, first, residual, settings.gradient, settings.mean)

    def _rate(self) -> float:
        trainer, ensemble = self.recipe.trainer, self.recipe.ensemble
        if self.step < trainer.steps:
            return learning_rate(self.step, trainer.steps, trainer.warmup, trainer.learning_rate)
        step = self.step - trainer.steps
        return learning_rate(step, ensemble.steps, trainer.warmup // 4, ensemble.learning_rate)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Score the averaged weights on other times, at fixed t and noise.

        Returns
        -------
        dict
            ``validation``: mean denoising loss; ``rmse``: error of the one-step mean over that of
            interpolation; ``crps``: fair CRPS of two members over the error of interpolation.
        """
        self.network.eval()
        size = self.recipe.trainer.batch
        sums: dict[str, float] = {}
        with self.ema.average_parameters():
            for first in range(0, len(self.checks.factor), size):
                part = Batch(
                    *(getattr(self.checks, f)[first : first + size] for f in Batch.__annotations__)
                )
                for name, value in self._check(part, first).items():
                    sums[name] = sums.get(name, 0.0) + value
        return {
            "validation": sums["loss"] / sums["count"],
            "rmse": math.sqrt(sums["squared"] / sums["zero_squared"]),
            "crps": sums["crps"] / sums["zero_absolute"],
        }

    def _check(self, batch: Batch, seed: int) -> dict[str, float]:
        inputs, residual, label = _tensors(batch)
        random = torch.Generator().manual_seed(seed)
        count, _, height, width = residual.shape
        noise = torch.randn((count, 2, height, width), generator=random)
        t = (torch.arange(count) % 4 + 1) / 4
        loss = diffusion_loss(
            self.network, self.diffusion, inputs, residual, label, noise[:, :1], t
        )
        recipe = self.recipe.diffusion
        members, first = sample_members(
            self.network, self.diffusion, inputs, label, noise, recipe.steps, recipe.method
        )
        return {
            "loss": float(loss) * count,
            "count": count,
            "squared": float((first[:, :1] - residual).square().sum()),
            "zero_squared": float(residual.square().sum()),
            "crps": float(fair_crps(members, residual)) * residual.numel(),
            "zero_absolute": float(residual.abs().sum()),
        }

    def save_model(self) -> Path:
        """Write the model folder with the averaged weights; an earlier one of this run goes."""
        with self.ema.average_parameters():
            model = new_model(
                self.network,
                model_settings(self.recipe, self.residual_scale),
                model_card(
                    self.recipe, self.sources, last_scores(self.folder / "log.csv"), self.seconds
                ),
                precision="bf16",
            )
        return model.save(self.folder / "model", overwrite=True)

    def _measure_scale(self) -> dict[int, float]:
        """Return the standard deviation of the locally scaled residual, by factor."""
        factors = self.recipe.data.factors
        patches = self._patches(self.sources, self.recipe.trainer.seed, dict.fromkeys(factors, 1.0))
        squares: dict[int, list[float]] = {factor: [] for factor in factors}
        for step in range(SCALE_STEPS):
            batch = patches.batch(step, 16)
            for residual, factor in zip(batch.residual, batch.factor, strict=True):
                squares[int(factor)].append(float(np.square(residual).mean()))
        return {
            factor: round(float(np.sqrt(np.mean(values))) if values else 1.0, 3)
            for factor, values in squares.items()
        }

    def _patches(
        self, sources: Any, seed: int, residual_scale: dict[int, float] | None = None
    ) -> Patches:
        scales = residual_scale or self.residual_scale
        return Patches(sources, self.recipe.data, self.recipe.network.tile, scales, seed)

    def _save(self) -> None:
        state.save(
            self.folder,
            self.step,
            {
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "ema": self.ema.state_dict(),
                "text": json.dumps(
                    {
                        "recipe": self.recipe.model_dump(mode="json", by_alias=True),
                        "residual_scale": self.residual_scale,
                        "seconds": self.seconds,
                    }
                ),
            },
        )

    def _load(self, path: Path) -> None:
        saved = state.load(path)
        text = json.loads(saved["text"])
        own = self.recipe.model_dump(mode="json", by_alias=True)
        for section in ("network", "data"):
            if text["recipe"][section] != own[section]:
                raise RecipeError(
                    f"{self.folder} holds a run with other {section} settings; "
                    "set output to another folder, or restore the recipe."
                )
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.ema.load_state_dict(saved["ema"])
        self.step, self.seconds = saved["step"], text["seconds"]
        self.residual_scale = {int(k): v for k, v in text["residual_scale"].items()}

    def _log(self, scores: dict[str, float]) -> None:
        path = self.folder / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "seconds", *scores])
            values = [f"{value:.6g}" for value in scores.values()]
            writer.writerow([self.step, round(self.seconds), *values])


def _tensors(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    inputs, residual = torch.from_numpy(batch.inputs), torch.from_numpy(batch.residual)
    return inputs, residual, factor_label(torch.from_numpy(batch.factor))
