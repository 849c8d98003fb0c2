"""What a training run is: data, network, diffusion, trainer, as a page of YAML says it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from flexclim.nn.configuration import Architecture, DiffusionSettings, Method, Settings
from flexclim.train.recipes.data_settings import Data as Data
from flexclim.train.recipes.data_settings import Source as Source


class Process(DiffusionSettings, strict=False):
    """The diffusion process and the sampler."""

    times: Literal["uniform", "stratified", "logit_normal"] = Field(
        default="uniform",
        description="how times t are drawn: evenly, evenly with one in each share of the batch, "
        "or more of the middle",
    )
    method: Method = Field(default="euler", description="the sampler")
    steps: int = Field(default=2, ge=1, description="sampler steps that downscale takes")


class Ensemble(Settings):
    """Fine-tuning of the few-step sampler itself on the fair CRPS of its members."""

    steps: int = Field(default=0, ge=0, description="training steps of this stage; 0: none")
    members: int = Field(default=2, ge=2, le=4, description="members a patch")
    learning_rate: float = Field(default=1e-4, gt=0, description="highest learning rate")
    ema: float = Field(default=0.98, ge=0, lt=1, description="decay of this stage's averages")
    gradient: float = Field(default=0.5, ge=0, description="weight of the CRPS of gradients")
    spectrum: float = Field(
        default=0.0, ge=0, description="weight of the log-spectral distance of members"
    )
    mean: float = Field(
        default=0.5, ge=0, description="weight of the squared error of the first step's estimate"
    )
    physical: float = Field(
        default=0.0,
        ge=0,
        description="weight of the CRPS in the targets' own units, over the error of interpolation "
        "there: places count by how much varies, where the other terms count all alike",
    )


class Trainer(Settings):
    """How long and how fast."""

    steps: int = Field(default=3000, ge=0, description="training steps of the first stage")
    batch: int = Field(default=16, ge=1, description="patches a step, over all ranks")
    accumulate: int = Field(
        default=1, ge=1, description="parts that each rank's share of the batch is taken in"
    )
    optimizer: Literal["adamw", "lion"] = Field(
        default="adamw", description="lion wants a third of the learning rate"
    )
    learning_rate: float = Field(default=4e-4, gt=0, description="highest learning rate")
    warmup: int = Field(
        default=200, ge=0, description="steps of linear warm-up, before a half cosine down"
    )
    weight_decay: float = Field(default=0.01, ge=0, description="decay of weights a unit of rate")
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    ema: float = Field(default=0.999, ge=0, lt=1, description="decay of the averaged weights")
    precision: Literal["float32", "bf16", "fp16"] = Field(
        default="float32", description="of the network's arithmetic; weights stay float32"
    )
    checkpointing: bool = Field(
        default=False, description="compute activations again in the backward pass: less memory"
    )
    compile: bool = Field(default=False, description="compile the network first")
    validate_every: int = Field(
        default=250, ge=1, description="steps between losses at fixed t and noise on other times"
    )
    validation_patches: int = Field(default=96, ge=1, description="patches of a validation")
    score_every: int = Field(
        default=500, ge=1, description="steps between scores of a sampled ensemble"
    )
    score_members: int = Field(default=8, ge=2, description="members of that ensemble")
    save_every: int = Field(default=100, ge=1, description="steps between checkpoints")
    keep: int = Field(default=2, ge=1, description="checkpoints that are kept")
    label_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of patches whose label is left out, so that the model can do without",
    )
    max_nonfinite_steps: int = Field(
        default=10,
        ge=1,
        description="stop with an error after this many steps in a row without a finite gradient",
    )
    only: tuple[str, ...] = Field(
        default=(),
        description="learn only parameters whose names begin so, such as decoder.final_layer, the "
        "others stay as they were at the start; empty: all",
    )
    seed: int = Field(default=0, ge=0, description="of weights, patches and noise")
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        default=(), description="further logs; log.csv is always written"
    )


class Recipe(Settings):
    """A whole training run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="name of the model")
    description: str = Field(default="", description="one line for the card")
    licence: str = Field(default="unspecified", description="licence of the weights")
    start: str = Field(
        default="", description="model to start from, by name or folder; empty: random weights"
    )
    data: Data = Field(description="where fields come from and how patches are cut")
    network: Architecture = Field(default=Architecture(), description="sizes of the network")
    diffusion: Process = Field(default=Process(), description="diffusion process and sampler")
    ensemble: Ensemble = Field(default=Ensemble(), description="few-step fine-tuning")
    trainer: Trainer = Field(default=Trainer(), description="how long and how fast")
    output: str = Field(default="", description="folder of the run; empty: runs/NAME")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.trainer.only and not self.start:
            raise ValueError("trainer.only needs a model to start from, which start names")
        if self.ensemble.physical and not self.data.named:
            raise ValueError("ensemble.physical needs variables of one unit: give data.inputs")
        height, width = self.network.tile
        if height != width and "turn" in (self.data.augment or ()):
            raise ValueError(
                f"data.augment: turn goes only with square tiles, not network.tile [{height}, "
                f"{width}]"
            )
        return self

    @property
    def folder(self) -> Path:
        """Folder of checkpoints, log and finished model."""
        return Path(self.output or f"runs/{self.name}")
