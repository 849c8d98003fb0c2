"""Scores of the probability of an event, "at or above a threshold", given by the members.

They are sums over blocks of points, so that weights, missing values and lazy ensembles are treated
as in all scores. xskillscore has the same scores; it loads a lazy ensemble several times over for
the reliability diagram and the ROC curve, and takes no weights there. Tests compare both.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats

from flexclim.errors import suggest_options
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.local_thresholds import Threshold, local_event, named_threshold
from flexclim.verify.core.members import gather_members
from flexclim.verify.core.option_checks import check_flag, check_number
from flexclim.verify.core.scoring import Fields, score_pairs
from flexclim.verify.core.sums import Contribution, sum_bins, sum_blocks
from flexclim.verify.metrics.scores import ratio


@suggest_options
def brier(
    forecast: Fields,
    truth: Fields,
    threshold: Threshold,
    weights: Weights = "area",
    dim: Dims = None,
    fair: bool = False,
) -> Fields:
    """Brier score of the event "at or above ``threshold``": mean squared error of probability.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`.
    threshold
        A number in the forecast's units, or a DataArray of thresholds by place, such as
        ``truth.quantile(0.95, "time")``.
    fair
        Whether to estimate the score of an infinite ensemble (Ferro 2014).

    Notes
    -----
    Brier (1950), Mon. Weather Rev. 78.

    >>> forecast = xr.DataArray([0.0, 2.0], dims=["member"])
    >>> float(brier(forecast, xr.DataArray(3.0), threshold=1.0))
    0.25
    """
    return score_pairs(brier_of, forecast, truth, threshold, weights, dim, fair)


@suggest_options
def brier_decomposition(
    forecast: Fields,
    truth: Fields,
    threshold: Threshold,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Decompose the Brier score: ``brier`` = ``reliability`` - ``resolution`` + ``uncertainty``.

    M members can give M + 1 probabilities. Each of these is a group, so the sum is exact.
    Parameters as in :func:`brier`.

    Notes
    -----
    Murphy (1973), J. Appl. Meteorol. 12.

    >>> forecast = xr.DataArray([[0.0, 2.0], [2.0, 2.0]], dims=["member", "point"])
    >>> truth = xr.DataArray([0.0, 3.0], dims=["point"])
    >>> parts = brier_decomposition(forecast, truth, threshold=1.0)
    >>> [float(parts[n]) for n in ("brier", "reliability", "resolution", "uncertainty")]
    [0.125, 0.125, 0.25, 0.25]
    """
    return score_pairs(brier_decomposition_of, forecast, truth, threshold, weights, dim)


@suggest_options
def reliability(
    forecast: Fields,
    truth: Fields,
    threshold: Threshold,
    weights: Weights = "area",
    dim: Dims = None,
    level: float = 0.9,
    independent: float = 1.0,
) -> xr.Dataset:
    """Reliability diagram: observed frequency of the event for each forecast probability.

    Parameters
    ----------
    forecast, truth, threshold, weights, dim
        As in :func:`brier`.
    level
        Probability that a reliable forecast lies inside the consistency bar at one probability.
    independent
        Number of independent cases per point; below 1 for fields with correlated neighbours.

    Returns
    -------
    Dataset
        (kept dimensions..., probability) ``frequency`` of the event, ``share`` of forecasts with
        that probability, and ``low`` and ``high`` ends of the consistency bars.

    Notes
    -----
    Consistency bars after Bröcker and Smith (2007), Weather Forecast. 22, from the binomial
    distribution of the event.

    >>> forecast = xr.DataArray([[0.0, 2.0], [2.0, 2.0]], dims=["member", "point"])
    >>> truth = xr.DataArray([0.0, 3.0], dims=["point"])
    >>> reliability(forecast, truth, threshold=1.0).frequency.values
    array([nan,  0.,  1.])
    """
    return score_pairs(reliability_of, forecast, truth, threshold, weights, dim, level, independent)


@suggest_options
def roc(
    forecast: Fields,
    truth: Fields,
    threshold: Threshold,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Relative operating characteristic: hit rate against false alarm rate.

    Parameters as in :func:`brier`.

    Returns
    -------
    Dataset
        (kept dimensions..., probability) ``hit_rate`` and ``false_alarm_rate`` where a warning is
        issued at that probability or above (at infinity: never), and ``area`` under the curve: 1
        is perfect, 1/2 no skill.

    Notes
    -----
    Mason (1982), Aust. Meteorol. Mag. 30.

    >>> forecast = xr.DataArray([[0.0, 2.0], [2.0, 2.0]], dims=["member", "point"])
    >>> truth = xr.DataArray([0.0, 3.0], dims=["point"])
    >>> float(roc(forecast, truth, threshold=1.0).area)
    1.0
    """
    return score_pairs(roc_of, forecast, truth, threshold, weights, dim)


def brier_of(
    pair: Pair,
    threshold: Threshold,
    weights: Weights = "area",
    dim: Dims = None,
    fair: bool = False,
) -> xr.DataArray:
    """Score an aligned pair with :func:`brier`."""
    fair = check_flag("fair", fair)
    pair.need_members(least=2 if fair else 1)
    size, (shifted, limit) = pair.size, local_event(pair, threshold)

    def summed(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        votes, known = count_votes(members, observed, limit)
        chance = votes / size
        error = (chance - (observed >= limit)) ** 2
        if fair:
            error -= chance * (1 - chance) / (size - 1)
        weight = np.where(known, weight, 0.0)
        return np.stack([(error * weight).sum(axis=over), weight.sum(axis=over)], axis=-1)

    label = ("statistic", ["error", "weight"])
    result = ratio(sum_blocks(shifted, summed, label, weights=weights, dim=dim), "error")
    return result.assign_attrs(describe_event(pair, "Brier score", threshold))


def brier_decomposition_of(
    pair: Pair, threshold: Threshold, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Score an aligned pair with :func:`brier_decomposition`."""
    table = _table(pair, threshold, weights, dim)
    total = table["issued"].sum("probability")
    total = total.where(total > 0)
    share, base = table["issued"] / total, table["observed"].sum("probability") / total
    frequency = table["observed"] / table["issued"].where(table["issued"] > 0)
    reliable = (share * (frequency - table["probability"]) ** 2).sum("probability")
    resolution = (share * (frequency - base) ** 2).sum("probability")
    reliable, resolution = reliable.where(total > 0), resolution.where(total > 0)
    uncertainty = base * (1 - base)
    parts = {
        "brier": reliable - resolution + uncertainty,
        "reliability": reliable,
        "resolution": resolution,
        "uncertainty": uncertainty,
    }
    texts = {"brier": "Brier score"}
    return xr.Dataset(
        {
            n: v.assign_attrs(table.attrs, long_name=texts.get(n, f"{n} part of the Brier score"))
            for n, v in parts.items()
        }
    )


def reliability_of(
    pair: Pair,
    threshold: Threshold,
    weights: Weights = "area",
    dim: Dims = None,
    level: float = 0.9,
    independent: float = 1.0,
) -> xr.Dataset:
    """Score an aligned pair with :func:`reliability`."""
    level = check_number("level", level, 0, 1)
    independent = check_number("independent", independent, 0, above=True)
    table = _table(pair, threshold, weights, dim)
    issued = table["issued"]
    total = issued.sum("probability")
    cases = np.maximum(1, (table["points"] * independent).round())
    bars = {
        name: xr.apply_ufunc(
            stats.binom.ppf,
            quantile,
            cases,
            table["probability"],
            dask="parallelized",
            output_dtypes=[float],
        )
        / cases
        for name, quantile in (("low", (1 - level) / 2), ("high", (1 + level) / 2))
    }
    parts = {
        "frequency": table["observed"] / issued.where(issued > 0),
        "share": issued / total.where(total > 0),
        **{name: bar.where(issued > 0) for name, bar in bars.items()},
    }
    texts = {
        "frequency": "observed frequency",
        "share": "share of forecasts",
        "low": "lower end of the consistency bar",
        "high": "upper end of the consistency bar",
    }
    return xr.Dataset(
        {n: v.assign_attrs(table.attrs, long_name=texts[n]) for n, v in parts.items()}
    )


def roc_of(
    pair: Pair, threshold: Threshold, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Score an aligned pair with :func:`roc`."""
    table = _table(pair, threshold, weights, dim)
    hits = _warned_share(table["observed"])
    false = _warned_share(table["issued"] - table["observed"])
    # Both rates fall from 1 to 0 as the probability rises: trapezoids run from right to left.
    width = -false.diff("probability", label="lower")
    height = (hits + hits.shift(probability=-1)).isel(probability=slice(0, -1)) / 2
    parts = {
        "hit_rate": hits,
        "false_alarm_rate": false,
        "area": (width * height).sum("probability", skipna=False),
    }
    return xr.Dataset(
        {
            n: v.assign_attrs(table.attrs, long_name=f"ROC {n.replace('_', ' ')}")
            for n, v in parts.items()
        }
    )


def event_and_probability(pair: Pair, threshold: float) -> tuple[xr.DataArray, xr.DataArray]:
    """Return whether the event occurred, and its forecast probability (NaN if a value is missing).

    The probability of a single field is 0 or 1.
    """

    def share(members: np.ndarray, observed: np.ndarray) -> np.ndarray:
        votes, known = count_votes(np.moveaxis(members, -1, 0), observed, threshold)
        return np.where(known, votes / members.shape[-1], np.nan)

    forecast, member = pair.forecast, pair.member or "_single"
    if pair.member is None:
        forecast = forecast.expand_dims(member)
    if forecast.chunks is not None:
        forecast = forecast.copy(data=gather_members(forecast))
    chance = xr.apply_ufunc(
        share,
        forecast,
        pair.truth,
        input_core_dims=[[member], []],
        dask="parallelized",
        output_dtypes=[float],
    )
    return pair.truth >= threshold, chance.transpose(*pair.truth.dims)


def describe_event(pair: Pair, text: str, threshold: Threshold) -> dict[str, object]:
    """Return the attributes of a dimensionless score of an event."""
    value = named_threshold(pair, threshold)[1]
    attributes: dict[str, object] = {"long_name": text, "units": "1", "threshold": value}
    if pair.units is not None:
        attributes["threshold_units"] = pair.units
    if pair.member is not None:
        attributes["ensemble_size"] = pair.size
    return attributes


def _warned_share(counts: xr.DataArray) -> xr.DataArray:
    """Return the share of ``counts`` at each probability or above, and 0 at infinity."""
    total = counts.sum("probability")
    above = counts.isel(probability=slice(None, None, -1)).cumsum("probability")
    above = above.isel(probability=slice(None, None, -1)) / total.where(total > 0)
    above = above.assign_coords(probability=counts["probability"])
    never = (above.isel(probability=[-1]) * 0).assign_coords(probability=[np.inf])
    return xr.concat([above, never], "probability")


def _table(pair: Pair, threshold: Threshold, weights: Weights, dim: Dims) -> xr.Dataset:
    """Sum the forecasts of each probability k / M, and the events among them."""
    pair.need_members()
    shifted, limit = local_event(pair, threshold)

    def binned(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, list[Contribution]]:
        votes, known = count_votes(members, observed, limit)
        place, light, happened = votes[known], weight[known], observed[known] >= limit
        amounts = {"issued": light, "observed": light * happened, "points": np.ones(light.size)}
        return known, [(name, place, amount) for name, amount in amounts.items()]

    names = ["issued", "observed", "points"]
    table = sum_bins(shifted, binned, names, pair.size + 1, weights=weights, dim=dim)
    table = table.rename(bin="probability")
    table = table.assign_coords(probability=np.arange(pair.size + 1) / pair.size)
    return table.assign_attrs(describe_event(pair, "", threshold))


def count_votes(
    members: np.ndarray, observed: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Count the members (M, ...) with the event, and flag points without missing values."""
    votes, known = np.zeros(observed.shape, int), ~np.isnan(observed)
    for one in members:
        votes += one >= threshold
        known &= ~np.isnan(one)
    return votes, known
