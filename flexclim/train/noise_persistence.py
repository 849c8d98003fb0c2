"""Calibrate how a model's noise is correlated in time, so that members move like the truth.

Members follow the truth in time as far as the coarse input determines them, even with independent
noise, and change with it, even with frozen noise. Between these two the correlation of members is
not linear in that of the noise: it is measured with half-correlated noise too, and taken as
quadratic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import nnls

from flexclim.cf.ensembles import REALIZATION
from flexclim.cf.fields import as_dataset
from flexclim.cf.times import is_time, seconds_of
from flexclim.downscaling import downscale
from flexclim.errors import FlexclimError
from flexclim.grids.discovery import find_grid
from flexclim.models.card import NoisePersistence
from flexclim.models.model import Model, load_model
from flexclim.resampling import coarsen, interpolate
from flexclim.stores import time_dimension

FEWEST_TIMES = 8
LONGEST = 0.5  # longest lag, as a share of the series
TIME_SCALES = 60  # that are tried
HALF = NoisePersistence(hours=1.0, constant=0.5, lasting=0.0)  # at all lags
LONG_ENOUGH = 36.0  # hours; shorter lags do not tell a daily cycle from a slow decay


def calibrate_persistence(
    model: str | Model,
    truth: xr.Dataset | xr.DataArray,
    factor: int,
    *,
    members: int = 2,
    **options: Any,
) -> Model:
    """Find the correlation of noise in time with which members move like the truth.

    Parameters
    ----------
    model
        A name, a folder, or a loaded model, which is not changed.
    truth
        Fine fields at evenly spaced times, at least 8.
    factor
        Refinement factor.
    members
        Ensemble size.
    options
        Options of :func:`flexclim.downscale`, such as ``seed`` and ``static``.

    Returns
    -------
    Model
        Its card holds the correlation for these variables at this spacing and factor, which
        ``noise="ar1"`` takes. Save it with ``model.save``.

    Raises
    ------
    FlexclimError
        If times are too few or do not follow each other evenly, fields do not vary, or the card
        has no entry for the variables.
    """
    loaded = model if isinstance(model, Model) else load_model(model)
    fine = as_dataset(truth) if isinstance(truth, xr.DataArray) else truth
    time, hours = _even_times(fine)
    kind = options.get("grid")
    coarse = coarsen(fine, factor, grid=kind)

    def sample(model: Model, noise: str) -> xr.Dataset:
        return downscale(coarse, factor, model=model, noise=noise, members=members, **options)

    independent = sample(loaded, "independent")
    names = [str(name) for name, one in independent.items() if REALIZATION in one.dims]
    half = _with_noise(loaded, names, factor, coarse, HALF)
    ensembles = [
        independent,
        sample(half, "ar1"),
        sample(loaded, "frozen"),
    ]
    base = interpolate(coarse[names], factor, grid=kind)
    longest = int(LONGEST * fine.sizes[time])
    parts = [fine[names], *ensembles]
    curves = [
        np.mean(
            [lag_correlations(part[name] - base[name].values, time, longest) for name in names], 0
        )
        for part in parts
    ]
    if not np.isfinite(curves).all():
        raise FlexclimError(
            "correlations in time are undefined: for half of the times, fields do not differ from "
            "the interpolated block means. Select times in which they vary, such as wet ones."
        )
    found = fit_persistence(hours * np.arange(1, longest + 1), *curves)
    return _with_noise(loaded, names, factor, coarse, found)


def lag_correlations(residual: xr.DataArray, time: str, longest: int) -> np.ndarray:
    """Return the correlation of a residual with itself 1 to ``longest`` steps later.

    Parameters
    ----------
    residual
        (..., time, ...), NaN where missing. Its mean is not removed: what does not change in
        time, such as the effect of mountains, counts.
    """
    values = np.moveaxis(np.nan_to_num(residual.values.astype(float)), residual.dims.index(time), 0)
    pairs = ((values[:-lag], values[lag:]) for lag in range(1, longest + 1))
    with np.errstate(invalid="ignore"):  # NaN where nothing varies
        return np.array([(a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()) for a, b in pairs])


def fit_persistence(
    hours: np.ndarray,
    truth: np.ndarray,
    independent: np.ndarray,
    half: np.ndarray,
    frozen: np.ndarray,
) -> NoisePersistence:
    """Fit the correlation of noise from those of the truth and of members, at lags in hours.

    Parameters
    ----------
    hours, truth
        Lags, and the correlation of the truth at each.
    independent, half, frozen
        That of members whose noise has the correlation 0, 0.5 and 1 at all lags.
    """
    reach = np.maximum(frozen - independent, 1e-6)
    wanted = needed_correlation(truth, independent, half, frozen)
    # At lag 0 all shares, that of noise that is new at each time too, sum to 1.
    weights, lags = np.insert(reach, 0, 1e3), np.insert(hours, 0, 0.0)
    goal = weights * np.insert(wanted, 0, 1.0)
    daily = np.cos(2 * np.pi * lags / 24) * (hours[-1] >= LONG_ENOUGH)
    trials = []
    for scale in np.geomspace(hours[0] / 4, 2 * hours[-1], TIME_SCALES):
        columns = np.stack([np.ones_like(lags), np.exp(-lags / scale), daily, lags == 0], 1)
        shares, misfit = nnls(weights[:, None] * columns, goal)
        trials.append((misfit, scale, shares))
    _, scale, shares = min(trials, key=lambda trial: trial[0])
    constant, lasting, recurring, _ = np.floor(1e3 * shares / max(1.0, shares.sum())) / 1e3
    return NoisePersistence(
        hours=float(f"{scale:.3g}"),
        constant=float(constant),
        lasting=float(lasting),
        daily=float(recurring),
    )


def needed_correlation(
    truth: np.ndarray, independent: np.ndarray, half: np.ndarray, frozen: np.ndarray
) -> np.ndarray:
    """Return the correlation of noise, 0 to 1, with which members are correlated like the truth.

    That of members is quadratic in that of noise, through their values at 0, 0.5 and 1.

    >>> needed_correlation(*np.array([[0.25], [0.0], [0.25], [1.0]]))
    array([0.5])
    """
    reach = np.maximum(frozen - independent, 1e-6)
    slope = np.clip(4 * (half - independent) - reach, 0, 2 * reach)  # at 0; nowhere falling
    missing = np.clip(truth - independent, 0, reach)
    root = np.sqrt(np.maximum(slope**2 + 4 * (reach - slope) * missing, 0))
    return np.asarray(np.clip(2 * missing / np.maximum(slope + root, 1e-12), 0, 1))


def _with_noise(
    model: Model, names: Sequence[str], factor: int, coarse: xr.Dataset, found: NoisePersistence
) -> Model:
    """Return a model whose card has the correlation in the nearest entries of the variables."""
    spacing = find_grid(coarse).spacing_km / factor
    entries = list(model.card.coverage)
    for name in names:
        own = [part for part in entries if part.variable == name and part.spacing_km]
        if not own:
            raise FlexclimError(
                f"the card of {model.name!r} does not say what training covered of {name!r}, and "
                "the correlation is stored there. Train with flexclim, or pass noise_timescale."
            )
        nearest = min(own, key=lambda part: abs(np.log((part.spacing_km or 1) / spacing)))
        for number, part in enumerate(entries):
            if part.variable == name and part.spacing_km == nearest.spacing_km:
                noise = part.noise | {factor: found}
                entries[number] = part.model_copy(update={"noise": noise})
    return model.replace(card={"coverage": tuple(entries)})


def _even_times(fine: xr.Dataset) -> tuple[str, float]:
    """Return the dimension of time and its step in hours."""
    time = time_dimension(fine)
    if time is None or not is_time(fine[time]):
        raise FlexclimError("the truth has no dates. Give fields along a time coordinate.")
    seconds = seconds_of(fine[time].values)
    if seconds.size < FEWEST_TIMES:
        raise FlexclimError(
            f"the truth has {seconds.size} times, too few for correlations in time. Give at least "
            f"{FEWEST_TIMES}."
        )
    steps = np.diff(seconds)
    if (uneven := np.flatnonzero(steps != steps[0])).size or not steps[0] > 0:
        place = int(uneven[0]) if uneven.size else 0
        first, second = fine[time].values[place : place + 2]
        raise FlexclimError(
            f"times do not follow each other evenly: {second} is {steps[place] / 3600:g} h after "
            f"{first}, and the first step is {steps[0] / 3600:g} h. Select times without a gap."
        )
    return str(time), float(steps[0] / 3600)
