"""The model that a run starts from: it must read and predict as many channels as the recipe."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from typing import Protocol

from torch import Tensor, nn

from flexclim.errors import FlexclimWarning, ModelError, RecipeError
from flexclim.models.model import Model, load_model, read_model
from flexclim.nn import weights_file
from flexclim.nn.configuration import Architecture
from flexclim.nn.flex import Flex
from flexclim.train.data.model_settings import network_settings
from flexclim.train.recipes.recipe import Recipe

Roles = dict[str, tuple[str, ...]]

READS_LABEL = "cond_embed.0.weight"  # end of the names of weights that read the label
FREE = ("dropout", "other_tiles")  # settings of a network that may differ from those of the model


class Named(Protocol):
    """A channel, or a part of the label."""

    @property
    def name(self) -> str:
        """Its name."""


def check_start(recipe: Recipe) -> None:
    """Check that the model a recipe starts from fits it, before any data are read.

    Raises
    ------
    RecipeError
        If there is no such model, or its network differs from that of the recipe: what the model
        reads, and which setting to change. Where only the meaning of channels differs, a warning.
    """
    if not recipe.start:
        return
    try:
        model = read_model(recipe.start)
    except ModelError as error:
        raise RecipeError(f"start: {error}") from None
    _check_architecture(model, recipe)
    theirs, own = model.settings.network, network_settings(recipe)
    if theirs.conditions.keys() != own.conditions.keys():
        raise RecipeError(
            f"start: model {model.name!r} is for {' and '.join(theirs.conditions)}, the recipe "
            f"for {' and '.join(own.conditions)}. Set data.tasks to those of the model."
        )
    there, here = _roles(model), _roles_of_recipe(recipe)
    more = _extends(here["label"], there["label"])
    text = f"model {model.name!r} {_sentence(there)}; the recipe {_sentence(here)}"
    label_size = own.label_size if more else theirs.label_size
    sizes = theirs.conditions, theirs.channels, label_size
    if sizes != (own.conditions, own.channels, own.label_size):
        raise RecipeError(f"start: {text}. Set {' and '.join(_advice(there, here))}.")
    if there | ({"label": here["label"]} if more else {}) != here:
        warnings.warn(
            f"{text}. Check that the channels correspond, in this order.",
            FlexclimWarning,
            stacklevel=2,
        )


def starting_weights(start: str, network: Flex) -> dict[str, Tensor]:
    """Return the weights of a trained model whose network has the same sizes.

    A label that has become longer starts without effect: its new numbers have weights of 0.

    Parameters
    ----------
    start
        Name of a bundled model, or a model folder.

    Raises
    ------
    RecipeError
        If there is no such model, or its network has other sizes.
    """
    try:
        found = load_model(start).network.state_dict()
        size = network.config.label_size
        found |= {name: _widened(found[name], size) for name in found if name.endswith(READS_LABEL)}
        own = {name: tuple(part.shape) for name, part in network.state_dict().items()}
        weights_file.check_shapes(
            own, {name: tuple(part.shape) for name, part in found.items()}, f"model {start!r}"
        )
    except ModelError as error:
        raise RecipeError(f"start: {error}") from None
    return found


def _widened(weight: Tensor, size: int) -> Tensor:
    """Return a weight (E, L) with columns of zeros for further numbers of the label, (E, size)."""
    return nn.functional.pad(weight, (0, max(0, size - weight.shape[1])))


def _extends(label: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether a label starts with all parts of another and has more."""
    return len(label) > len(other) and tuple(label[: len(other)]) == tuple(other)


def _check_architecture(model: Model, recipe: Recipe) -> None:
    """Check sizes that do not depend on the data."""
    theirs, own = model.settings.network, recipe.network
    differing = [
        f"network.{name} to {_yaml(getattr(theirs, name))}, not {_yaml(getattr(own, name))}"
        for name in Architecture.model_fields
        if name not in FREE and getattr(theirs, name) != getattr(own, name)
    ]
    if differing:
        raise RecipeError(
            f"start: model {model.name!r} has another network. Set {'; '.join(differing)}."
        )


def _roles(model: Model) -> Roles:
    """Return what the channels of a model stand for, and its label."""
    settings = model.settings
    return {
        "inputs": _names(settings.inputs),
        "targets": _names(settings.targets),
        "statics": _names(settings.statics),
        "past": (str(settings.forecast.past),) if settings.forecast else (),
        "label": _names(settings.labels),
        "prediction": (settings.diffusion.prediction,),
    }


def _roles_of_recipe(recipe: Recipe) -> Roles:
    data = recipe.data
    label = list(_names(data.label_parts)) + ["given"] * bool(recipe.trainer.label_dropout)
    return {
        "inputs": _names(data.inputs),
        "targets": _names(data.all_targets),
        "statics": _names(data.statics),
        "past": (str(data.forecast.past),) if data.forecasts else (),
        "label": tuple(label),
        "prediction": (recipe.diffusion.prediction,),
    }


def _names(parts: Iterable[Named] | None) -> tuple[str, ...]:
    return tuple(part.name for part in parts or ())


def _sentence(roles: Roles) -> str:
    """Describe roles, such as ``reads u10, v10 and no static, predicts u10, v10``."""
    inputs, targets = (
        ", ".join(roles[role]) or "one variable at a time" for role in ("inputs", "targets")
    )
    past = f"{roles['past'][0]} snapshots of " if roles["past"] else ""
    statics, label = (", ".join(roles[role]) or "none" for role in ("statics", "label"))
    return (
        f"reads {past}{inputs} and the statics {statics}, predicts {targets} as "
        f"{roles['prediction'][0]}, and has the label {label}"
    )


def _advice(there: Roles, here: Roles) -> list[str]:
    """Return the settings with which a recipe has as many channels as a model."""
    settings = []
    for role, names in there.items():
        own = here[role]
        parts = ",".join(name for name in names if name != "given")
        if role in ("inputs", "targets") and len(names) != len(own):
            settings.append(f"data.{role} to {len(names)} variables such as [{parts}]")
        elif role in ("statics", "label") and names != own:
            settings.append(f"data.{role}=[{parts}]")
            if "given" in names and "given" not in own:
                settings.append("trainer.label_dropout=0.1")
        elif role == "past" and names != own:
            settings.append(f"data.forecast.past={names[0]}")
    return settings


def _yaml(value: object) -> str:
    """Format a setting as in a recipe.

    >>> _yaml((64, 64)), _yaml(False)
    ('[64, 64]', 'false')
    """
    return json.dumps(value)
