"""From a recipe and its training data to the settings of a model.

What is fitted comes from patches of the training split only and is stored with checkpoints, so
that resuming fits nothing anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from flexclim.cf.quantities import vector_component
from flexclim.errors import RecipeError
from flexclim.models.settings import (
    FORECAST,
    SUPERRES,
    Forecasting,
    Label,
    ModelSettings,
    Static,
    Target,
    Variable,
)
from flexclim.nn.configuration import DiffusionSettings, NetworkSettings
from flexclim.sampling.network_inputs import transform
from flexclim.train.data.pairs import Pair
from flexclim.train.data.patches import Patches
from flexclim.train.data.sequences import Sequences
from flexclim.train.data.sources import Fields
from flexclim.train.data.splits import TrainingSource
from flexclim.train.recipes.data_settings import Input
from flexclim.train.recipes.recipe import Recipe

Fitted = dict[str, Any]  # only numbers, texts, lists and dicts: it travels as JSON
BATCHES, SIZE = 24, 16  # patches that the normalisation is fitted on


def fit_normalisation(sources: Sequence[TrainingSource], recipe: Recipe) -> Fitted:
    """Measure what scaling needs, on patches of the training split.

    Parameters
    ----------
    sources
        Of training.

    Returns
    -------
    dict
        ``inputs`` and ``targets``: mean, standard deviation (of transformed values) and whether
        each is a vector's component, by name; ``statics`` and ``label``: mean and standard
        deviation; ``residual_scale`` by factor and ``change_scale`` by lead, one number a target;
        ``grid``: the kind of grid of pairs. A vector's mean is 0.

    Raises
    ------
    RecipeError
        If a variable does not vary.
    """
    fitted: Fitted = {"inputs": {}, "targets": {}, "statics": {}, "label": {}}
    data = recipe.data
    fitted["label"] = _label_moments(recipe)
    if data.named:
        inputs, targets = data.inputs, data.all_targets
        fields = _fields(sources[0])
        sums = _sums(sources, recipe)
        for group, parts, holder in (
            ("inputs", inputs, fields[0]),
            ("targets", targets, fields[1]),
        ):
            for part, moments in zip(parts, sums[group], strict=True):
                vector = vector_component(_field(part, holder))
                fitted[group][part.name] = _moments(part.name, moments, vector=vector)
        for predictor in data.statics:
            fitted["statics"][predictor.name] = _static_moments(predictor.name, sources)
    fitted |= _unit_scales(recipe)
    if data.downscales:
        fitted["residual_scale"] = _residual_scale(sources, recipe, fitted)
    if data.forecasts:
        fitted["change_scale"] = _change_scale(sources, recipe, fitted)
    kinds = {source.domain.kind for source in sources if isinstance(source, Pair)}
    fitted["grid"] = kinds.pop() if len(kinds) == 1 else None
    return fitted


def model_settings(recipe: Recipe, fitted: Fitted) -> ModelSettings:
    """Return what sampling with the trained network needs.

    The halo is a quarter of a tile: the local scaling leaves residuals that are correlated over a
    few coarse cells. Block means are restored, but not those of a pair, whose models differ.
    """
    data, process = recipe.data, recipe.diffusion
    inputs = tuple(
        Variable(**_variable(part), **fitted["inputs"][part.name]) for part in data.inputs
    )
    targets = tuple(
        Target(
            **_variable(part),
            **fitted["targets"][part.name],
            base=part.base_name,
            non_negative=part.non_negative,
        )
        for part in data.all_targets
    )
    statics = tuple(Static(name=part.name, **fitted["statics"][part.name]) for part in data.statics)
    return ModelSettings(
        network=_network(recipe),
        diffusion=DiffusionSettings(
            prediction=process.prediction, loss=process.loss, shift=process.shift
        ),
        method=process.method,
        steps=process.steps,
        scaling=data.scaling,
        residual_scale={
            int(factor): tuple(values) for factor, values in fitted["residual_scale"].items()
        },
        label=_label(recipe, fitted),
        operator="block_mean",
        conserve=not any(source.coarse for source in data.sources),
        halo=min(recipe.network.tile) // 4,
        grid=fitted.get("grid"),
        factors=tuple(sorted(data.factors)) if data.downscales else (),
        forecast=_forecasting(recipe, fitted),
        inputs=inputs or None,
        targets=targets or None,
        statics=statics,
    )


def check_network(recipe: Recipe) -> None:
    """Check the sizes of the network; needs no data.

    Raises
    ------
    RecipeError
        If one is out of bounds, or a factor does not divide the tile.
    ModelError
        If they do not fit together.
    """
    network = _network(recipe)
    if not recipe.data.downscales:
        return
    stride = math.lcm(*recipe.data.factors, network.stride)
    tile = recipe.network.tile
    for factor in recipe.data.factors:
        if any(side % factor for side in tile):
            fits = [stride * max(1, round(side / stride)) for side in tile]
            raise RecipeError(
                f"network.tile = [{tile[0]}, {tile[1]}] does not divide by data.factors {factor}; "
                f"set network.tile to [{fits[0]}, {fits[1]}]."
            )


def _network(recipe: Recipe) -> NetworkSettings:
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
        raise RecipeError(f"{place} = {first['input']!r} does not do: {first['msg']}.") from None


def _label(recipe: Recipe, fitted: Fitted) -> Literal["factor", "none"] | tuple[Label, ...]:
    """Return the parts of the label; the usual one in a word."""
    parts = _labels(recipe, fitted.get("label", {}))
    if not parts:
        return "none"
    return "factor" if parts == (Label(name="factor"),) else parts


def _labels(recipe: Recipe, moments: Mapping[str, Mapping[str, float]]) -> tuple[Label, ...]:
    parts = [
        Label.model_validate(part.model_dump() | dict(moments.get(part.name, {})))
        for part in recipe.data.told
    ]
    if recipe.trainer.label_dropout:
        parts.append(Label(name="given"))
    return tuple(parts)


def _label_moments(recipe: Recipe) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation over sources of numbers that only they tell."""
    moments = {}
    for part in recipe.data.told:
        if Label(name=part.name).coordinate:
            values = np.array([source.label[part.name] for source in recipe.data.sources])
            if part.logarithm:
                if not (values > 0).all():
                    raise RecipeError(
                        f"label {part.name} = {values.min():g} has no logarithm; give numbers "
                        "above 0, or set logarithm to false."
                    )
                values = np.log10(values)
            moments[part.name] = {"mean": _short(values.mean()), "std": _short(values.std() or 1.0)}
    return moments


def _forecasting(recipe: Recipe, fitted: Fitted) -> Forecasting | None:
    """Return how the model forecasts."""
    if not recipe.data.forecasts:
        return None
    forecast = recipe.data.forecast
    return Forecasting(
        past=forecast.past,
        leads=tuple(forecast.hours),
        residual_scale=tuple(map(tuple, fitted["change_scale"])),
    )


def _unit_scales(recipe: Recipe) -> Fitted:
    """Return scales of 1, before any is measured."""
    data = recipe.data
    ones = [1.0] * max(1, len(data.all_targets))
    return {
        "residual_scale": {str(factor): ones for factor in data.factors if data.downscales},
        "change_scale": [ones] * len(data.forecast.leads) if data.forecasts else [],
    }


def known_units(sources: Sequence[TrainingSource]) -> dict[str, str]:
    """Return the units of inputs and targets that the files tell, by name.

    Where an input and a target share a name, those of the input, which downscale reads; where
    sources differ, none.
    """
    found: dict[str, set[str]] = {}
    for source in sources:
        coarse, fine = _fields(source)
        own = {
            name: str(fields.attributes[name]["units"])
            for fields, names in ((fine, source.targets), (coarse, source.inputs))
            for name in names
            if fields.attributes[name].get("units")
        }
        for name, units in own.items():
            found.setdefault(name, set()).add(units)
    return {name: units.pop() for name, units in found.items() if len(units) == 1}


def _variable(part: Input) -> dict[str, Any]:
    return {"name": part.name, "transform": part.transform, "unit": part.unit}


def _fields(source: TrainingSource) -> tuple[Fields, Fields]:
    if isinstance(source, Pair):
        return source.coarse, source.fine
    return source.fields, source.fields


def _field(part: Input, fields: Fields) -> Any:
    field = fields.named(part.name)
    # What the recipe says of the direction goes before what names tell.
    return field.assign_attrs(standard_name="eastward_wind") if part.component else field


def _sums(sources: Sequence[TrainingSource], recipe: Recipe) -> dict[str, np.ndarray]:
    """Return (variable, 3) counts, sums and sums of squares of transformed values."""
    unit = {"mean": 0.0, "std": 1.0, "vector": False}
    data = recipe.data
    names = {"inputs": data.inputs, "targets": data.all_targets}
    fitted: Fitted = {group: {part.name: unit for part in parts} for group, parts in names.items()}
    fitted["statics"] = {part.name: {} for part in data.statics}
    fitted |= _unit_scales(recipe)
    settings = model_settings(recipe, fitted)
    sums = {group: np.zeros((len(parts), 3)) for group, parts in names.items()}
    for drawn in _drawn(sources, recipe, settings):
        for group, stack in drawn.items():
            for index, variable in enumerate(getattr(settings, group)):
                values = transform(np.asarray(stack[index], float), variable)
                values = values[np.isfinite(values)]
                sums[group][index] += values.size, values.sum(), np.square(values).sum()
    return sums


def _drawn(
    sources: Sequence[TrainingSource], recipe: Recipe, settings: ModelSettings
) -> Iterator[dict[str, np.ndarray]]:
    """Yield values of inputs and targets (variable, ...) of many patches."""
    data, seed = recipe.data, recipe.trainer.seed
    places = [(step, position) for step in range(BATCHES) for position in range(SIZE)]
    if data.downscales:
        patches = Patches(sources, data, settings, seed)
        for place in places:
            one = patches.draw(*place)
            yield {"inputs": one.coarse, "targets": one.window.truth}
        return
    sequences = Sequences(sources, data, settings, seed)
    order = [part.name for part in data.all_targets]
    for place in places:
        fields = np.moveaxis(sequences.draw(*place).fields, 1, 0)
        inputs = np.stack([fields[order.index(part.name)] for part in data.inputs])
        yield {"inputs": inputs, "targets": fields}


def _moments(name: str, sums: np.ndarray, *, vector: bool) -> dict[str, Any]:
    count, total, squares = sums
    mean = float(total / count)
    variance = max(0.0, float(squares / count) - mean**2)
    # Sums of squares of a constant differ from its square by rounding.
    if variance <= 1e-12 * max(mean**2, 1e-30):
        raise RecipeError(f"{name!r} does not vary: it is {mean:.6g} in all training patches.")
    if vector:
        mean, variance = 0.0, float(squares / count)
    std = float(np.sqrt(variance))
    return {"mean": _short(mean), "std": _short(std), "vector": vector}


def _static_moments(name: str, sources: Sequence[TrainingSource]) -> dict[str, float]:
    fields = [source.statics[name] for source in sources if name in source.statics]
    if not fields or name in ("solar_time", "day_of_year", "latitude"):
        return {"mean": 0.0, "std": 1.0}
    values = np.concatenate([field.ravel() for field in fields]).astype(float)
    return {"mean": _short(values.mean()), "std": _short(values.std() or 1.0)}


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _residual_scale(
    sources: Sequence[TrainingSource], recipe: Recipe, fitted: Fitted
) -> dict[str, list[float]]:
    """Return the standard deviation of each target's scaled residual, by factor."""
    patches = Patches(sources, recipe.data, model_settings(recipe, fitted), recipe.trainer.seed)
    targets = max(1, len(recipe.data.all_targets))
    sums = {factor: np.zeros((2, targets)) for factor in recipe.data.factors}
    for step in range(BATCHES * 20):
        if step >= BATCHES and all(both[1].all() for both in sums.values()):
            break
        for position in range(SIZE):
            drawn = patches.draw(step, position)
            _, truth = patches.scaled(drawn)
            sums[drawn.factor] += _squares(truth)
    for factor, both in sums.items():
        if not both[1].all():
            raise RecipeError(
                f"none of {20 * BATCHES * SIZE} patches was of factor {factor} and held all "
                "targets; give it a larger share in data.factors, or leave it out."
            )
    return {
        str(factor): [_rounded(total, count) for total, count in zip(*both, strict=True)]
        for factor, both in sums.items()
    }


def _change_scale(
    sources: Sequence[TrainingSource], recipe: Recipe, fitted: Fitted
) -> list[list[float]]:
    """Return the standard deviation of each target's scaled change, by lead."""
    data = recipe.data
    settings = model_settings(recipe, fitted)
    sequences = Sequences(sources, data, settings, recipe.trainer.seed)
    leads = list(data.forecast.hours)
    sums = {lead: np.zeros((2, len(data.all_targets))) for lead in leads}
    for step in range(BATCHES):
        for position in range(SIZE):
            # As learnt: in units of the standard deviation, and of 1 before scales are known.
            learnt = sequences.learnt(drawn := sequences.draw(step, position))
            sums[drawn.lead] += _squares(learnt["residual"])
    for lead, both in sums.items():
        if not both[1].all():
            raise RecipeError(
                f"none of {BATCHES * SIZE} patches was of lead {lead:g} h and held all targets; do "
                f"the sources have {data.forecast.past + 1} times that far apart? Give it a larger "
                "share in data.forecast.leads, or leave it out."
            )
    return [[_rounded(*pair) for pair in zip(*sums[lead], strict=True)] for lead in leads]


def _squares(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (T,) sums of squares and counts of (T, H, W) values, NaN left out."""
    known = np.isfinite(truth)
    squares = np.square(truth, where=known, out=np.zeros_like(truth))
    return squares.sum((1, 2), dtype=float), known.sum((1, 2))


def _rounded(total: float, count: float) -> float:
    if total == 0:
        return 1.0
    size = float(np.sqrt(total / count))
    return round(size, 3) if size >= 0.1 else float(f"{size:.3g}")
