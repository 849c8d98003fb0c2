"""Calibrate a model's noise scale: ensemble spread should equal the error of the ensemble mean."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from pydantic import ValidationError

from flexclim import verify
from flexclim.cf.fields import as_dataset
from flexclim.downscaling import downscale
from flexclim.errors import FlexclimError, ModelError
from flexclim.forecasting import LEAD, REFERENCE, forecast
from flexclim.grids.discovery import find_grid
from flexclim.models.model import Model, load_model
from flexclim.models.settings import FORECAST, SUPERRES
from flexclim.planning.variable_groups import check_task
from flexclim.resampling import coarsen
from flexclim.stores import time_dimension
from flexclim.train.data.forecast_sequences import runs
from flexclim.train.recipes.data_settings import span_hours
from flexclim.train.recipes.reading import rename_old_settings
from flexclim.train.recipes.recipe import Recipe

LOG = logging.getLogger(__name__)
MARKS = {SUPERRES: "Calibrated: ", FORECAST: "Forecasts calibrated: "}
ROUNDS = 5
LARGEST = 100.0
SHARE = 0.1  # of the forward passes of training
STEP_PASSES = 3  # a training step takes about as long as three forward passes of its patches

Predict = Callable[[Model], xr.Dataset]


@dataclass(frozen=True)
class Trial:
    """Spread / skill and fair CRPS at one noise scale, averaged over variables."""

    noise_scale: float
    spread_skill: float
    crps: float


@dataclass(frozen=True)
class Calibration:
    """A model with its calibrated noise scale, and all trials, that of its earlier scale first."""

    model: Model
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The trial with spread / skill closest to 1."""
        return min(self.trials, key=_distance)


def calibrate(
    model: str | Model,
    truth: xr.Dataset | xr.DataArray,
    factor: int | None = None,
    *,
    lead: str | None = None,
    coarse: xr.Dataset | xr.DataArray | None = None,
    tolerance: float = 0.01,
    members: int = 8,
    share: float | None = SHARE,
    data: str = "",
    **options: Any,
) -> Calibration:
    """Find the noise scale at which the ensemble spread equals the error of the ensemble mean.

    The noise scale multiplies the distance of members from their one-step mean. Each trial
    downscales or forecasts whole fields as a user would, so the result holds for users. The two
    tasks of a model have separate scales.

    Parameters
    ----------
    model
        A name, a folder, or a loaded model, which is not changed.
    truth
        Fine fields at validation times, not used in training; a few times are enough.
    factor
        Refinement factor, to calibrate downscaling.
    lead
        Time step such as ``"6h"``, to calibrate forecasts instead: one step from each time of
        ``truth`` that is preceded by the snapshots that the model reads.
    coarse
        Input of downscaling; default: the block means of ``truth``. A model of perfect prognosis
        needs its predictors, at the times of ``truth``.
    tolerance
        Largest acceptable distance of spread / skill from 1.
    members
        Ensemble size.
    share
        Largest share of the forward passes of the model's training that five trials may take; of
        more times than that, evenly spaced ones are used, at least one. None: use all times.
    data
        Description of ``truth`` for the model card.
    options
        Options of :func:`flexclim.downscale` or :func:`flexclim.forecast`, such as ``seed``,
        ``static`` and ``steps``.

    Returns
    -------
    Calibration
        Its ``model`` has the new scale, and a sentence about it in the card's notes. Save it with
        ``model.save``.

    Raises
    ------
    ModelError
        If the scale does not change the spread, as with a one-step sampler, or the model cannot do
        the task.
    FlexclimError
        Unless exactly one of ``factor`` and ``lead`` is given, or if ``truth`` lacks variables or
        times.

    >>> found = calibrate("runs/gfs/model", truth, factor=4)  # doctest: +SKIP
    >>> found.model.save("calibrated")  # doctest: +SKIP
    """
    loaded = model if isinstance(model, Model) else load_model(model)
    fine = as_dataset(truth) if isinstance(truth, xr.DataArray) else truth
    if (factor is None) == (lead is None) or (lead is not None and coarse is not None):
        given = f"factor {factor}, lead {lead}, coarse {'given' if coarse is not None else None}"
        raise FlexclimError(f"{given}: give either factor (and, optionally, coarse) or lead.")
    task = SUPERRES if lead is None else FORECAST
    check_task(loaded, task)
    if loaded.settings.perfect_prognosis:
        if coarse is None:
            raise FlexclimError(
                f"model {loaded.name!r} reads predictors, which block means of the truth are not. "
                "Pass them as coarse= (--coarse at the shell)."
            )
        options = {"to": fine} | options
    most = affordable_times(loaded, fine, members, options.get("steps"), share)
    if factor is not None:
        chosen = _chosen(fine, most)
        source = (
            coarsen(fine.isel(chosen), factor) if coarse is None else _paired(coarse, fine, chosen)
        )
        fine = fine.isel(chosen)
        predict = partial(_downscaled, source, factor, members=members, **options)
    else:
        pasts, fine = _steps(fine, str(lead), loaded)
        chosen = _chosen(fine, most)
        fine = fine.isel(chosen)
        pasts = [pasts[number] for number in next(iter(chosen.values()), range(len(pasts)))]
        predict = partial(_forecast, pasts, members=members, **options)
    trials = _search(predict, fine, loaded, task, tolerance)
    best = min(trials, key=_distance)
    card = {"notes": _notes(loaded, task, trials[0], best, data, members)}
    result = _scaled(loaded, task, round(best.noise_scale, 4)).replace(card=card)
    return Calibration(result, tuple(trials))


def affordable_times(
    model: Model, truth: xr.Dataset, members: int, steps: int | None, share: float | None
) -> int | None:
    """Return how many times of ``truth`` five trials may use, at least 1; None: any number.

    Counted are forward passes of one tile, of which training took those in the card's recipe.
    """
    trained = _training_passes(model)
    if share is None or not trained:
        return None
    settings, grid = model.settings, find_grid(truth)
    strides = (max(1, side - settings.halo) for side in settings.network.tile)
    sizes = zip(grid.domain.shape, strides, strict=True)
    tiles = math.prod(-(-size // stride) for size, stride in sizes)
    fields = 1 if settings.targets else len(truth.data_vars)
    per_time = fields * tiles * members * (steps or settings.steps)
    return max(1, int(share * trained / (ROUNDS * per_time)))


def _training_passes(model: Model) -> int:
    """Return the forward passes of a tile that training took, or their equivalent; 0: not known."""
    try:
        recipe = Recipe.model_validate(rename_old_settings(model.card.recipe))
    except ValidationError:
        return 0
    tuning = recipe.ensemble.steps * recipe.ensemble.members * recipe.diffusion.steps
    return STEP_PASSES * recipe.trainer.batch * (recipe.trainer.steps + tuning)


def _chosen(truth: xr.Dataset, most: int | None) -> dict[str, np.ndarray]:
    """Return evenly spaced indices along time, to index with; empty if all times are used."""
    time = time_dimension(truth)
    if time is None or most is None or truth.sizes[time] <= most:
        return {}
    count = truth.sizes[time]
    LOG.info("calibrating on %d of %d times, so as to take a tenth of the training", most, count)
    return {time: _spread_out(count, most)}


def _paired(
    coarse: xr.Dataset | xr.DataArray, truth: xr.Dataset, chosen: dict[str, np.ndarray]
) -> xr.Dataset | xr.DataArray:
    """Return the coarse fields at the chosen times of the truth."""
    if any(coarse.sizes.get(time) != truth.sizes[time] for time in chosen):
        return coarse
    return coarse.isel(chosen)


def _spread_out(count: int, kept: int) -> np.ndarray:
    """Return the indices of some of ``count`` items, each in the middle of an equal part.

    >>> _spread_out(10, 2)
    array([2, 7])
    """
    return ((np.arange(kept) + 0.5) * count / kept).astype(int)


def _search(
    predict: Predict, truth: xr.Dataset, model: Model, task: str, tolerance: float
) -> list[Trial]:
    """Try noise scales, the model's own first, until spread / skill is close enough to 1."""
    trials: list[Trial] = []
    scale = model.settings.noise_scale_of(task) or 1.0
    for number in range(ROUNDS):
        LOG.info("trial %d of at most %d: noise scale %.3f", number + 1, ROUNDS, scale)
        ensemble = predict(_scaled(model, task, scale))
        trials.append(_trial(scale, ensemble, truth))
        if _distance(trials[-1]) <= tolerance:
            break
        scale, before = _next(trials, model.name), scale
        if scale == before:  # the largest scale was tried
            break
    return trials


def _scaled(model: Model, task: str, scale: float) -> Model:
    """Return a model with another noise scale for one task; that of the other is kept."""
    settings = model.settings
    scales = {one: settings.noise_scale_of(one) for one in MARKS} | {task: scale}
    own = settings.forecast
    own = own and own.model_copy(update={"noise_scale": scales[FORECAST]})
    return model.replace(noise_scale=scales[SUPERRES], forecast=own)


def _steps(truth: xr.Dataset, lead: str, model: Model) -> tuple[list[xr.Dataset], xr.Dataset]:
    """Return the past of each one-step forecast for which truth exists, and that truth."""
    assert model.settings.forecast is not None
    try:
        hours = span_hours(lead)
    except ValueError as error:
        raise FlexclimError(f"{error}.") from None
    past = max(model.settings.forecast.past, 2)  # a single time would not define the time step
    time = time_dimension(truth)
    found = np.empty((0, past + 1), int) if time is None else runs(truth[time].values, hours, past)
    if not len(found):
        raise FlexclimError(
            f"the truth has no {past + 1} times {lead} apart: {past} that the model reads and the "
            "one after them. Give more times, or another lead."
        )
    return [truth.isel({time: run[:-1]}) for run in found], truth.isel({time: found[:, -1]})


def _downscaled(
    source: xr.Dataset | xr.DataArray, factor: int, model: Model, **options: Any
) -> xr.Dataset:
    """Downscale the coarse fields."""
    if isinstance(source, xr.DataArray):
        return as_dataset(downscale(source, factor, model=model, **options))
    return downscale(source, factor, model=model, **options)


def _forecast(pasts: Sequence[xr.Dataset], model: Model, **options: Any) -> xr.Dataset:
    """Forecast one step from each past."""
    ahead = [
        forecast(past, 1, model=model, **options).drop_vars([REFERENCE, LEAD]) for past in pasts
    ]
    return xr.concat(ahead, str(time_dimension(ahead[0])))


def _trial(scale: float, ensemble: xr.Dataset, truth: xr.Dataset) -> Trial:
    names = [str(name) for name in ensemble.data_vars if "realization" in ensemble[name].dims]
    if missing := [name for name in names if name not in truth]:
        raise FlexclimError(
            f"the model predicts {missing[0]!r}, which the truth lacks; "
            f"it has {', '.join(map(str, truth.data_vars))}."
        )
    ratios = [float(verify.spread_skill(ensemble[name], truth[name])) for name in names]
    crps = [float(verify.crps(ensemble[name], truth[name])) for name in names]
    if not all(map(math.isfinite, ratios)):
        raise FlexclimError(
            f"spread / skill is {ratios}, which is not finite; check that the truth varies and has "
            "no large gaps."
        )
    return Trial(scale, float(np.exp(np.mean(np.log(ratios)))), float(np.mean(crps)))


def _next(trials: list[Trial], name: str) -> float:
    """Estimate the scale at which spread / skill is 1, from the secant of the last two trials."""
    last = trials[-1]
    guess = last.noise_scale / max(last.spread_skill, 0.1)
    if len(trials) > 1:
        before = trials[-2]
        rise = last.spread_skill - before.spread_skill
        slope = rise / (last.noise_scale - before.noise_scale)
        if not slope > 1e-3:
            raise ModelError(
                f"a noise scale of {last.noise_scale:.3g} instead of {before.noise_scale:.3g} "
                f"changes the spread / skill of {name!r} only from {before.spread_skill:.3f} to "
                f"{last.spread_skill:.3f}; more sampler steps (steps=2) may help."
            )
        guess = last.noise_scale + (1 - last.spread_skill) / slope
    return float(np.clip(guess, last.noise_scale / 3, min(3 * last.noise_scale, LARGEST)))


def _notes(model: Model, task: str, first: Trial, best: Trial, data: str, members: int) -> str:
    """Return the card's notes with this calibration, replacing an earlier one of the task."""
    parts = re.split(rf"\s*\b(?={'|'.join(MARKS.values())})", model.card.notes)
    kept = [part for part in parts if part and not part.startswith(MARKS[task])]
    line = (
        f"{MARKS[task]}noise scale {best.noise_scale:.3f} on {data or 'validation data'}, "
        f"{members} members: spread / skill {first.spread_skill:.3f} to {best.spread_skill:.3f}, "
        f"fair CRPS {first.crps:.4g} to {best.crps:.4g}."
    )
    return " ".join([*kept, line])


def _distance(trial: Trial) -> float:
    return abs(trial.spread_skill - 1)
