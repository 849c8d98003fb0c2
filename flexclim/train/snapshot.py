"""All that a run needs to go on as if it had never stopped, as tensors and JSON text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch.optim import Optimizer

from flexclim.errors import RecipeError
from flexclim.nn import weights
from flexclim.nn.flex import Flex
from flexclim.train.averages import Averages
from flexclim.train.recipe import Recipe

# Changing these would make another run of it; all else may change on the way.
FIXED = "network", "data", "diffusion", "start"
FIXED_OF_TRAINER = "optimizer", "batch", "seed", "steps"
PLACES = "folder", "workers"


@dataclass
class Standing:
    """Where a run stands.

    ``bad`` counts steps in a row that were skipped; ``seconds`` is time spent in steps; ``losses``
    and ``best_scores`` are of validation.
    """

    step: int = 0
    seconds: float = 0.0
    bad: int = 0
    best_step: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    best_scores: dict[str, float] = field(default_factory=dict)


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
        found = {name: tuple(part.shape) for name, part in self.content["network"].items()}
        own = {name: tuple(part.shape) for name, part in network.state_dict().items()}
        weights.check_shapes(own, found, "the checkpoint")
        network.load_state_dict(self.content["network"])
        decay = averages.decay
        averages.load_state_dict(self.content["averages"])
        averages.decay = decay
        settings = [_settings(group) for group in optimizer.param_groups]
        optimizer.load_state_dict(self.content["optimizer"])
        for group, own_settings in zip(optimizer.param_groups, settings, strict=True):
            group.update(own_settings)
        if self.content["scaler"]:  # empty where the precision was not fp16
            scaler.load_state_dict(self.content["scaler"])


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
        standing = Standing(**text["standing"])
        then, now = text["recipe"], plain(recipe)
    except (KeyError, TypeError, ValueError):
        raise RecipeError(
            f"the checkpoint in {recipe.folder} is not one of this version; set output to "
            "another folder."
        ) from None
    for section in FIXED:
        _compare(then.get(section), now[section], section, recipe)
    for name in FIXED_OF_TRAINER:
        _compare(then["trainer"].get(name), now["trainer"][name], f"trainer.{name}", recipe)
    return Snapshot(standing, text["fitted"], content)


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
