"""Set a model's noise scale so that its ensembles spread as much as their mean errs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from flexclim import verify
from flexclim.checkpoint import Model, load_model
from flexclim.downscaling import downscale
from flexclim.errors import FlexclimError, ModelError
from flexclim.resampling import coarsen

MARK = "Calibrated: "
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
    factor: int,
    *,
    coarse: xr.Dataset | xr.DataArray | None = None,
    tolerance: float = 0.01,
    members: int = 8,
    data: str = "",
    **options: Any,
) -> Calibration:
    """Find the factor on the members' distance from their one-step mean that makes spread right.

    Fields are downscaled in full at each trial, as a user would, with tiles fused and block means
    restored, so the result holds for what users get.

    Parameters
    ----------
    model
        A name, a folder, or a loaded model; it is not changed.
    truth
        Fine fields of validation times, which no training saw; a few planes serve.
    factor
        Refinement.
    coarse
        What is downscaled; None: the block means of ``truth``.
    tolerance
        Distance of spread / skill from 1 that is good enough.
    members
        Size of the ensembles.
    data
        What the card shall say of ``truth``.
    options
        Of :func:`flexclim.downscale`, such as ``seed``, ``static`` and ``steps``.

    Returns
    -------
    Calibration
        Its ``model`` has the new scale and a line on it in its notes; save it where you like.

    Raises
    ------
    ModelError
        If the scale does not move the spread, as with a sampler of one step.
    """
    loaded = model if isinstance(model, Model) else load_model(model)
    fine = truth.to_dataset() if isinstance(truth, xr.DataArray) else truth
    source: Any = coarsen(fine, factor) if coarse is None else coarse
    scale, trials = loaded.settings.noise_scale or 1.0, []
    for _ in range(ROUNDS):
        tried = loaded.replace(noise_scale=scale)
        ensemble = downscale(source, factor, model=tried, members=members, **options)
        trials.append(_trial(scale, ensemble, fine))
        if _distance(trials[-1]) <= tolerance:
            break
        scale, before = _next(trials, loaded.name), scale
        # At the largest scale there is nothing further to try.
        if scale == before:
            break
    best = min(trials, key=_distance)
    card = {"notes": _notes(loaded, trials[0], best, data, members)}
    result = loaded.replace(noise_scale=round(best.noise_scale, 4), card=card)
    return Calibration(result, tuple(trials))


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


def _notes(model: Model, first: Trial, best: Trial, data: str, members: int) -> str:
    """Return the card's notes with a line on this calibration in place of an earlier one."""
    kept = model.card.notes.partition(MARK)[0].rstrip()
    line = (
        f"{MARK}noise scale {best.noise_scale:.3f} on {data or 'validation data'}, {members} "
        f"members: spread / skill {first.spread_skill:.3f} to {best.spread_skill:.3f}, fair CRPS "
        f"{first.crps:.4g} to {best.crps:.4g}."
    )
    return f"{kept} {line}".strip()


def _distance(trial: Trial) -> float:
    return abs(trial.spread_skill - 1)
