"""Scores of the probability of an event, "at or above a threshold", given by the members.

xskillscore computes the Brier score and, where all points count equally, the table behind the
reliability diagram, the ROC curve and the parts of the Brier score. Its ``reliability`` and ``roc``
accept no weights, so weighted tables (by area, the default) are summed here. The ROC curve always
comes from the table, because ``xskillscore.roc`` builds one contingency table per probability and
loads lazy input while it builds the graph. Tests compare both ways.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import xarray as xr
from scipy import stats

from flexclim.errors import suggest_options
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.scoring import Fields, score_pairs
from flexclim.verify.core.sums import Contribution, sum_bins


@suggest_options
def brier(
    forecast: Fields,
    truth: Fields,
    threshold: float,
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
        In the forecast's units.
    fair
        Whether to estimate the score of an infinite ensemble (Ferro 2014).

    Notes
    -----
    Computed by :func:`xskillscore.brier_score`. Brier (1950), Mon. Weather Rev. 78.

    >>> forecast = xr.DataArray([0.0, 2.0], dims=["member"])
    >>> float(brier(forecast, xr.DataArray(3.0), threshold=1.0))
    0.25
    """
    return score_pairs(brier_of, forecast, truth, threshold, weights, dim, fair)


@suggest_options
def brier_decomposition(
    forecast: Fields,
    truth: Fields,
    threshold: float,
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
    threshold: float,
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
    With ``weights=None`` counted by :func:`xskillscore.reliability`. Consistency bars after Bröcker
    and Smith (2007), Weather Forecast. 22, from the binomial distribution of the event.

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
    threshold: float,
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
    threshold: float,
    weights: Weights = "area",
    dim: Dims = None,
    fair: bool = False,
) -> xr.DataArray:
    """Score an aligned pair with :func:`brier`."""
    import xskillscore

    member = pair.need_members(least=2 if fair else 1)
    known = pair.truth.notnull() & pair.forecast.notnull().all(member)
    over = list(pair.reduced_dims(dim))
    result: xr.DataArray = xskillscore.brier_score(
        (pair.truth >= threshold).astype(float).where(known),
        pair.forecast >= threshold,
        member_dim=member,
        fair=fair,
        dim=over,
        weights=pair.point_weights(weights).broadcast_like(pair.truth) if over else None,
    )
    return result.assign_attrs(describe_event(pair, "Brier score", threshold))


def brier_decomposition_of(
    pair: Pair, threshold: float, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Score an aligned pair with :func:`brier_decomposition`."""
    table = _table(pair, threshold, weights, dim)
    total = table["issued"].sum("probability")
    share = table["issued"] / total.where(total > 0)
    base = table["observed"].sum("probability") / total.where(total > 0)
    frequency = table["observed"] / table["issued"].where(table["issued"] > 0)
    reliable = (share * (frequency - table["probability"]) ** 2).sum("probability")
    resolution = (share * (frequency - base) ** 2).sum("probability")
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
    threshold: float,
    weights: Weights = "area",
    dim: Dims = None,
    level: float = 0.9,
    independent: float = 1.0,
) -> xr.Dataset:
    """Score an aligned pair with :func:`reliability`."""
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


def roc_of(pair: Pair, threshold: float, weights: Weights = "area", dim: Dims = None) -> xr.Dataset:
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
    known, chance = pair.truth.notnull() & pair.forecast.notnull(), pair.forecast >= threshold
    if pair.member is not None:
        known, chance = known.all(pair.member), chance.mean(pair.member)
    return pair.truth >= threshold, chance.astype(float).where(known)


def describe_event(pair: Pair, text: str, threshold: float) -> dict[str, object]:
    """Return the attributes of a dimensionless score of an event."""
    attributes: dict[str, object] = {"long_name": text, "units": "1", "threshold": threshold}
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


def _table(pair: Pair, threshold: float, weights: Weights, dim: Dims) -> xr.Dataset:
    """Sum the forecasts of each probability k / M, and the events among them."""
    pair.need_members()
    over = list(pair.reduced_dims(dim))
    if weights is None and over:
        table = _counted(pair, threshold, over)
    else:
        table = _weighted(pair, threshold, weights, dim)
    table = table.assign_coords(probability=np.arange(pair.size + 1) / pair.size)
    return table.assign_attrs(describe_event(pair, "", threshold))


def _counted(pair: Pair, threshold: float, over: list[Hashable]) -> xr.Dataset:
    import xskillscore

    event, chance = event_and_probability(pair, threshold)
    edges = (np.arange(pair.size + 2) - 0.5) / pair.size
    found = xskillscore.reliability(event, chance, dim=over, probability_bin_edges=edges)
    found = found.rename(forecast_probability="probability")
    issued = found["samples"].drop_vars("samples")
    observed = (found.drop_vars("samples") * issued).fillna(0).round()
    return xr.Dataset({"issued": issued, "observed": observed, "points": issued})


def _weighted(pair: Pair, threshold: float, weights: Weights, dim: Dims) -> xr.Dataset:
    def binned(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, list[Contribution]]:
        votes, known = np.zeros(observed.shape, int), ~np.isnan(observed)
        for one in members:
            votes += one >= threshold
            known &= ~np.isnan(one)
        place, light, happened = votes[known], weight[known], observed[known] >= threshold
        amounts = {"issued": light, "observed": light * happened, "points": np.ones(light.size)}
        return known, [(name, place, amount) for name, amount in amounts.items()]

    names = ["issued", "observed", "points"]
    table = sum_bins(pair, binned, names, pair.size + 1, weights=weights, dim=dim)
    return table.rename(bin="probability")
