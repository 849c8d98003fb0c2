"""All that a run needs to go on as if it had never stopped, as tensors and JSON text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from pydantic import ConfigDict, TypeAdapter
from torch import Tensor
from torch.optim import Optimizer

from flexclim.errors import FlexclimError, RecipeError
from flexclim.nn import weights_file as weights
from flexclim.nn.flex import Flex
from flexclim.train.data.normalisation import model_settings
from flexclim.train.loop.averages import Averages
from flexclim.train.recipes.reading import rename_old_settings
from flexclim.train.recipes.recipe import Recipe

# Changing these would make another run of it; all else may change on the way.
FIXED = "network", "data", "diffusion", "start"
FIXED_OF_TRAINER = "optimizer", "batch", "seed", "steps", "only"
PLACES = "folder", "workers"
# What content that this version did not write may raise.
FOREIGN = AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError


@dataclass
class Standing:
    """Where a run stands.

    ``bad`` counts steps in a row that were skipped; ``seconds`` is time spent in steps; ``losses``
    and ``best_scores`` are of validation.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    step: int = 0
    seconds: float = 0.0
    bad: int = 0
    best_step: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    best_scores: dict[str, float] = field(default_factory=dict)


_STANDING = TypeAdapter(Standing)


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint that fits the recipe."""

    standing: Standing
    fitted: dict[str, Any]
    content: dict[str, Any]

    def restore(
        self,
        network: Flex,
        optimizer: Optimizer,
        averages: Averages,
        scaler: torch.amp.GradScaler,
    ) -> None:
        """Put weights, averages and the optimizer's state in place.

        What the recipe may change on the way (decay of averages and weights, precision) stays as
        the new ones were made.
        """
        try:
            put_weights(network, self.content)
            decay = averages.decay
            averages.load_state_dict(self.content["averages"])
            averages.decay = decay
            for part in self.content["averages"]["shadow_params"]:
                _check_numbers(part, "averages")
            settings = [_settings(group) for group in optimizer.param_groups]
            _check_types(self.content["optimizer"]["state"])
            optimizer.load_state_dict(self.content["optimizer"])
            for group, own_settings in zip(optimizer.param_groups, settings, strict=True):
                group.update(own_settings)
            _check_moments(optimizer)
            if self.content["scaler"]:  # empty where the precision was not fp16
                scaler.load_state_dict(self.content["scaler"])
        except FlexclimError:
            raise
        except FOREIGN as error:
            reason = " ".join(str(error).split())[:200]
            raise RecipeError(
                f"the checkpoint is not one of this version: {reason or type(error).__name__}; "
                "set output to another folder."
            ) from None


def put_weights(network: Flex, content: dict[str, Any]) -> None:
    """Put the weights that a checkpoint holds into a network.

    Raises
    ------
    FlexclimError
        If they are of another network, or not finite.
    """
    found = content.get("network")
    if not isinstance(found, dict) or not all(isinstance(p, Tensor) for p in found.values()):
        raise RecipeError("the checkpoint holds no weights; set output to another folder.")
    own = {name: tuple(part.shape) for name, part in network.state_dict().items()}
    weights.check_shapes(own, {name: tuple(p.shape) for name, p in found.items()}, "the checkpoint")
    for name, part in found.items():
        _check_numbers(part, name)
    network.load_state_dict(found)


def _check_types(state: dict[int, dict[str, Any]]) -> None:
    """Refuse moments that are not float32 tensors; torch would take or round them in silence."""
    for own in state.values():
        for name, part in own.items():
            found = part.dtype if isinstance(part, Tensor) else type(part).__name__
            if found != torch.float32:
                raise RecipeError(
                    f"the checkpoint has {name} of {found}, not float32; set output to "
                    "another folder."
                )


def _check_moments(optimizer: Optimizer) -> None:
    """Refuse moments that do not go with their weights; torch would fail steps later."""
    for group in optimizer.param_groups:
        for own in group["params"]:
            for name, part in optimizer.state[own].items():
                if isinstance(part, Tensor) and part.ndim and part.shape != own.shape:
                    raise RecipeError(
                        f"the checkpoint has {name} of shape {tuple(part.shape)} for weights of "
                        f"{tuple(own.shape)}; set output to another folder."
                    )
                if isinstance(part, Tensor):
                    _check_numbers(part, name)


def _check_numbers(values: Tensor, name: str) -> None:
    whole = values.layout == torch.strided and values.is_floating_point()
    if not whole or values.is_meta or not torch.isfinite(values).all():
        raise RecipeError(
            f"the checkpoint's {name} are not all finite numbers; set output to another folder."
        )


def pack(
    recipe: Recipe,
    fitted: dict[str, Any],
    standing: Standing,
    network: Flex,
    optimizer: Optimizer,
    averages: Averages,
    scaler: torch.amp.GradScaler,
) -> dict[str, Any]:
    """Return the content of a checkpoint."""
    text = {"recipe": plain(recipe), "fitted": fitted, "standing": asdict(standing)}
    return {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "averages": averages.state_dict(),
        "scaler": scaler.state_dict(),
        "text": json.dumps(text),
    }


def unpack(content: dict[str, Any], recipe: Recipe) -> Snapshot:
    """Read a checkpoint's content.

    Raises
    ------
    RecipeError
        If it is of another recipe.
    """
    try:
        text = json.loads(content["text"])
        standing = _STANDING.validate_json(json.dumps(text["standing"]))
        # What an earlier version did not know yet is at its default.
        then, now = plain(Recipe.model_validate(rename_old_settings(text["recipe"]))), plain(recipe)
        stages = dict(then["trainer"])
    except FOREIGN:
        raise _of_another_version(recipe) from None
    for section in FIXED:
        _compare(then.get(section), now[section], section, recipe)
    for name in FIXED_OF_TRAINER:
        _compare(stages.get(name), now["trainer"][name], f"trainer.{name}", recipe)
    try:
        fitted = text["fitted"]
        model_settings(recipe, fitted)
    except FOREIGN:
        raise _of_another_version(recipe) from None
    return Snapshot(standing, fitted, content)


def _of_another_version(recipe: Recipe) -> RecipeError:
    return RecipeError(
        f"the checkpoint in {recipe.folder} is not one of this version; set output to another "
        "folder."
    )


def plain(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON values."""
    return recipe.model_dump(mode="json", by_alias=True)


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    """Return what a group of parameters holds beside them."""
    return {name: value for name, value in group.items() if name != "params"}


def _compare(then: Any, now: Any, place: str, recipe: Recipe) -> None:
    """Refuse a setting that differs, naming the first."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name in now:
            if not (place == "data" and name in PLACES):
                _compare(then.get(name), now[name], f"{place}.{name}", recipe)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, pair in enumerate(zip(then, now, strict=True)):
            _compare(*pair, f"{place}.{index}", recipe)
    elif then != now:
        raise RecipeError(
            f"{recipe.folder} holds a run with {place} = {_short(then)}, not {_short(now)}; "
            "set output to another folder, or restore the recipe."
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:57]}..."
