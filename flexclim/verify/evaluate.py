"""All scores of a forecast beside its baselines, in one Dataset that can be saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError
from flexclim.verify import baselines
from flexclim.verify.core.align import align, common_variables, find_member
from flexclim.verify.core.geometry import Plane, find_plane
from flexclim.verify.core.sums import weighted_sums
from flexclim.verify.metrics import (
    calibration,
    distribution,
    probability,
    scores,
    spatial,
    spectra,
    spread_bins,
)

OWN = "forecast"
RESIDUALS = "bicubic + residuals"
EVENT_LEVEL = 0.9
PATCH = 8
MOMENTS = ["error", "absolute_error", "squared_error"]
ENSEMBLE = ["skill", "dispersion", "variance"]


def evaluate(
    forecast: xr.DataArray | xr.Dataset,
    truth: xr.DataArray | xr.Dataset,
    coarse: xr.DataArray | xr.Dataset | None = None,
    *,
    residuals: xr.DataArray | xr.Dataset | None = None,
    thresholds: Mapping[str, float] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Score a forecast, and what it must beat, in every way that fits.

    Parameters
    ----------
    forecast, truth
        Fields (realization, ..., y, x) and (..., y, x), or Datasets of them: each variable that
        both have. A forecast without members is scored as a single field.
    coarse
        The field that the forecast was made from: adds ``"bilinear"`` and ``"bicubic"``.
    residuals
        What interpolation missed of training fields (:func:`residuals`): adds an ensemble of
        bicubic interpolation plus residuals drawn at random, of the forecast's size.
    thresholds
        Values, by variable, of the event that Brier score, reliability diagram, ROC and fractions
        are about; None: the truth's 90 per cent quantile, or the median of what exceeds the
        smallest value where nine tenths equal it, such as dry hours.
    seed
        Of the drawn residuals.

    Returns
    -------
    Dataset
        Computed. ``{metric}.{variable}`` along ``candidate``; errors and scores are kept for each
        time, maps for each cell, and :func:`summary` averages them. Ready for ``to_netcdf`` and
        ``to_zarr``.

    Raises
    ------
    AlignmentError
        If grids, times or units of any of them differ.

    >>> rng = np.random.default_rng(0)
    >>> axes = {"lat": np.arange(16.0), "lon": np.arange(16.0)}
    >>> truth = xr.DataArray(rng.normal(size=(16, 16)), axes, name="t")
    >>> forecast = xr.DataArray(rng.normal(size=(4, 16, 16)), axes, ("member", "lat", "lon"))
    >>> scores = evaluate(forecast, truth)
    >>> scores["rmse.t"].dims, scores["rank_histogram.t"].sizes["rank"]
    (('candidate',), 5)
    """
    if isinstance(forecast, xr.DataArray) and isinstance(truth, xr.DataArray):
        name = next((str(f.name) for f in (truth, forecast) if f.name is not None), "field")
        fields = {name: (forecast, truth.rename(name))}
    else:
        fields = {n: (forecast[n], truth[n]) for n in common_variables(forecast, truth)}
    given = {"forecast": forecast, "truth": truth, "coarse": coarse, "residuals": residuals}
    found: dict[str, xr.DataArray] = {}
    for name, (mine, observed) in fields.items():
        base = None if coarse is None else pick(coarse, name)
        missed = None if residuals is None else pick(residuals, name)
        candidates = gather(mine, observed, base, missed, seed)
        threshold = None if thresholds is None else thresholds.get(name)
        # numbagg, where it is installed, compiles for longer than its means take here.
        with xr.set_options(use_numbagg=False):
            judged = judge(candidates, observed, threshold)
        judged["crps"].attrs["variable"] = observed.attrs.get("long_name", name)
        found |= {f"{metric}.{name}": values for metric, values in judged.items()}
    return xr.Dataset(found).assign_attrs(
        title="Verification of a forecast",
        variables=" ".join(fields),
        **{f"{n}_from": origin(f) for n, f in given.items() if f is not None and origin(f)},
        **{k: str(v) for k, v in forecast.attrs.items() if str(k).startswith("flexclim_")},
    )


def origin(obj: xr.DataArray | xr.Dataset) -> str:
    """Return the name of the file that ``obj`` was opened from and its title, as far as known."""
    name = PurePath(str(obj.encoding.get("source", ""))).name
    return ": ".join(text for text in (name, str(obj.attrs.get("title", ""))) if text)


def pick(obj: Any, name: str) -> xr.DataArray:
    """Return the variable ``name`` of a Dataset, or the DataArray itself.

    Raises
    ------
    FlexclimError
        If it is not there.
    """
    if isinstance(obj, xr.DataArray):
        return obj
    if name not in obj.data_vars:
        raise FlexclimError(f"no {name!r} among {list(obj.data_vars)} of the coarse fields.")
    return obj[name]


def gather(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    coarse: xr.DataArray | None,
    residuals: xr.DataArray | None,
    seed: int,
) -> dict[str, xr.DataArray]:
    """Return the forecast and its baselines by name."""
    candidates = {OWN: forecast}
    if coarse is None:
        if residuals is not None:
            raise FlexclimError("residuals need the coarse field they are added to: pass coarse=.")
        return candidates
    candidates |= baselines.interpolations(coarse, truth)
    if residuals is not None:
        member = find_member(forecast)
        size = 8 if member is None else forecast.sizes[member]
        candidates[RESIDUALS] = baselines.residual_ensemble(
            candidates["bicubic"], residuals, size, seed
        )
    return candidates


def judge(
    candidates: Mapping[str, xr.DataArray], truth: xr.DataArray, threshold: float | None
) -> dict[str, xr.DataArray]:
    """Score all candidates of one variable, computed, along ``candidate``."""
    plane = find_plane(truth)
    if threshold is None:
        threshold = event_threshold(truth)
    done = {
        candidate: xr.Dataset(score(field, truth, plane, threshold)).compute()
        for candidate, field in candidates.items()
    }
    joined = join_candidates(done)
    joined |= spectral_scores(candidates, truth)
    joined |= worst_case(candidates, truth, plane, done[OWN])
    return joined


def event_threshold(truth: xr.DataArray) -> float:
    """Return the 90 per cent quantile; where that is the smallest value, the others' median."""
    level = distribution.quantiles(truth, truth, levels=[EVENT_LEVEL])["truth"]
    low, high = float(truth.min()), float(truth.max())
    if float(level[0]) - low > 2 * (high - low) / distribution.BINS or low == high:
        return float(level[0])
    others = truth.where(truth > low)
    return float(distribution.quantiles(others, others, levels=[0.5])["truth"][0])


def score(
    forecast: xr.DataArray, truth: xr.DataArray, plane: Plane, threshold: float
) -> dict[str, xr.DataArray]:
    """Return all scores of one candidate, lazy where it is."""
    forecast, truth = align(forecast, truth)
    space = [plane.y, plane.x]
    cases = [name for name in truth.dims if name not in space]
    member = find_member(forecast)
    size = 1 if member is None else forecast.sizes[member]
    found = moments(forecast, truth, size, space, "")
    found |= moments(forecast, truth, size, cases, "_map")
    found["rfne"] = spatial.rfne(forecast, truth, dim=space)
    found["ssim"] = spatial.ssim(forecast, truth, dim=space)
    found["fss"] = spatial.fss(forecast, truth, threshold, window=_windows(truth, plane))
    found["exceedance"] = distribution.exceedance(forecast, truth)
    found |= _prefixed("quantiles", distribution.quantiles(forecast, truth))
    if size > 1:
        found |= ensemble_scores(forecast, truth, plane, threshold, size)
    return found


def moments(
    forecast: xr.DataArray, truth: xr.DataArray, size: int, over: list[Any], suffix: str
) -> dict[str, xr.DataArray]:
    """Return CRPS, errors and spread averaged over ``over``, from one pass."""
    names = MOMENTS + (ENSEMBLE if size > 1 else [])
    sums = weighted_sums(forecast, truth, names, dim=over)
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
        "crps": "fair CRPS; of single fields the absolute error",
    }
    if size > 1:
        found["crps"] = scores.crps_of(sums, size, "fair")["crps"]
        found["spread"] = scores.ratio(sums, "variance") ** 0.5
        texts["spread"] = "root mean ensemble variance"
    described = {
        name + suffix: value.assign_attrs(scores.describe(truth, forecast, texts[name]))
        for name, value in found.items()
    }
    described[f"crps{suffix}"].attrs["estimator"] = "fair"
    return described


def ensemble_scores(
    forecast: xr.DataArray, truth: xr.DataArray, plane: Plane, threshold: float, size: int
) -> dict[str, xr.DataArray]:
    """Return the scores that need members."""
    space = [plane.y, plane.x]
    patch = min(PATCH, truth.sizes[plane.y], truth.sizes[plane.x])
    found = {
        "energy_score": spatial.energy_score(forecast, truth, patch, dim=space),
        "variogram_score": spatial.variogram_score(forecast, truth, min(patch, 4), dim=space),
        "rank_histogram": calibration.rank_histogram(forecast, truth, dim=space),
        "brier": probability.brier(forecast, truth, threshold, dim=space),
        "roc_area": probability.roc(forecast, truth, threshold)["area"],
    }
    found |= _prefixed("crps", calibration.crps_decomposition(forecast, truth), drop="crps")
    found |= _prefixed("reliability", probability.reliability(forecast, truth, threshold))
    found |= _prefixed("spread_error", spread_bins.spread_error(forecast, truth))
    if size > 3:
        found |= _prefixed("pull", calibration.pull(forecast, truth))
    return found


def spectral_scores(
    candidates: Mapping[str, xr.DataArray], truth: xr.DataArray
) -> dict[str, xr.DataArray]:
    """Return spectra of the truth and all candidates, and what they say about these."""
    power: dict[str, xr.DataArray] = {}
    found: dict[str, dict[str, xr.DataArray]] = {
        name: {} for name in ("log_spectral_distance", "coherence", "effective_resolution")
    }
    for candidate, field in candidates.items():
        each = spectra.powers(*align(field, truth), dim=(), fill="mean").compute()
        mean = each.mean([d for d in truth.dims if d in each.dims], keep_attrs=True)
        power.setdefault("truth", mean["truth"])
        power[candidate] = mean["forecast"]
        found["log_spectral_distance"][candidate] = spectra.distance_of(each)
        found["coherence"][candidate] = spectra.coherence_of(mean)
        found["effective_resolution"][candidate] = spectra.resolution_of(mean)
    joined = {"spectrum": concat(power, "source")}
    return joined | {name: concat(curves, "candidate") for name, curves in found.items()}


def worst_case(
    candidates: Mapping[str, xr.DataArray], truth: xr.DataArray, plane: Plane, own: xr.Dataset
) -> dict[str, xr.DataArray]:
    """Return truth, mean, one member, spread and baseline where the forecast scored worst."""
    crps = own["crps"]
    place = {}
    if crps.ndim:
        worst = np.unravel_index(int(np.nanargmax(crps.values)), crps.shape)
        place = dict(zip(crps.dims, map(int, worst), strict=True))
    forecast, observed = align(candidates[OWN], truth)
    member = find_member(forecast)
    forecast, observed = forecast.isel(place), observed.isel(place)
    panels = {"truth": observed}
    if member is None:
        panels[OWN] = forecast
    else:
        panels["one member"] = forecast.isel({member: 0}, drop=True)
        panels["ensemble mean"] = forecast.mean(member)
        panels["spread"] = forecast.std(member, ddof=1)
    if "bicubic" in candidates:
        panels["bicubic"] = align(candidates["bicubic"], truth)[0].isel(place)
    fields = concat({n: p.drop_vars(place, errors="ignore") for n, p in panels.items()}, "panel")
    case = ", ".join(f"{n} {_label(observed[n])}" for n in place if n in observed.coords)
    text = "fields where the forecast's CRPS is largest"
    attributes = scores.describe(truth, forecast, text)
    attributes |= {"case": case or "the only case"}
    return {"worst_case": fields.compute().drop_attrs(deep=False).assign_attrs(attributes)}


def _label(coordinate: xr.DataArray) -> str:
    value = coordinate.values
    if value.dtype.kind == "M":
        return str(value.astype("datetime64[m]")).replace("T", " ")
    return str(value)


def concat(parts: Mapping[str, xr.DataArray], dim: str) -> xr.DataArray:
    """Join along a new dimension named by the keys, with the attributes of the first."""
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


def _windows(truth: xr.DataArray, plane: Plane) -> list[int]:
    room = min(truth.sizes[plane.y], truth.sizes[plane.x])
    return [size for size in (1, 3, 5, 9, 17, 33) if size <= room]
