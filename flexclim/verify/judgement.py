"""All scores of the candidates of one variable: planned, computed elsewhere, and joined."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import xarray as xr

from flexclim.verify.core.alignment import Pair
from flexclim.verify.core.scoring import drop_inherited
from flexclim.verify.core.sums import weighted_sums
from flexclim.verify.metrics import (
    calibration,
    multivariate,
    probability,
    quantiles,
    ranks,
    scores,
    spatial,
    spectra,
    spectral_scores,
)
from flexclim.verify.worst_case import find_worst, worst_fields

OWN = "forecast"
PATCH = 8
MOMENTS = ["error", "absolute_error", "squared_error"]
ENSEMBLE = ["skill", "dispersion", "variance"]


class Judgement(TypedDict):
    """What is computed of one variable; lazy if its fields are.

    ``scores`` and ``powers`` by candidate, and the case with the largest CRPS of the forecast.
    """

    scores: dict[str, xr.Dataset]
    powers: dict[str, xr.Dataset]
    worst: Any


def judge(pairs: Mapping[str, Pair], threshold: float) -> Judgement:
    """Return the scores of all candidates of one variable."""
    found = {name: xr.Dataset(score(pair, threshold)) for name, pair in pairs.items()}
    bicubic = pairs["bicubic"].forecast if "bicubic" in pairs else None
    return {
        "scores": found,
        "powers": {n: spectra.powers(pair, dim=(), fill="mean") for n, pair in pairs.items()},
        "worst": find_worst(pairs[OWN], bicubic, found[OWN]["crps"]),
    }


def compute_judgements(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Compute everything at once, so that each chunk of a lazy forecast is computed once."""
    import dask

    computed = [
        Judgement(
            scores={name: ds.copy() for name, ds in judged["scores"].items()},
            powers={name: ds.copy() for name, ds in judged["powers"].items()},
            worst=judged["worst"],
        )
        for judged in judgements
    ]
    groups = [group for judged in computed for group in (judged["scores"], judged["powers"])]
    datasets = [ds for group in groups for ds in group.values()]
    lazy = [v for ds in datasets for v in ds.variables.values() if v.chunks is not None]
    # A Dataset as a whole can lose a chunk in dask.compute, its arrays can't.
    arrays = dask.compute(*(v.data for v in lazy), *(judged["worst"] for judged in computed))
    for variable, values in zip(lazy, arrays, strict=False):
        variable.data = values
    for judged, worst in zip(computed, arrays[len(lazy) :], strict=True):
        judged["worst"] = worst
    return computed


def join_judgements(pairs: Mapping[str, Pair], judged: Judgement) -> dict[str, xr.DataArray]:
    """Join the computed scores of all candidates along ``candidate``."""
    joined = join_candidates(judged["scores"]) | join_spectra(judged["powers"])
    joined["worst_case"] = worst_fields(pairs[OWN], judged["worst"])
    return joined


def score(pair: Pair, threshold: float) -> dict[str, xr.DataArray]:
    """Return all scores of one candidate but those of spectra; lazy if a field is."""
    space = [pair.plane.y, pair.plane.x]
    cases = [name for name in pair.truth.dims if name not in space]
    room = min(pair.truth.sizes[name] for name in space)
    windows = [size for size in spatial.WINDOWS if size <= room]
    found = moments(pair, space, "")
    found |= moments(pair, cases, "_map")
    found["rfne"] = spatial.rfne_of(pair, space)
    found["ssim"] = spatial.ssim_of(pair, dim=space)
    found["fss"] = spatial.fss_of(pair, threshold, windows)
    found["exceedance"] = quantiles.exceedance_of(pair)
    found |= _prefixed("quantiles", quantiles.quantiles_of(pair))
    if pair.size > 1:
        found |= ensemble_scores(pair, threshold, space)
    for values in found.values():
        drop_inherited(values, pair.forecast, pair.truth)
    return found


def moments(pair: Pair, over: Sequence[Hashable], suffix: str) -> dict[str, xr.DataArray]:
    """Return CRPS, errors and spread averaged over ``over``, from one pass over the data."""
    names = MOMENTS + (ENSEMBLE if pair.size > 1 else [])
    sums = weighted_sums(pair, names, dim=over)
    found = {
        "mae": scores.ratio(sums, "absolute_error"),
        "rmse": scores.ratio(sums, "squared_error") ** 0.5,
        "bias": scores.ratio(sums, "error"),
    }
    found["crps"] = found["mae"]
    texts = {
        "mae": "mean absolute error of the ensemble mean",
        "rmse": "root mean square error of the ensemble mean",
        "bias": "mean error of the ensemble mean",
        "crps": "fair CRPS (absolute error of a single field)",
    }
    if pair.size > 1:
        found["crps"] = scores.crps_from_sums(sums, pair.size, "fair")["crps"]
        found["spread"] = scores.ratio(sums, "variance") ** 0.5
        texts["spread"] = "root mean ensemble variance"
    described = {
        name + suffix: value.assign_attrs(pair.describe(texts[name]))
        for name, value in found.items()
    }
    described[f"crps{suffix}"].attrs["estimator"] = "fair"
    return described


def ensemble_scores(
    pair: Pair, threshold: float, space: Sequence[Hashable]
) -> dict[str, xr.DataArray]:
    """Return the scores that need members."""
    patch = min(PATCH, *(pair.truth.sizes[name] for name in space))
    found = {
        "energy_score": multivariate.energy_score_of(pair, patch, dim=space),
        "variogram_score": multivariate.variogram_score_of(pair, min(patch, 4), dim=space),
        "rank_histogram": ranks.rank_histogram_of(pair, dim=space),
        "brier": probability.brier_of(pair, threshold, dim=space),
        "roc_area": probability.roc_of(pair, threshold)["area"],
    }
    found |= _prefixed("crps", calibration.crps_decomposition_of(pair), drop="crps")
    found |= _prefixed("reliability", probability.reliability_of(pair, threshold))
    found |= _prefixed("spread_error", calibration.spread_error_of(pair))
    if pair.size > 3:
        found |= _prefixed("pull", calibration.pull_of(pair))
    return found


def join_spectra(powers: Mapping[str, xr.Dataset]) -> dict[str, xr.DataArray]:
    """Return the spectra of the truth and all candidates, and the scores that compare them.

    ``powers`` are those of each case.
    """
    power: dict[str, xr.DataArray] = {}
    found: dict[str, dict[str, xr.DataArray]] = {
        name: {} for name in ("log_spectral_distance", "coherence", "effective_resolution")
    }
    for candidate, each in powers.items():
        mean = each.mean(each["truth"].dims[:-1], keep_attrs=True)
        power.setdefault("truth", mean["truth"])
        power[candidate] = mean["forecast"]
        found["log_spectral_distance"][candidate] = spectral_scores.distance_of(each)
        found["coherence"][candidate] = spectral_scores.coherence_of(mean)
        found["effective_resolution"][candidate] = spectral_scores.resolution_of(mean)
    joined = {"spectrum": concat(power, "source")}
    return joined | {name: concat(curves, "candidate") for name, curves in found.items()}


def concat(parts: Mapping[str, xr.DataArray], dim: str) -> xr.DataArray:
    """Concatenate along a new dimension named by the keys, with the attributes of the first."""
    first = next(iter(parts.values()))
    joined = xr.concat(
        list(parts.values()), dim, coords="minimal", compat="override", join="override"
    )
    names = np.array(list(parts), dtype=object)  # Zarr has no fixed-length text
    return joined.assign_coords({dim: names}).assign_attrs(first.attrs)


def join_candidates(done: Mapping[str, xr.Dataset]) -> dict[str, xr.DataArray]:
    """Join the scores of all candidates along ``candidate``; NaN where a score needs members."""
    names = {name: dataset for dataset in done.values() for name in dataset.data_vars}
    joined = {}
    for name, like in names.items():
        empty = xr.full_like(like[name], np.nan, dtype=float)
        joined[str(name)] = concat(
            {own: dataset.get(name, empty) for own, dataset in done.items()}, "candidate"
        )
    return joined


def _prefixed(prefix: str, parts: xr.Dataset, drop: str = "") -> dict[str, xr.DataArray]:
    return {f"{prefix}_{n}": parts[n] for n in parts.data_vars if n != drop}
