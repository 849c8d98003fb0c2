"""The content of a checkpoint: everything that a run needs to continue exactly."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

import torch
from pydantic import ConfigDict, Field, JsonValue, TypeAdapter
from torch import Tensor
from torch.optim import Optimizer

from flexclim.errors import FlexclimError, RecipeError
from flexclim.nn import weights_file
from flexclim.nn.flex import Flex
from flexclim.train.data.model_settings import Normalisation, model_settings
from flexclim.train.loop.averages import Averages
from flexclim.train.loop.checkpoint_files import Content
from flexclim.train.recipes.reading import rename_old_settings
from flexclim.train.recipes.recipe import Recipe

# Settings that must not change when a run is resumed; all others may.
FIXED = "network", "data", "diffusion", "start"
FIXED_OF_TRAINER = "optimizer", "batch", "seed", "steps", "only"
CHANGEABLE_OF_DATA = "folder", "workers"
# Errors that reading a checkpoint of another version may raise.
FOREIGN = AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError


@dataclass
class RunState:
    """Progress and scores of a run.

    Parameters
    ----------
    step, seconds
        Steps taken, and the time spent in them.
    nonfinite_steps
        Steps in a row, up to now, that were skipped because the gradient was not finite.
    best_step, best_scores
        Step of the best validation CRPS, and the scores there; step 0: no CRPS was finite.
    stale
        Scores in a row, up to now, without a better CRPS.
    losses
        Latest validation losses.
    """

    __pydantic_config__ = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )

    step: int = 0
    seconds: float = 0.0
    # Checkpoints call it "bad".
    nonfinite_steps: Annotated[int, Field(alias="bad")] = 0
    best_step: int = 0
    stale: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    best_scores: dict[str, float] = field(default_factory=dict)


_STATE = TypeAdapter(RunState)


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint that matches the recipe."""

    state: RunState
    fitted: Normalisation
    content: Content

    def restore(
        self,
        network: Flex,
        optimizer: Optimizer,
        averages: Averages,
        scaler: torch.amp.GradScaler,
    ) -> None:
        """Restore weights, averages and the optimizer's state.

        Settings that may change when a run is resumed (decay of averages and weights, precision)
        keep their new values.
        """
        try:
            put_weights(network, self.content)
            decay = averages.decay
            averages.load_state_dict(self.content["averages"])
            averages.decay = decay
            for part in self.content["averages"]["shadow_params"]:
                _check_numbers(part, "averages")
            settings = [
                {name: value for name, value in group.items() if name != "params"}
                for group in optimizer.param_groups
            ]
            _check_types(self.content["optimizer"]["state"])
            optimizer.load_state_dict(self.content["optimizer"])
            for group, own in zip(optimizer.param_groups, settings, strict=True):
                group.update(own)
            _check_moments(optimizer)
            if self.content["scaler"]:  # empty where the precision was not fp16
                scaler.load_state_dict(self.content["scaler"])
        except FlexclimError:
            raise
        except FOREIGN as error:
            reason = " ".join(str(error).split())[:200]
            raise RecipeError(
                "the checkpoint was not written by this version of flexclim: "
                f"{reason or type(error).__name__}; set output to another folder."
            ) from None


def put_weights(network: Flex, content: Content) -> None:
    """Load the weights of a checkpoint into a network.

    Raises
    ------
    FlexclimError
        If they belong to another network, or are not finite.
    """
    found = content.get("network")
    if not isinstance(found, dict) or not all(isinstance(p, Tensor) for p in found.values()):
        raise RecipeError("the checkpoint holds no weights; set output to another folder.")
    own = {name: tuple(part.shape) for name, part in network.state_dict().items()}
    weights_file.check_shapes(
        own, {name: tuple(p.shape) for name, p in found.items()}, "the checkpoint"
    )
    for name, part in found.items():
        _check_numbers(part, name)
    network.load_state_dict(found)


def _check_types(state: dict[int, dict[str, object]]) -> None:
    """Check that moments are float32 tensors: torch would accept or round others silently."""
    for own in state.values():
        for name, part in own.items():
            found = part.dtype if isinstance(part, Tensor) else type(part).__name__
            if found != torch.float32:
                raise RecipeError(
                    f"the checkpoint has {name} of {found}, not float32; set output to "
                    "another folder."
                )


def _check_moments(optimizer: Optimizer) -> None:
    """Check that moments have the shapes of their weights: torch would fail steps later."""
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
    fitted: Normalisation,
    state: RunState,
    network: Flex,
    optimizer: Optimizer,
    averages: Averages,
    scaler: torch.amp.GradScaler,
) -> Content:
    """Return the content of a checkpoint."""
    text = {
        "recipe": plain(recipe),
        "fitted": fitted,
        "standing": _STATE.dump_python(state, by_alias=True),
    }
    return {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "averages": averages.state_dict(),
        "scaler": scaler.state_dict(),
        "text": json.dumps(text),
    }


def unpack(content: Content, recipe: Recipe) -> Snapshot:
    """Read the content of a checkpoint.

    Raises
    ------
    RecipeError
        If it belongs to another recipe.
    """
    try:
        text = json.loads(content["text"])
        state = _STATE.validate_json(json.dumps(text["standing"]))
        # Settings that an earlier version did not have take their defaults.
        earlier, now = Recipe.model_validate(rename_old_settings(text["recipe"])), recipe
    except FOREIGN:
        raise _of_another_version(recipe) from None
    for section in FIXED:
        _compare(plain(earlier).get(section), plain(now)[section], section, recipe)
    for name in FIXED_OF_TRAINER:
        before, after = (one.trainer.model_dump(mode="json")[name] for one in (earlier, now))
        _compare(before, after, f"trainer.{name}", recipe)
    # Its value may change, but with it the network has one more label.
    dropouts = earlier.trainer.label_dropout, now.trainer.label_dropout
    if not all(dropouts):
        _compare(*dropouts, "trainer.label_dropout", recipe)
    try:
        fitted = cast("Normalisation", text["fitted"])
        model_settings(recipe, fitted)
    except FOREIGN:
        raise _of_another_version(recipe) from None
    return Snapshot(state, fitted, content)


def _of_another_version(recipe: Recipe) -> RecipeError:
    return RecipeError(
        f"the checkpoint in {recipe.folder} was not written by this version of flexclim; set "
        "output to another folder."
    )


def plain(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON values."""
    return recipe.model_dump(mode="json", by_alias=True)


def _compare(then: JsonValue, now: JsonValue, place: str, recipe: Recipe) -> None:
    """Raise an error for the first setting that differs."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name in {**then, **now}:
            if not (place == "data" and name in CHANGEABLE_OF_DATA):
                _compare(then.get(name), now.get(name), f"{place}.{name}", recipe)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, pair in enumerate(zip(then, now, strict=True)):
            _compare(*pair, f"{place}.{index}", recipe)
    elif then != now:
        raise RecipeError(
            f"{recipe.folder} holds a run with {place} = {_short(then)}, not {_short(now)}; "
            "set output to another folder, or restore the recipe."
        )


def _short(value: JsonValue) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:57]}..."
