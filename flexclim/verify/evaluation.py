"""All scores of a forecast and its baselines, in one Dataset that can be saved."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import PurePath

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify import baselines
from flexclim.verify.core.alignment import Pair, same_units
from flexclim.verify.core.cell_areas import with_positions
from flexclim.verify.core.scoring import common_variables, drop_inherited
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
from flexclim.verify.metrics.events import event_threshold

OWN = "forecast"
RESIDUALS = "bicubic + residuals"
PATCH = 8
MOMENTS = ["error", "absolute_error", "squared_error"]
ENSEMBLE = ["skill", "dispersion", "variance"]


@suggest_options
def evaluate(
    forecast: xr.DataArray | xr.Dataset,
    truth: xr.DataArray | xr.Dataset,
    coarse: xr.DataArray | xr.Dataset | None = None,
    *,
    residuals: xr.DataArray | xr.Dataset | None = None,
    thresholds: Mapping[str, float] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Compute all scores that apply to a forecast, and the same scores of its baselines.

    Parameters
    ----------
    forecast, truth
        Fields (realization, ..., y, x) and (..., y, x), or Datasets of them: each variable that
        both have. A forecast without members is scored as a single field.
    coarse
        The field that was downscaled: adds the baselines ``"bilinear"`` and ``"bicubic"``.
    residuals
        Interpolation errors of training fields (:func:`flexclim.verify.residuals`): adds an
        ensemble of bicubic interpolation plus residuals drawn at random, as large as the
        forecast's.
    thresholds
        For each variable the event threshold of Brier score, reliability diagram, ROC curve and
        fractions skill score, in the forecast's units. Default: the 90 per cent quantile of the
        truth, or, where that equals the smallest value (as in dry hours), the median of the larger
        values.
    seed
        Of the random residuals.

    Returns
    -------
    Dataset
        In memory: ``{metric}.{variable}`` along ``candidate``. Errors and scores are kept for each
        time, maps for each cell; :func:`flexclim.verify.summary` averages them. Ready for
        ``to_netcdf`` and ``to_zarr``.

    Raises
    ------
    AlignmentError
        If the grids, times or units of any two fields differ.

    >>> rng = np.random.default_rng(0)
    >>> axes = {"lat": np.arange(16.0), "lon": np.arange(16.0)}
    >>> truth = xr.DataArray(rng.normal(size=(16, 16)), axes, name="t")
    >>> forecast = xr.DataArray(rng.normal(size=(4, 16, 16)), axes, ("member", "lat", "lon"))
    >>> scores = evaluate(forecast, truth)
    >>> scores["rmse.t"].dims, scores["rank_histogram.t"].sizes["rank"]
    (('candidate',), 5)
    """
    found: dict[str, xr.DataArray] = {}
    fields = match_variables(forecast, truth)
    for name, (mine, observed) in fields.items():
        base = None if coarse is None else select_variable(coarse, name)
        missed = None if residuals is None else select_variable(residuals, name)
        variables = truth.variables if isinstance(truth, xr.Dataset) else None
        own = Pair.align(mine, observed, variables)
        candidates = gather(own, base, missed, seed)
        pairs = {OWN: own} | {
            label: Pair.align(field, own.truth, variables) for label, field in candidates.items()
        }
        # numbagg, where it is installed, takes longer to compile than these means take.
        with xr.set_options(use_numbagg=False):
            threshold = (thresholds or {}).get(name)
            if threshold is None:
                threshold = event_threshold(own.truth)
            judged = judge(pairs, threshold)
        judged["crps"].attrs["variable"] = observed.attrs.get("long_name", name)
        found |= {f"{metric}.{name}": values for metric, values in judged.items()}
    given = {"forecast": forecast, "truth": truth, "coarse": coarse, "residuals": residuals}
    return xr.Dataset(found).assign_attrs(
        title="Verification of a forecast",
        variables=" ".join(fields),
        **{f"{n}_from": origin(f) for n, f in given.items() if f is not None and origin(f)},
        **{k: str(v) for k, v in forecast.attrs.items() if str(k).startswith("flexclim_")},
    )


def match_variables(
    forecast: xr.DataArray | xr.Dataset, truth: xr.DataArray | xr.Dataset
) -> dict[str, tuple[xr.DataArray, xr.DataArray]]:
    """Return the forecast and the truth of each variable, by name."""
    if isinstance(forecast, xr.DataArray) and isinstance(truth, xr.DataArray):
        name = next((str(f.name) for f in (truth, forecast) if f.name is not None), "field")
        return {name: (forecast, truth.rename(name))}
    return {
        n: (with_positions(forecast, n), with_positions(truth, n))
        for n in common_variables(forecast, truth)
    }


def origin(obj: xr.DataArray | xr.Dataset) -> str:
    """Return the name of the file that ``obj`` was opened from and its title, if known."""
    name = PurePath(str(obj.encoding.get("source", ""))).name
    return ": ".join(text for text in (name, str(obj.attrs.get("title", ""))) if text)


def select_variable(obj: xr.DataArray | xr.Dataset, name: str) -> xr.DataArray:
    """Return the variable ``name`` of a Dataset, or the DataArray itself.

    Raises
    ------
    FlexclimError
        If the Dataset has no such variable.
    """
    if isinstance(obj, xr.DataArray):
        return obj
    if name not in obj.data_vars:
        raise FlexclimError(
            f"no {name!r} among {list(obj.data_vars)} of the coarse fields or residuals. Rename "
            "the variable."
        )
    return obj[name]


def gather(
    own: Pair, coarse: xr.DataArray | None, residuals: xr.DataArray | None, seed: int
) -> dict[str, xr.DataArray]:
    """Return the baselines of a forecast by name, in its units."""
    if coarse is None:
        if residuals is not None:
            raise FlexclimError("residuals are added to interpolated coarse fields: pass coarse=.")
        return {}
    coarse = same_units(coarse, own.forecast, ("coarse field", "forecast"))
    candidates = baselines.interpolations(coarse, own.truth)
    if residuals is not None:
        roles = ("array of residuals", "forecast")
        residuals = same_units(residuals, own.forecast, roles, difference=True)
        size = 8 if own.member is None else own.size
        candidates[RESIDUALS] = baselines.residual_ensemble(
            candidates["bicubic"], residuals, size, seed
        )
    return candidates


def judge(pairs: Mapping[str, Pair], threshold: float) -> dict[str, xr.DataArray]:
    """Compute the scores of all candidates of one variable, along ``candidate``."""
    done = {name: xr.Dataset(score(pair, threshold)).compute() for name, pair in pairs.items()}
    joined = join_candidates(done)
    joined |= score_spectra(pairs)
    joined["worst_case"] = worst_case(pairs, done[OWN]["crps"])
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


def score_spectra(pairs: Mapping[str, Pair]) -> dict[str, xr.DataArray]:
    """Return the spectra of the truth and all candidates, and the scores that compare them."""
    power: dict[str, xr.DataArray] = {}
    found: dict[str, dict[str, xr.DataArray]] = {
        name: {} for name in ("log_spectral_distance", "coherence", "effective_resolution")
    }
    for candidate, pair in pairs.items():
        each = spectra.powers(pair, dim=(), fill="mean").compute()
        mean = each.mean([d for d in pair.truth.dims if d in each.dims], keep_attrs=True)
        power.setdefault("truth", mean["truth"])
        power[candidate] = mean["forecast"]
        found["log_spectral_distance"][candidate] = spectral_scores.distance_of(each)
        found["coherence"][candidate] = spectral_scores.coherence_of(mean)
        found["effective_resolution"][candidate] = spectral_scores.resolution_of(mean)
    joined = {"spectrum": concat(power, "source")}
    return joined | {name: concat(curves, "candidate") for name, curves in found.items()}


def worst_case(pairs: Mapping[str, Pair], crps: xr.DataArray) -> xr.DataArray:
    """Return truth, mean, one member, spread and baseline where the forecast's CRPS is largest."""
    place: dict[Hashable, int] = {}
    if crps.ndim:
        worst = np.unravel_index(int(np.nanargmax(crps.values)), crps.shape)
        place = dict(zip(crps.dims, map(int, worst), strict=True))
    pair = pairs[OWN]
    forecast, observed = pair.forecast.isel(place), pair.truth.isel(place)
    panels = {"truth": observed}
    if pair.member is None:
        panels[OWN] = forecast
    else:
        panels["one member"] = forecast.isel({pair.member: 0}, drop=True)
        panels["ensemble mean"] = forecast.mean(pair.member)
        panels["spread"] = forecast.std(pair.member, ddof=1)
    if "bicubic" in pairs:
        panels["bicubic"] = pairs["bicubic"].forecast.isel(place)
    fields = concat({n: p.drop_vars(place, errors="ignore") for n, p in panels.items()}, "panel")
    case = ", ".join(f"{n} {_label(observed[n])}" for n in place if n in observed.coords)
    attributes = pair.describe("fields where the forecast's CRPS is largest")
    attributes["case"] = case or "the only case"
    return fields.compute().drop_attrs(deep=False).assign_attrs(attributes)


def _label(coordinate: xr.DataArray) -> str:
    value = coordinate.values
    if value.dtype.kind == "M":
        return str(value.astype("datetime64[m]")).replace("T", " ")
    return str(value)


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
