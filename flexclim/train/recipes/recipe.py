"""The recipe of a training run: data, network, diffusion and trainer, as written in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from flexclim.files import is_url
from flexclim.nn.configuration import Architecture, DiffusionSettings, Method, Settings
from flexclim.train.recipes.data_settings import Data


class Process(DiffusionSettings, strict=False):
    """The diffusion process and the sampler."""

    times: Literal["uniform", "stratified", "logit_normal"] = Field(
        default="uniform",
        description="distribution of the diffusion time t: uniform; stratified, one in each "
        "equal part of [0, 1] per batch; logit_normal, with more weight on the middle",
    )
    noise_amplitude: float = Field(
        default=0.0,
        ge=0,
        le=2,
        description="standard deviation of the logarithm of a smooth random amplitude of the noise "
        "in downscaling; 0: the noise has the same variance everywhere",
    )
    method: Method = Field(default="euler", description="sampler")
    steps: int = Field(default=2, ge=1, description="sampler steps of downscale")


class Ensemble(Settings):
    """Fine-tuning of the few-step sampler with the fair CRPS of its members as loss."""

    steps: int = Field(default=0, ge=0, description="training steps of this stage; 0: skip it")
    members: int = Field(default=2, ge=2, le=16, description="members per patch")
    learning_rate: float = Field(default=1e-4, gt=0, description="peak learning rate")
    ema: float = Field(
        default=0.98, ge=0, lt=1, description="decay of this stage's exponential averages"
    )
    gradient: float = Field(
        default=0.5, ge=0, description="weight of the CRPS of spatial gradients"
    )
    spectrum: float = Field(
        default=0.0,
        ge=0,
        description="weight of the log-spectral distance between members and truth",
    )
    texture: float = Field(
        default=0.0,
        ge=0,
        description="weight of the CRPS of cosine coefficients in windows of 4 and 8 cells, which "
        "makes members look like the truth",
    )
    amplitude: float = Field(
        default=0.0,
        ge=0,
        description="weight of the CRPS of the local RMS of residuals and of their gradients, "
        "which members need for rare large departures",
    )
    mean: float = Field(
        default=0.5,
        ge=0,
        description="weight of the squared error of the estimate after the first sampler step",
    )
    one_step: float = Field(
        default=0.0,
        ge=0,
        description="weight of the same loss for estimates after the first sampler step, so that "
        "one step gives members too; set mean to 0 with it",
    )
    physical: float = Field(
        default=0.0,
        ge=0,
        description="weight of the CRPS in physical units, relative to the error of interpolation: "
        "it weights locations by their variability; the other terms weight all equally",
    )


class Trainer(Settings):
    """The training loop and its optimizer."""

    steps: int = Field(default=3000, ge=0, description="training steps of the first stage")
    batch: int = Field(default=16, ge=1, description="patches per step, summed over all ranks")
    accumulate: int = Field(
        default=1,
        ge=1,
        description="micro-batches into which each rank splits its share of the batch",
    )
    optimizer: Literal["adamw", "lion"] = Field(
        default="adamw", description="optimizer; lion needs about a third of adamw's learning rate"
    )
    learning_rate: float = Field(default=4e-4, gt=0, description="peak learning rate")
    warmup: int = Field(
        default=200, ge=0, description="steps of linear warm-up, followed by cosine decay to 1 %"
    )
    weight_decay: float = Field(
        default=0.01, ge=0, description="weight decay, per unit of learning rate"
    )
    clip: float = Field(default=1.0, gt=0, description="norm at which gradients are clipped")
    ema: float = Field(
        default=0.999, ge=0, lt=1, description="decay of the exponential average of weights"
    )
    precision: Literal["float32", "bf16", "fp16"] = Field(
        default="float32", description="precision of the network's arithmetic; weights stay float32"
    )
    checkpointing: bool = Field(
        default=False, description="recompute activations in the backward pass, which saves memory"
    )
    compile: bool = Field(default=False, description="compile the network with torch.compile")
    validate_every: int = Field(
        default=250, ge=1, description="steps between validation losses, at fixed t and noise"
    )
    validation_patches: int = Field(
        default=96, ge=1, description="patches of the validation split that are used"
    )
    score_every: int = Field(
        default=500, ge=1, description="steps between scores of a sampled ensemble"
    )
    score_members: int = Field(default=8, ge=2, description="members of that ensemble")
    early_stopping: int = Field(
        default=0,
        ge=0,
        description="end a stage after this many scores in a row without a better CRPS; "
        "0: take all its steps",
    )
    save_every: int = Field(default=100, ge=1, description="steps between checkpoints")
    keep: int = Field(default=2, ge=1, description="number of checkpoints kept")
    label_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="fraction of patches trained without their label, so that it is optional",
    )
    max_nonfinite_steps: int = Field(
        default=10,
        ge=1,
        description="stop with an error after this many steps in a row without a finite gradient",
    )
    only: tuple[str, ...] = Field(
        default=(),
        description="train only parameters whose names start with one of these, such as "
        "decoder.final_layer, and freeze the others; empty: train all",
    )
    seed: int = Field(default=0, ge=0, description="seed of initial weights, patches and noise")
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        default=(), description="further loggers; log.csv is always written"
    )


class Recipe(Settings):
    """All settings of a training run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="name of the model")
    description: str = Field(default="", description="one-line description for the model card")
    licence: str = Field(default="unspecified", description="licence of the weights")
    start: str = Field(
        default="",
        description="name or folder of a model whose weights to start from; empty: random",
    )
    data: Data = Field(description="sources, variables and patches")
    network: Architecture = Field(default=Architecture(), description="sizes of the network")
    diffusion: Process = Field(default=Process(), description="diffusion process and sampler")
    ensemble: Ensemble = Field(default=Ensemble(), description="few-step fine-tuning")
    trainer: Trainer = Field(default=Trainer(), description="training loop and optimizer")
    output: str = Field(default="", description="folder of the run; empty: runs/NAME")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if not self.trainer.steps + self.ensemble.steps:
            raise ValueError(
                "trainer.steps and ensemble.steps are both 0, so nothing would be trained; set one"
            )
        if is_url(self.output):
            raise ValueError(f"output: {self.output} is a URL, but runs need a local folder")
        if self.trainer.only and not self.start:
            raise ValueError("trainer.only needs a model to start from; set start")
        if self.ensemble.physical and not self.data.named:
            raise ValueError("ensemble.physical needs named variables: give data.inputs")
        height, width = self.network.tile
        if height != width and "turn" in (self.data.augment or ()):
            raise ValueError(
                f"data.augment: turn needs square tiles, but network.tile is [{height}, {width}]"
            )
        return self

    @property
    def folder(self) -> Path:
        """Folder of checkpoints, log and finished model."""
        return Path(self.output or f"runs/{self.name}")
