"""Quantile delta mapping of series, on arrays.

Cannon et al. (2015), https://doi.org/10.1175/JCLI-D-14-00754.1: a value x of rank tau within its
period becomes x + Q_ref(tau) - Q_hist(tau) or x Q_ref(tau) / Q_hist(tau), so that the model's
change of each quantile is kept. Quantiles are those of Hyndman and Fan's type 7, adjustments are
linear between them and constant beyond the outermost ones. Where quantiles of the past rise
steeply, Q_ref and Q_hist are interpolated instead of their ratio.
"""

# C cells, T times, S parts of the year, Q quantiles

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from flexclim.adjusting.seasons import MONTHS, Seasons, Window

Kind = Literal["additive", "multiplicative"]

# Where the model's past has next to none, the change of a quantile is at most this factor
# (ratio.max and ratio.max.trace of Cannon's R package MBC).
LARGEST_CHANGE = 2.0
NEXT_TO_NONE = 10.0  # traces
NEXT_TO_NO_MEAN = 0.1  # of the mean, of what has no traces
# Quantiles of the past that rise by more than this factor from one node to the next, such as from
# nights to days, have no ratio in between.
STEEP = 10.0
LACKING_DAYS = 2  # in a row, at most, in a calendar


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """How the values of a variable are treated, in its units.

    Parameters
    ----------
    kind
        Whether differences or ratios of quantiles are adjusted.
    trace
        Values below count as none: random numbers below it take their place while quantiles are
        mapped, and 0 afterwards. 0: there are no such values.
    lower, upper
        Bounds of the quantity; infinite where there is none.
    """

    kind: Kind
    trace: float = 0.0
    lower: float = -np.inf
    upper: float = np.inf


def nodes(count: int) -> np.ndarray:
    """Return the quantiles that are fitted: the middles of equal intervals.

    >>> nodes(4)
    array([0.125, 0.375, 0.625, 0.875])
    """
    return (np.arange(count) + 0.5) / count


def fit_quantiles(series: np.ndarray, seasons: Seasons, window: Window, count: int) -> np.ndarray:
    """Return the quantiles of each part of the year.

    Parameters
    ----------
    series
        (C, T); NaN is left out.
    count
        Number of quantiles.

    Returns
    -------
    ndarray
        (C, S, Q); NaN where there is no value. Days of the year that a calendar lacks
        have the quantiles of the next one.
    """
    result = np.full((len(series), window.parts, count), np.nan, series.dtype)
    present = np.unique(seasons.parts)
    for part, _, sample in seasons.samples(window):
        result[:, part] = _quantiles(np.sort(series[:, sample], axis=1), nodes(count))
    apart = np.abs(np.arange(window.parts)[:, None] - present)
    filled = result[:, present[apart.argmin(axis=1)]]
    filled[:, apart.min(axis=1) > (0 if window.parts == MONTHS else LACKING_DAYS)] = np.nan
    return filled


def _quantiles(ordered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return quantiles (C, Q) of ordered samples (C, n) with NaN at the end."""
    known = np.maximum((~np.isnan(ordered)).sum(axis=1), 1)
    place = wanted * (known[:, None] - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, known[:, None] - 1)
    share = (place - low).astype(ordered.dtype)
    below, above = (np.take_along_axis(ordered, one, axis=1) for one in (low, high))
    return np.asarray(below + share * (above - below))


def adjust_series(
    series: np.ndarray,
    reference: np.ndarray,
    historical: np.ndarray,
    seasons: Seasons,
    window: Window,
    treatment: Treatment,
    period: int,
) -> np.ndarray:
    """Map the values of series.

    Parameters
    ----------
    series
        (C, T); NaN stays NaN.
    reference, historical
        (C, S, Q) quantiles.
    period
        Years in which values are ranked.

    Returns
    -------
    ndarray
        (C, T).
    """
    result = np.full_like(series, np.nan)
    for ranked, changed in periods(seasons.years, period):
        if not (ranked & changed).any():  # years between two series
            continue
        own = seasons.within(ranked)
        part_of_series = series[:, ranked]
        wanted = changed[ranked]
        places = np.flatnonzero(ranked)
        for part, inside, sample in own.samples(window):
            inside = inside[wanted[inside]]
            if not inside.size:
                continue
            values = part_of_series[:, inside]
            rank = _ranks(values, np.sort(part_of_series[:, sample], axis=1))
            tables = reference[:, part], historical[:, part]
            result[:, places[inside]] = _mapped(values, rank, *tables, treatment)
    return bounded(result, series, treatment)


def periods(years: np.ndarray, length: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return which times are ranked together, and which of these are adjusted.

    Periods of ``length`` years begin every ``length // 3`` years. Of each the middle third is
    adjusted, of the first and the last one also what lies before and after.

    >>> [(int(a.sum()), int(b.sum())) for a, b in periods(np.arange(2015, 2101), 30)][:2]
    [(30, 20), (30, 10)]
    """
    first, last = int(years.min()), int(years.max())
    step = max(length // 3, 1)
    starts = list(range(first, max(last - length + 1, first), step))
    starts.append(max(last - length + 1, first))
    middles = [start + (length - step) // 2 for start in starts[1:]]
    edges = [first, *middles, last + 1]
    return [
        ((years >= start) & (years < start + length), (years >= low) & (years < high))
        for start, low, high in zip(starts, edges[:-1], edges[1:], strict=True)
    ]


def _ranks(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Return ranks (C, m) of values within ordered samples (C, n), from 0 to 1.

    Equal values have the mean of their ranks. The quantile of a sample at the rank of one of its
    values is this value.
    """
    result = np.full(values.shape, np.nan)
    known = (~np.isnan(ordered)).sum(axis=1)
    for cell, count in enumerate(known):
        sample, row = ordered[cell, :count], values[cell]
        before = sample.searchsorted(row) + sample.searchsorted(row, "right") - 1
        result[cell] = before / 2 / (count - 1) if count > 1 else 0.5
    result[np.isnan(values)] = np.nan
    return result


def _mapped(
    values: np.ndarray,
    rank: np.ndarray,
    reference: np.ndarray,
    historical: np.ndarray,
    treatment: Treatment,
) -> np.ndarray:
    """Return adjusted values (C, m); ``reference`` and ``historical`` are (C, Q)."""
    if treatment.kind == "additive":
        return np.asarray(values + _between(reference - historical, rank))
    past = _between(historical, rank)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(historical <= 0, 1, reference / historical)
        change = np.where(values == past, 1, values / past)
    result: np.ndarray = values * _between(ratios, rank)
    below, above, _ = _around(historical, rank)
    steep = above > STEEP * below
    few = NEXT_TO_NO_MEAN * historical.mean(axis=1, keepdims=True)
    if treatment.trace:
        few = np.full_like(few, NEXT_TO_NONE * treatment.trace)
    limited = (past <= 0) | ((past <= few) & (change > LARGEST_CHANGE))
    if (limited | steep).any():
        change = np.where(limited, np.minimum(change, LARGEST_CHANGE), change)
        result = np.where(limited | steep, change * _between(reference, rank), result)
    return result


def _around(table: np.ndarray, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values (C, m) of tables (C, Q) at the nodes around ranks, and places in between."""
    count = table.shape[1]
    place = np.clip(np.nan_to_num(rank) * count - 0.5, 0, count - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, count - 1)
    below, above = (np.take_along_axis(table, one, axis=1) for one in (low, high))
    return below, above, (place - low).astype(table.dtype)


def _between(table: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Interpolate tables (C, Q) at ranks (C, m), constantly beyond the outermost nodes."""
    below, above, share = _around(table, rank)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(share == 0, below, below + share * (above - below)))


def bounded(result: np.ndarray, series: np.ndarray, treatment: Treatment) -> np.ndarray:
    """Keep values within the quantity's bounds, as far as the model's own are."""
    if treatment.trace and treatment.kind == "multiplicative":
        result = np.where(result < treatment.trace, 0, result)
    lower = np.minimum(treatment.lower, series)
    upper = np.maximum(treatment.upper, series)
    bounded: np.ndarray = np.clip(result, lower, upper).astype(series.dtype)
    return bounded


def without_traces(series: np.ndarray, trace: float, seeds: np.ndarray, seed: int) -> np.ndarray:
    """Replace values below ``trace`` by random numbers between 0 and it.

    Parameters
    ----------
    series
        (C, T), not changed.
    seeds
        (C,) numbers of the cells, on which the random numbers depend.
    """
    if not trace:
        return series
    result = series.copy()
    for cell, number in zip(result, seeds, strict=True):
        few = cell < trace
        key = np.array([seed, int(number)], np.uint64)
        drawn = np.random.Generator(np.random.Philox(key=key)).random(cell.size)
        cell[few] = np.maximum(drawn[few], 1e-6) * trace
    return result
