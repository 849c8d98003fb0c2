"""Normalisation, measured on patches of the training split.

Checkpoints hold the result, so a resumed run measures nothing again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from flexclim.cf.quantities import vector_component
from flexclim.errors import RecipeError
from flexclim.models.channels import COMPUTED, Label
from flexclim.models.settings import ModelSettings
from flexclim.sampling.network_inputs import transform
from flexclim.train.data.downscaling_patches import Patches
from flexclim.train.data.forecast_sequences import Sequences
from flexclim.train.data.model_settings import (
    Moments,
    Normalisation,
    VariableMoments,
    model_settings,
    unit_normalisation,
    unit_scales,
)
from flexclim.train.data.paired_source import PairedSource
from flexclim.train.data.source_fields import Fields
from flexclim.train.data.sources import TrainingSource
from flexclim.train.recipes.channel_settings import Channel
from flexclim.train.recipes.data_settings import Data
from flexclim.train.recipes.recipe import Recipe

BATCHES, SIZE = 24, 16  # batches, and patches in each, that the normalisation is measured on


def fit_normalisation(sources: Sequence[TrainingSource], recipe: Recipe) -> Normalisation:
    """Measure means, standard deviations and residual scales on the training split.

    Parameters
    ----------
    sources
        Of the training split.

    Returns
    -------
    Normalisation
        The mean of vector components is 0.

    Raises
    ------
    RecipeError
        If a variable is constant, or too few patches hold a factor or lead.
    """
    data = recipe.data
    fitted: Normalisation = {
        "inputs": {},
        "targets": {},
        "statics": {},
        "label": _label_moments(recipe),
        **unit_scales(recipe),
    }
    if data.named:
        inputs, targets = _sums(sources, recipe)
        first = sources[0]
        fitted["inputs"] = _variable_moments(data.inputs, first.input_fields, inputs)
        fitted["targets"] = _variable_moments(data.all_targets, first.target_fields, targets)
        _check_components(data, fitted)
        for predictor in data.statics:
            fitted["statics"][predictor.name] = _static_moments(predictor.name, sources)
    if data.downscales:
        fitted["residual_scale"] = _residual_scale(sources, recipe, fitted)
    if data.forecasts:
        fitted["change_scale"] = _change_scale(sources, recipe, fitted)
    kinds = {source.domain.kind for source in sources if isinstance(source, PairedSource)}
    fitted["grid"] = kinds.pop() if len(kinds) == 1 else None
    return fitted


def _label_moments(recipe: Recipe) -> dict[str, Moments]:
    """Return mean and standard deviation, over sources, of numbers given in ``sources.label``."""
    moments: dict[str, Moments] = {}
    for part in recipe.data.label_parts:
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


def _variable_moments(
    parts: Sequence[Channel], fields: Fields, sums: np.ndarray
) -> dict[str, VariableMoments]:
    """Turn (variable, 3) sums into moments, by name."""
    return {
        part.name: _moments(part.name, own, vector=_is_vector_component(part, fields))
        for part, own in zip(parts, sums, strict=True)
    }


def _check_components(data: Data, fitted: Normalisation) -> None:
    """Check that targets are vector components where their bases are."""
    for part in data.all_targets:
        if part.base_name is None or part.base_name not in fitted["inputs"]:
            continue
        vectors = {
            part.base_name: fitted["inputs"][part.base_name]["vector"],
            part.name: fitted["targets"][part.name]["vector"],
        }
        if len(set(vectors.values())) > 1:
            known, other = sorted(vectors, key=lambda name: not vectors[name])
            raise RecipeError(
                f"{known!r} is a component of a vector, and {other!r} is not known to be one. Give "
                f"the input {part.base_name} and the target {part.name} component: x or "
                "component: y."
            )


def _is_vector_component(part: Channel, fields: Fields) -> bool:
    """Return whether a variable is a vector component; the recipe takes precedence over names."""
    if part.component is not None:
        return part.component in ("x", "y")
    return vector_component(fields.named(part.name))


def _moments(name: str, sums: np.ndarray, *, vector: bool) -> VariableMoments:
    count, total, squares = sums
    mean = float(total / count)
    variance = max(0.0, float(squares / count) - mean**2)
    # For a constant the mean of squares differs from the squared mean by rounding.
    if variance <= 1e-12 * max(mean**2, 1e-30):
        raise RecipeError(
            f"{name!r} is {mean:.6g} in all training patches; leave the constant variable out, or "
            "check the file."
        )
    if vector:
        mean, variance = 0.0, float(squares / count)
    std = float(np.sqrt(variance))
    return {"mean": _short(mean), "std": _short(std), "vector": vector}


def _static_moments(name: str, sources: Sequence[TrainingSource]) -> Moments:
    fields = [source.statics[name] for source in sources if name in source.statics]
    if not fields or name in COMPUTED:
        return {"mean": 0.0, "std": 1.0}
    values = np.concatenate([field.ravel() for field in fields]).astype(float)
    return {"mean": _short(values.mean()), "std": _short(values.std() or 1.0)}


def _sums(sources: Sequence[TrainingSource], recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Return counts, sums and sums of squares (variable, 3) of transformed inputs and targets."""
    settings = model_settings(recipe, unit_normalisation(recipe))
    variables = settings.inputs or (), settings.targets or ()
    sums = tuple(np.zeros((len(parts), 3)) for parts in variables)
    for drawn in _drawn(sources, recipe, settings):
        for own, parts, stack in zip(sums, variables, drawn, strict=True):
            for index, variable in enumerate(parts):
                values = transform(np.asarray(stack[index], float), variable)
                values = values[np.isfinite(values)]
                own[index] += values.size, values.sum(), np.square(values).sum()
    return sums[0], sums[1]


def _drawn(
    sources: Sequence[TrainingSource], recipe: Recipe, settings: ModelSettings
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield inputs and targets (variable, ...) of many patches."""
    data, seed = recipe.data, recipe.trainer.seed
    places = [(step, position) for step in range(BATCHES) for position in range(SIZE)]
    if data.downscales:
        patches = Patches(sources, data, settings, seed)
        for place in places:
            one = patches.draw(*place)
            yield one.coarse, one.window.truth
        return
    sequences = Sequences(sources, data, settings, seed)
    order = [part.name for part in data.all_targets]
    for place in places:
        fields = np.moveaxis(sequences.draw(*place).fields, 1, 0)
        yield np.stack([fields[order.index(part.name)] for part in data.inputs]), fields


def _residual_scale(
    sources: Sequence[TrainingSource], recipe: Recipe, fitted: Normalisation
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
                f"none of {20 * BATCHES * SIZE} patches had factor {factor} and values of all "
                "targets; give it a larger share in data.factors, or leave it out."
            )
    return {
        str(factor): [_rounded(total, count) for total, count in zip(*both, strict=True)]
        for factor, both in sums.items()
    }


def _change_scale(
    sources: Sequence[TrainingSource], recipe: Recipe, fitted: Normalisation
) -> list[list[float]]:
    """Return the standard deviation of each target's scaled change, by lead."""
    data = recipe.data
    settings = model_settings(recipe, fitted)
    sequences = Sequences(sources, data, settings, recipe.trainer.seed)
    leads = list(data.forecast.hours)
    sums = {lead: np.zeros((2, len(data.all_targets))) for lead in leads}
    for step in range(BATCHES):
        for position in range(SIZE):
            # `fitted` still has change scales of 1, so these are changes in standard deviations.
            drawn = sequences.draw(step, position)
            sums[drawn.lead] += _squares(sequences.scaled(drawn).residual)
    for lead, both in sums.items():
        if not both[1].all():
            raise RecipeError(
                f"none of {BATCHES * SIZE} patches had lead {lead:g} h and values of all targets; "
                f"do the sources have {data.forecast.past + 1} times that far apart? Give the lead "
                "a larger share in data.forecast.leads, or leave it out."
            )
    return [[_rounded(*pair) for pair in zip(*sums[lead], strict=True)] for lead in leads]


def _squares(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (T,) sums of squares and counts of (T, H, W) values, ignoring NaN."""
    known = np.isfinite(truth)
    squares = np.square(truth, where=known, out=np.zeros_like(truth))
    return squares.sum((1, 2), dtype=float), known.sum((1, 2))


def _rounded(total: float, count: float) -> float:
    if total == 0:
        return 1.0
    size = float(np.sqrt(total / count))
    return round(size, 3) if size >= 0.1 else float(f"{size:.3g}")


def _short(value: float) -> float:
    return float(f"{value:.6g}")
