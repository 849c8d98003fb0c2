"""Set a model's noise scale so that its ensembles spread as much as their mean errs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from flexclim import verify
from flexclim.downscaling import downscale
from flexclim.errors import FlexclimError, ModelError
from flexclim.forecasting import LEAD, REFERENCE, forecast
from flexclim.models.model import Model, load_model
from flexclim.models.settings import FORECAST, SUPERRES
from flexclim.planning.variable_groups import check_task
from flexclim.resampling import coarsen
from flexclim.stores import time_dimension
from flexclim.train.data.sequences import runs
from flexclim.train.recipes.data_settings import span_hours

MARKS = {SUPERRES: "Calibrated: ", FORECAST: "Forecasts calibrated: "}
ROUNDS = 5
LARGEST = 100.0


@dataclass(frozen=True)
class Trial:
    """What a noise scale gave: spread / skill and fair CRPS, means over variables."""

    noise_scale: float
    spread_skill: float
    crps: float


@dataclass(frozen=True)
class Calibration:
    """A model with its new noise scale, and what was tried, the model's own scale first."""

    model: Model
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The trial whose spread / skill is nearest to 1."""
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
    data: str = "",
    **options: Any,
) -> Calibration:
    """Find the factor on the members' distance from their one-step mean that makes spread right.

    Each trial downscales or forecasts whole fields, as a user would, so the result holds for what
    users get. The two tasks of a model have a scale each.

    Parameters
    ----------
    model
        A name, a folder, or a loaded model; it is not changed.
    truth
        Fine fields of validation times, which no training saw; a few planes serve.
    factor
        Refinement of a downscaling that is calibrated.
    lead
        Time step of forecasts that are calibrated in its place, such as ``"6h"``: by one step from
        each time of ``truth`` before which lies the past that the model reads.
    coarse
        What is downscaled; None: the block means of ``truth``.
    tolerance
        Distance of spread / skill from 1 that is good enough.
    members
        Size of the ensembles.
    data
        What the card shall say of ``truth``.
    options
        Of :func:`flexclim.downscale` or :func:`flexclim.forecast`, such as ``seed``, ``static``
        and ``steps``.

    Returns
    -------
    Calibration
        Its ``model`` has the new scale and a line on it in its notes; save it where you like.

    Raises
    ------
    ModelError
        If the scale does not move the spread, as with a sampler of one step, or the model does not
        do what is calibrated.
    FlexclimError
        If not just one of ``factor`` and ``lead`` is given, or ``truth`` does not serve.
    """
    loaded = model if isinstance(model, Model) else load_model(model)
    fine = truth.to_dataset() if isinstance(truth, xr.DataArray) else truth
    if (factor is None) == (lead is None) or (lead is not None and coarse is not None):
        given = f"factor {factor}, lead {lead}, coarse {'given' if coarse is not None else None}"
        raise FlexclimError(
            f"{given}: give a factor (and what is downscaled), or the lead of a forecast alone."
        )
    task = SUPERRES if lead is None else FORECAST
    check_task(loaded, task)
    make: Callable[..., Any]
    if factor is not None:
        source: Any = coarsen(fine, factor) if coarse is None else coarse
        make = partial(downscale, source, factor)
    else:
        pasts, fine = _steps(fine, str(lead), loaded)
        make = partial(_forecast, pasts)
    scale, trials = loaded.settings.noise_scale_of(task) or 1.0, []
    for _ in range(ROUNDS):
        ensemble = make(model=_scaled(loaded, task, scale), members=members, **options)
        trials.append(_trial(scale, ensemble, fine))
        if _distance(trials[-1]) <= tolerance:
            break
        scale, before = _next(trials, loaded.name), scale
        # At the largest scale there is nothing further to try.
        if scale == before:
            break
    best = min(trials, key=_distance)
    card = {"notes": _notes(loaded, task, trials[0], best, data, members)}
    result = _scaled(loaded, task, round(best.noise_scale, 4)).replace(card=card)
    return Calibration(result, tuple(trials))


def _scaled(model: Model, task: str, scale: float) -> Model:
    """Return a model with another noise scale of one task; that of the other stays."""
    settings = model.settings
    scales = {one: settings.noise_scale_of(one) for one in MARKS} | {task: scale}
    own = settings.forecast
    own = own and own.model_copy(update={"noise_scale": scales[FORECAST]})
    return model.replace(noise_scale=scales[SUPERRES], forecast=own)


def _steps(truth: xr.Dataset, lead: str, model: Model) -> tuple[list[xr.Dataset], xr.Dataset]:
    """Return the pasts of all forecasts by one step whose truth is there, and that truth."""
    assert model.settings.forecast is not None
    try:
        hours = span_hours(lead)
    except ValueError as error:
        raise FlexclimError(f"{error}.") from None
    past = max(model.settings.forecast.past, 2)  # one time alone tells no step
    time = time_dimension(truth)
    found = np.empty((0, past + 1), int) if time is None else runs(truth[time].values, hours, past)
    if not len(found):
        raise FlexclimError(
            f"the truth has no {past + 1} times {lead} apart: the {past} of a past and the one "
            "that follows. Give more times, or another lead."
        )
    return [truth.isel({time: run[:-1]}) for run in found], truth.isel({time: found[:, -1]})


def _forecast(pasts: Sequence[xr.Dataset], **options: Any) -> xr.Dataset:
    """Forecast by one step from each past."""
    ahead = [forecast(past, 1, **options).drop_vars([REFERENCE, LEAD]) for past in pasts]
    return xr.concat(ahead, str(time_dimension(ahead[0])))


def _trial(scale: float, ensemble: Any, truth: xr.Dataset) -> Trial:
    found = ensemble if isinstance(ensemble, xr.Dataset) else ensemble.to_dataset()
    names = [str(name) for name in found.data_vars if "realization" in found[name].dims]
    if missing := [name for name in names if name not in truth]:
        raise FlexclimError(
            f"the model makes {missing[0]!r}, which the truth lacks; "
            f"it has {', '.join(map(str, truth.data_vars))}."
        )
    ratios = [float(verify.spread_skill(found[name], truth[name])) for name in names]
    crps = [float(verify.crps(found[name], truth[name])) for name in names]
    if not all(map(math.isfinite, ratios)):
        raise FlexclimError("spread / skill is not finite; does the truth vary and have values?")
    return Trial(scale, float(np.exp(np.mean(np.log(ratios)))), float(np.mean(crps)))


def _next(trials: list[Trial], name: str) -> float:
    """Guess the scale at which spread / skill is 1: a line through the last two trials."""
    last = trials[-1]
    guess = last.noise_scale / max(last.spread_skill, 0.1)
    if len(trials) > 1:
        before = trials[-2]
        rise = last.spread_skill - before.spread_skill
        slope = rise / (last.noise_scale - before.noise_scale)
        if not slope > 1e-3:
            raise ModelError(
                f"a noise scale of {last.noise_scale:.3g} in place of {before.noise_scale:.3g} "
                f"moves the spread / skill of {name!r} from {before.spread_skill:.3f} to "
                f"{last.spread_skill:.3f} only; more sampler steps (steps=2) may help."
            )
        guess = last.noise_scale + (1 - last.spread_skill) / slope
    return float(np.clip(guess, last.noise_scale / 3, min(3 * last.noise_scale, LARGEST)))


def _notes(model: Model, task: str, first: Trial, best: Trial, data: str, members: int) -> str:
    """Return the card's notes with a line on this calibration in place of an earlier one."""
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
