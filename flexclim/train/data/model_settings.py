"""The settings of the model to be trained, from a recipe and what was measured on its data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from pydantic import ValidationError

from flexclim.errors import RecipeError
from flexclim.grids.domain import Kind
from flexclim.models.channels import Label, Static, Target, Variable
from flexclim.models.settings import FORECAST, SUPERRES, Forecasting, ModelSettings
from flexclim.nn.configuration import DiffusionSettings, NetworkSettings
from flexclim.train.recipes.data_settings import Data
from flexclim.train.recipes.recipe import Recipe


class Moments(TypedDict):
    """Mean and standard deviation."""

    mean: float
    std: float


class VariableMoments(Moments):
    """Moments of transformed values, and whether the variable is a vector component."""

    vector: bool


class Normalisation(TypedDict, total=False):
    """Numbers measured on the training split, as JSON values: checkpoints hold them.

    ``inputs``, ``targets``, ``statics``, ``label`` and ``units`` are by name. ``residual_scale`` by
    factor and ``change_scale`` by lead hold one number per target. ``grid`` is the kind of grid of
    pairs.
    """

    inputs: dict[str, VariableMoments]
    targets: dict[str, VariableMoments]
    statics: dict[str, Moments]
    label: dict[str, Moments]
    units: dict[str, str]
    residual_scale: dict[str, list[float]]
    change_scale: list[list[float]]
    grid: Kind | None


def model_settings(recipe: Recipe, fitted: Normalisation) -> ModelSettings:
    """Return the settings of the model, as sampling with the trained network needs them.

    The halo is a quarter of a tile, as locally scaled residuals are correlated over a few coarse
    cells. Block means are conserved, except for pairs, whose two models differ.
    """
    data = recipe.data
    inputs, targets = _variables(data, fitted)
    return ModelSettings(
        network=network_settings(recipe),
        diffusion=_diffusion(recipe),
        method=recipe.diffusion.method,
        steps=recipe.diffusion.steps,
        noise_amplitude=recipe.diffusion.noise_amplitude,
        scaling=data.scaling,
        residual_scale={
            int(factor): tuple(values) for factor, values in fitted["residual_scale"].items()
        },
        label=_label(recipe, fitted),
        operator="block_mean",
        conserve=data.times == 1
        and not any(source.coarse or source.predictors for source in data.sources),
        perfect_prognosis=data.perfect_prognosis,
        halo=min(recipe.network.tile) // 4,
        grid=fitted.get("grid"),
        factors=tuple(sorted(data.factors)) if data.downscales else (),
        times=data.times,
        forecast=_forecasting(recipe, fitted),
        inputs=inputs or None,
        targets=targets or None,
        statics=tuple(
            Static(name=part.name, **fitted["statics"][part.name]) for part in data.statics
        ),
    )


def _variables(
    data: Data, fitted: Normalisation
) -> tuple[tuple[Variable, ...], tuple[Target, ...]]:
    inputs = tuple(
        Variable(
            name=part.name, transform=part.transform, unit=part.unit, **fitted["inputs"][part.name]
        )
        for part in data.inputs
    )
    targets = tuple(
        Target(
            name=part.name,
            transform=part.transform,
            unit=part.unit,
            **fitted["targets"][part.name],
            base=part.base_name,
            non_negative=part.non_negative,
        )
        for part in data.all_targets
    )
    return inputs, targets


def unit_normalisation(recipe: Recipe) -> Normalisation:
    """Return a normalisation that changes no value, to measure the real one with."""
    data = recipe.data
    unit: VariableMoments = {"mean": 0.0, "std": 1.0, "vector": False}
    return {
        "inputs": {part.name: unit for part in data.inputs},
        "targets": {part.name: unit for part in data.all_targets},
        "statics": {part.name: {"mean": 0.0, "std": 1.0} for part in data.statics},
        **unit_scales(recipe),
    }


def unit_scales(recipe: Recipe) -> Normalisation:
    """Return scales of 1 for residuals and changes."""
    data = recipe.data
    ones = [1.0] * max(1, len(data.all_targets))
    return {
        "residual_scale": {str(factor): ones for factor in data.factors if data.downscales},
        "change_scale": [ones] * len(data.forecast.leads) if data.forecasts else [],
    }


def check_network(recipe: Recipe) -> None:
    """Check that the network suits the data section, before any data is read.

    Raises
    ------
    RecipeError
        If a factor does not divide the tile, or there are too many variables or entries of the
        label.
    """
    network = network_settings(recipe)
    if not recipe.data.downscales:
        return
    stride = math.lcm(*recipe.data.factors, network.stride)
    for number, tile in enumerate(recipe.network.tiles):
        name = "other_tiles" if number else "tile"
        for factor in recipe.data.factors:
            if any(side % factor for side in tile):
                fits = [stride * max(1, round(side / stride)) for side in tile]
                raise RecipeError(
                    f"network.{name} = [{tile[0]}, {tile[1]}] is not a multiple of data.factors "
                    f"{factor}; set network.{name} to [{fits[0]}, {fits[1]}]."
                )


def network_settings(recipe: Recipe) -> NetworkSettings:
    """Return the sizes of the network; numbers of channels follow from the variables.

    Raises
    ------
    RecipeError
        If there are too many variables or entries of the label.
    """
    data = recipe.data
    channels = max(1, len(data.all_targets))
    statics = sum(Static(name=part.name).channels for part in data.statics)
    read = {SUPERRES: max(1, len(data.inputs)), FORECAST: data.forecast.past * channels}
    label = sum(part.size for part in _labels(recipe, {}))
    try:
        return NetworkSettings(
            **recipe.network.model_dump(),
            channels=channels,
            conditions={task: read[task] + statics for task in data.tasks},
            label_size=max(1, label),
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("network", *first["loc"])))
        raise RecipeError(f"{place} = {first['input']!r} is not valid: {first['msg']}.") from None


def _diffusion(recipe: Recipe) -> DiffusionSettings:
    process = recipe.diffusion
    return DiffusionSettings(prediction=process.prediction, loss=process.loss, shift=process.shift)


def _label(recipe: Recipe, fitted: Normalisation) -> Literal["factor", "none"] | tuple[Label, ...]:
    """Return the entries of the label; a word for the usual ones."""
    parts = _labels(recipe, fitted.get("label", {}))
    if not parts:
        return "none"
    return "factor" if parts == (Label(name="factor"),) else parts


def _labels(recipe: Recipe, moments: Mapping[str, Moments]) -> tuple[Label, ...]:
    parts = [
        Label.model_validate(part.model_dump() | dict(moments.get(part.name, {})))
        for part in recipe.data.label_parts
    ]
    if recipe.trainer.label_dropout:
        parts.append(Label(name="given"))
    return tuple(parts)


def _forecasting(recipe: Recipe, fitted: Normalisation) -> Forecasting | None:
    if not recipe.data.forecasts:
        return None
    forecast = recipe.data.forecast
    changes: Sequence[Sequence[float]] = fitted["change_scale"]
    return Forecasting(
        past=forecast.past,
        leads=tuple(forecast.hours),
        residual_scale=tuple(map(tuple, changes)),
    )
