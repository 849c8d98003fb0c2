"""What a training run is: data, network, diffusion, trainer, read from a page of YAML.

Reading is strict: an unknown setting is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flexclim.errors import RecipeError
from flexclim.shipped import recipes_folder


class Settings(BaseModel):
    """Frozen settings that refuse unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Settings):
    """One file of fine fields, which training coarsens on the fly."""

    path: str = Field(description="NetCDF file or Zarr store, relative to data.folder")
    variables: tuple[str, ...] = Field(min_length=1, description="variables to learn from")
    train: tuple[str, str] = Field(description="first and last time (or index) of training")
    validate_: tuple[str, str] | None = Field(
        default=None, alias="validate", description="first and last time (or index) of validation"
    )
    licence: str = Field(default="unspecified", description="whose data it is, for the card")
    weight: float = Field(default=1.0, gt=0, description="share of patches, relative to the others")
    signed: bool = Field(
        default=False, description="the field's sign may be flipped (components of a vector)"
    )
    largest: float | None = Field(default=None, description="values above this are missing")
    least_varied: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of a patch's coarse cells that must differ from zero (rain)",
    )


class Data(Settings):
    """Where fields come from and how patches are cut."""

    folder: str = Field(
        default_factory=lambda: os.environ.get("FLEXCLIM_DATA", "data"),
        description="folder of the sources; FLEXCLIM_DATA where not given",
    )
    sources: tuple[Source, ...] = Field(min_length=1)
    factors: dict[int, float] = Field(
        default={4: 1.0}, description="refinement factors, with the share of patches of each"
    )
    points: float = Field(
        default=0.4, ge=0, le=1, description="share of patches coarsened as a grid of points"
    )


class Network(Settings):
    """Sizes of the FLEX network (see flexclim.nn.flex.FlexConfig)."""

    tile: tuple[int, int] = (64, 64)
    model_channels: tuple[int, ...] = (32, 64, 128)
    res_blocks: tuple[int, ...] = (2, 2, 2)
    depth: int = 5
    num_heads: int = 4
    mlp_ratio: float = 2.0
    dropout: float = 0.0
    unshuffle: int = 2


class Process(Settings):
    """The diffusion process (see flexclim.nn.diffusion.Diffusion) and the sampler."""

    prediction: Literal["v", "eps", "x"] = "v"
    loss: Literal["squared", "absolute"] = "squared"
    shift: float = Field(default=1.0, gt=0)
    method: Literal["ddim", "euler"] = "euler"
    steps: int = Field(default=2, ge=1, description="sampler steps that downscale takes")


class Ensemble(Settings):
    """Fine-tuning of the few-step sampler itself on the fair CRPS of its members."""

    steps: int = Field(default=0, ge=0, description="training steps of this stage")
    members: int = Field(default=2, ge=2, le=4)
    learning_rate: float = Field(default=1e-4, gt=0)
    ema: float = Field(default=0.98, ge=0, lt=1, description="decay of this stage's averages")
    gradient: float = Field(default=0.5, ge=0, description="weight of the CRPS of gradients")
    mean: float = Field(
        default=0.5, ge=0, description="weight of the squared error of the first step's estimate"
    )
    spectrum: float = Field(
        default=0.0, ge=0, description="weight of the log-spectral distance of members"
    )


class Trainer(Settings):
    """How long and how fast."""

    steps: int = Field(default=3000, ge=1)
    batch: int = Field(default=16, ge=1, description="patches a step, over all ranks")
    accumulate: int = Field(
        default=1, ge=1, description="parts in which a rank takes its share of a batch"
    )
    optimizer: Literal["adamw", "lion"] = "adamw"
    learning_rate: float = Field(default=4e-4, gt=0, description="its peak; a third for lion")
    warmup: int = Field(default=200, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(default=0.01, ge=0)
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    ema: float = Field(default=0.999, ge=0, lt=1, description="decay of the averaged weights")
    precision: Literal["float32", "bf16", "fp16"] = Field(
        default="float32", description="of convolutions and products; weights stay float32"
    )
    checkpointing: bool = Field(
        default=False, description="compute activations again on the way back: slower, less memory"
    )
    compile: bool = Field(default=False, description="torch.compile; minutes before the first step")
    validate_every: int = Field(
        default=250, ge=1, description="steps between losses at fixed t and noise on other times"
    )
    validation_patches: int = Field(default=96, ge=1)
    score_every: int = Field(
        default=500, ge=1, description="steps between scores of a sampled ensemble"
    )
    score_members: int = Field(default=8, ge=2, description="members of that ensemble")
    save_every: int = Field(default=100, ge=1, description="steps between checkpoints")
    keep: int = Field(default=2, ge=1, description="checkpoints that are kept")
    patience: int = Field(
        default=10, ge=1, description="steps in a row without a finite gradient before giving up"
    )
    seed: int = 0
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        default=(), description="beside log.csv, which is always written"
    )


class Recipe(Settings):
    """A whole training run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    description: str = ""
    licence: str = "unspecified"
    data: Data
    network: Network = Network()
    diffusion: Process = Process()
    ensemble: Ensemble = Ensemble()
    trainer: Trainer = Trainer()
    output: str = Field(default="", description="folder of the run; empty: runs/NAME")

    @property
    def folder(self) -> Path:
        """Folder of checkpoints, log and finished model."""
        return Path(self.output or f"runs/{self.name}")


def load_recipe(path: str | Path, overrides: tuple[str, ...] | list[str] = ()) -> Recipe:
    """Read a recipe by file or by name.

    Parameters
    ----------
    path
        A YAML file, or the name of a recipe that ships (``flexclim recipes`` lists them).
    overrides
        Settings of the form ``trainer.steps=200``; values are YAML.

    Raises
    ------
    RecipeError
        If the file can't be read, or a setting is unknown or wrong.
    """
    values = _read(find_recipe(path))
    for override in overrides:
        _override(values, override)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(_explain(error)) from None


def find_recipe(path: str | Path) -> Path:
    """Return the file of a recipe given by path or by name."""
    given = Path(path)
    if given.is_file():
        return given
    shipped = {file.stem: file for file in sorted(recipes_folder().glob("*.yaml"))}
    if str(path) in shipped:
        return shipped[str(path)]
    raise RecipeError(
        f"there is no recipe {str(path)!r}: give a YAML file, or one of {', '.join(shipped)}."
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"{path} can't be read as YAML: {reason}") from None
    if not isinstance(values, dict):
        raise RecipeError(f"{path} holds no settings; a recipe starts with 'name: ...'.")
    return values


def _override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise RecipeError(f"{override!r} is not of the form section.setting=value.")
    *sections, last = key.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"{key} can't be set: {section} is not a section.")
        values = inner
    values[last] = yaml.safe_load(text)


def _explain(error: ValidationError) -> str:
    """Turn the first complaint into one line that names the setting."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _known_settings(first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        parent = "".join(f"{part}." for part in first["loc"][:-1])
        hint = f"did you mean {parent}{near[0]}?" if near else f"known are {', '.join(known)}."
        return f"{place} is not a setting; {hint}"
    if first["type"] == "missing":
        return f"{place} is missing from the recipe."
    return f"{place} = {first['input']!r} does not do: {first['msg']}."


def _known_settings(location: tuple[int | str, ...]) -> list[str]:
    model: Any = Recipe
    for part in location:
        if part == "sources":
            model = Source
        elif isinstance(part, str):
            model = model.model_fields[part].annotation
    return [field.alias or name for name, field in model.model_fields.items()]
