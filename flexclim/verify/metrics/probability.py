"""Forecasts of events: a value at or above a threshold, and how often members say so.

xskillscore computes the Brier score, contingency scores, and the table behind reliability, ROC and
the parts of the Brier score where all points count alike. Its ``reliability`` and ``roc`` take no
weights, so with weights (of area, by default) the same table is added up here; and its ``roc``,
which builds one contingency table for each probability, computes lazy input while it plans, so the
curve is drawn from the table too. Tests hold all of them equal to xskillscore.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from flexclim.errors import FlexclimError
from flexclim.verify.core.align import align, each_variable, find_member, need_member
from flexclim.verify.core.sums import (
    Dims,
    Weights,
    point_weights,
    reduced_dims,
    sum_bins,
)


@each_variable
def brier(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    threshold: float,
    weights: Weights = "area",
    dim: Dims = None,
    fair: bool = False,
) -> xr.DataArray:
    """Brier score of the event "at or above ``threshold``": mean squared error of probability.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`.
    threshold
        In the forecast's units.
    fair
        Whether to score what an ensemble without end would (Ferro 2014).

    Notes
    -----
    Computed by :func:`xskillscore.brier_score`. Brier (1950), Mon. Weather Rev. 78.

    >>> forecast = xr.DataArray([0.0, 2.0], dims=["member"])
    >>> float(brier(forecast, xr.DataArray(3.0), threshold=1.0))
    0.25
    """
    import xskillscore

    member = need_member(forecast, least=2 if fair else 1)
    forecast, truth = align(forecast, truth)
    known = truth.notnull() & forecast.notnull().all(member)
    over = list(reduced_dims(truth.dims, dim))
    result = xskillscore.brier_score(
        (truth >= threshold).astype(float).where(known),
        forecast >= threshold,
        member_dim=member,
        fair=fair,
        dim=over,
        weights=point_weights(truth, weights).broadcast_like(truth) if over else None,
    )
    return result.assign_attrs(_attributes(forecast, truth, "Brier score", threshold))


@each_variable
def brier_decomposition(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    threshold: float,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Brier score in three parts: ``brier`` = ``reliability`` - ``resolution`` + ``uncertainty``.

    M members can say M + 1 probabilities, and these are the groups, so the sum is exact.
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
    table = _table(forecast, truth, threshold, weights, dim)
    total = table["issued"].sum("probability")
    share = table["issued"] / total.where(total > 0)
    base = table["observed"].sum("probability") / total.where(total > 0)
    frequency = table["observed"] / table["issued"].where(table["issued"] > 0)
    reliability = (share * (frequency - table["probability"]) ** 2).sum("probability")
    resolution = (share * (frequency - base) ** 2).sum("probability")
    uncertainty = base * (1 - base)
    parts = {
        "brier": reliability - resolution + uncertainty,
        "reliability": reliability,
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


@each_variable
def reliability(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    threshold: float,
    weights: Weights = "area",
    dim: Dims = None,
    level: float = 0.9,
    independent: float = 1.0,
) -> xr.Dataset:
    """Reliability diagram: how often the event happened when members gave each probability.

    Parameters
    ----------
    forecast, truth, threshold, weights, dim
        As in :func:`brier`.
    level
        Share of diagrams of a reliable forecast that lie inside the consistency bars at one
        probability.
    independent
        Independent cases a point counts as; below 1 for fields whose neighbours are alike.

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
    table = _table(forecast, truth, threshold, weights, dim)
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


@each_variable
def roc(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    threshold: float,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Relative operating characteristic: hits against false alarms at each probability.

    Returns
    -------
    Dataset
        (kept dimensions..., probability) ``hit_rate`` and ``false_alarm_rate`` where the alarm
        is given at that probability or above (an infinite one: never), and ``area`` below the
        curve: 1 is perfect, 1/2 no skill. Parameters as in :func:`brier`.

    Notes
    -----
    Mason (1982), Aust. Meteorol. Mag. 30.

    >>> forecast = xr.DataArray([[0.0, 2.0], [2.0, 2.0]], dims=["member", "point"])
    >>> truth = xr.DataArray([0.0, 3.0], dims=["point"])
    >>> float(roc(forecast, truth, threshold=1.0).area)
    1.0
    """
    table = _table(forecast, truth, threshold, weights, dim)
    hits = _alarms(table["observed"])
    false = _alarms(table["issued"] - table["observed"])
    # hits fall from 1 to 0, so trapezoids are counted from the right
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


def _alarms(counts: xr.DataArray) -> xr.DataArray:
    """Return the share of ``counts`` at each probability and above, and 0 at the end."""
    total = counts.sum("probability")
    above = counts.isel(probability=slice(None, None, -1)).cumsum("probability")
    above = above.isel(probability=slice(None, None, -1)) / total.where(total > 0)
    above = above.assign_coords(probability=counts["probability"])
    never = (above.isel(probability=[-1]) * 0).assign_coords(probability=[np.inf])
    return xr.concat([above, never], "probability")


@each_variable
def contingency(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    threshold: float,
    probability: float = 0.5,
    dim: Dims = None,
) -> xr.Dataset:
    """Scores of yes-or-no warnings: yes where enough members are at or above ``threshold``.

    Parameters
    ----------
    forecast
        Ensemble, or a single field.
    truth, threshold, dim
        As in :func:`brier`; all points count alike.
    probability
        Share of the members that a warning takes.

    Raises
    ------
    FlexclimError
        If ``dim`` names no dimension: a table needs points to count.

    Returns
    -------
    Dataset
        ``hit_rate``, ``false_alarm_ratio``, ``false_alarm_rate``, ``bias_score``,
        ``threat_score``, ``equit_threat_score``, ``heidke_score``, ``peirce_score``, as
        :class:`xskillscore.Contingency` defines them.

    >>> forecast = xr.DataArray([0.0, 2.0, 2.0, 0.0], dims=["point"])
    >>> truth = xr.DataArray([0.0, 3.0, 0.0, 0.0], dims=["point"])
    >>> float(contingency(forecast, truth, threshold=1.0).threat_score)
    0.5
    """
    import xskillscore

    forecast, truth = align(forecast, truth)
    over = list(reduced_dims(truth.dims, dim))
    if not over:
        raise FlexclimError(
            f"dim={dim!r} leaves no points to count: name at least one of {tuple(truth.dims)}."
        )
    event, chance = _event_and_chance(forecast, truth, threshold)
    edges = np.array([-0.5, 0.5, 1.5])
    table = xskillscore.Contingency(
        event.astype(float),
        (chance >= probability).astype(float).where(chance.notnull()),
        edges,
        edges,
        dim=over,
    )
    parts = {
        "hit_rate": table.hit_rate(),
        "false_alarm_ratio": table.false_alarm_ratio(),
        "false_alarm_rate": table.false_alarm_rate(),
        "bias_score": table.bias_score(),
        "threat_score": table.threat_score(),
        "equit_threat_score": table.equit_threat_score(),
        "heidke_score": table.heidke_score(),
        "peirce_score": table.peirce_score(),
    }
    attributes = _attributes(forecast, truth, "", threshold)
    return xr.Dataset(
        {n: v.assign_attrs(attributes, long_name=n.replace("_", " ")) for n, v in parts.items()}
    ).drop_vars(["observations_category", "forecasts_category"], errors="ignore")


def _table(
    forecast: xr.DataArray, truth: xr.DataArray, threshold: float, weights: Weights, dim: Dims
) -> xr.Dataset:
    """Add up forecasts of each probability k / M, and events among them.

    Where all points count alike it is :func:`xskillscore.reliability` that counts. It takes no
    weights, so weighted sums are added here.
    """
    member = need_member(forecast)
    size = forecast.sizes[member]
    forecast, truth = align(forecast, truth)
    over = list(reduced_dims(truth.dims, dim))
    if weights is None and over:
        table = _counted(forecast, truth, threshold, over)
    else:
        table = _weighted(forecast, truth, threshold, weights, dim)
    table = table.assign_coords(probability=np.arange(size + 1) / size)
    return table.assign_attrs(_attributes(forecast, truth, "", threshold))


def _counted(
    forecast: xr.DataArray, truth: xr.DataArray, threshold: float, over: list[Hashable]
) -> xr.Dataset:
    import xskillscore

    size = forecast.sizes[need_member(forecast)]
    event, chance = _event_and_chance(forecast, truth, threshold)
    edges = (np.arange(size + 2) - 0.5) / size
    found = xskillscore.reliability(event, chance, dim=over, probability_bin_edges=edges)
    found = found.rename(forecast_probability="probability")
    issued = found["samples"].drop_vars("samples")
    observed = (found.drop_vars("samples") * issued).fillna(0).round()
    return xr.Dataset({"issued": issued, "observed": observed, "points": issued})


def _weighted(
    forecast: xr.DataArray, truth: xr.DataArray, threshold: float, weights: Weights, dim: Dims
) -> xr.Dataset:
    def binned(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, list[Any]]:
        votes, known = np.zeros(observed.shape, int), ~np.isnan(observed)
        for one in members:
            votes += one >= threshold
            known &= ~np.isnan(one)
        place, light, happened = votes[known], weight[known], observed[known] >= threshold
        amounts = {"issued": light, "observed": light * happened, "points": np.ones(light.size)}
        return known, [(name, place, amount) for name, amount in amounts.items()]

    names = ["issued", "observed", "points"]
    bins = forecast.sizes[need_member(forecast)] + 1
    table = sum_bins(forecast, truth, binned, names, bins, weights=weights, dim=dim)
    return table.rename(bin="probability")


def _event_and_chance(
    forecast: xr.DataArray, truth: xr.DataArray, threshold: float
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return whether the event happened, and its chance, NaN where a value is missing."""
    known, chance = truth.notnull() & forecast.notnull(), forecast >= threshold
    if (member := find_member(forecast)) is not None:
        known, chance = known.all(member), chance.mean(member)
    return truth >= threshold, chance.astype(float).where(known)


def _attributes(
    forecast: xr.DataArray, truth: xr.DataArray, text: str, threshold: float
) -> dict[str, object]:
    attributes: dict[str, object] = {"long_name": text, "units": "1", "threshold": threshold}
    if (unit := forecast.attrs.get("units", truth.attrs.get("units"))) is not None:
        attributes["threshold_units"] = unit
    if (member := find_member(forecast)) is not None:
        attributes["ensemble_size"] = forecast.sizes[member]
    return attributes
