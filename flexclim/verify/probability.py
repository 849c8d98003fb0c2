"""Forecasts of events: a value at or above a threshold, and how often members say so."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats

from flexclim.verify.align import align, each_variable, find_member, need_member
from flexclim.verify.sums import (
    Dims,
    Weights,
    kept_index,
    point_weights,
    reduced_dims,
    sum_blocks,
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
        (forecast >= threshold).astype(float),
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
    return xr.Dataset(
        {n: v.assign_attrs(table.attrs, long_name=f"Brier {n}") for n, v in parts.items()}
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
    Consistency bars after Bröcker and Smith (2007), Weather Forecast. 22, from the binomial
    distribution of the event.

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
    member = find_member(forecast)
    known = truth.notnull() & forecast.notnull()
    chance = (forecast >= threshold).astype(float)
    if member is not None:
        known, chance = known.all(member), chance.mean(member)
    edges = np.array([-0.5, 0.5, 1.5])
    table = xskillscore.Contingency(
        (truth >= threshold).astype(float).where(known),
        (chance >= probability).astype(float).where(known),
        edges,
        edges,
        dim=list(reduced_dims(truth.dims, dim)),
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
    """Count forecasts of each probability k / M, and events among them."""
    member = need_member(forecast)
    size = forecast.sizes[member]
    forecast, truth = align(forecast, truth)

    def summed(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        votes, known = np.zeros(observed.shape, int), ~np.isnan(observed)
        for one in members:
            votes += one >= threshold
            known &= ~np.isnan(one)
        index, count = kept_index(observed.shape, over)
        place = (index * (size + 1) + votes)[known]
        happened = (observed >= threshold)[known]
        columns = [weight[known], weight[known] * happened, np.ones(place.size)]
        length = count * (size + 1)
        counts = [np.bincount(place, column, minlength=length) for column in columns]
        return np.stack(counts).reshape(3, count, size + 1).swapaxes(0, 1).reshape(count, -1)

    label = ("cell", range(3 * (size + 1)))
    cells = sum_blocks(forecast, truth, summed, label, weights=weights, dim=dim)
    names = ("issued", "observed", "points")
    columns = {
        name: cells.isel(cell=slice(i * (size + 1), (i + 1) * (size + 1)))
        .drop_vars("cell")
        .rename(cell="probability")
        for i, name in enumerate(names)
    }
    table = xr.Dataset(columns).assign_coords(probability=np.arange(size + 1) / size)
    return table.assign_attrs(_attributes(forecast, truth, "", threshold))


def _attributes(
    forecast: xr.DataArray, truth: xr.DataArray, text: str, threshold: float
) -> dict[str, object]:
    attributes: dict[str, object] = {"long_name": text, "units": "1", "threshold": threshold}
    if (unit := forecast.attrs.get("units", truth.attrs.get("units"))) is not None:
        attributes["threshold_units"] = unit
    if (member := find_member(forecast)) is not None:
        attributes["ensemble_size"] = forecast.sizes[member]
    return attributes
