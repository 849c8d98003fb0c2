"""Quantiles of all values of a field, and how often a forecast exceeds those of the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from flexclim.errors import suggest_options
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.histogram import Batch, Histogram, count_values
from flexclim.verify.core.merging import merge_blocks
from flexclim.verify.core.option_checks import check_numbers
from flexclim.verify.core.scoring import Fields, score_pairs

LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
TAILS = (0.9, 0.95, 0.99, 0.999)
FORECAST, TRUTH = 0, 1


@suggest_options
def quantiles(
    forecast: Fields,
    truth: Fields,
    levels: Sequence[float] = LEVELS,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Quantiles of all members pooled, and of the truth (a quantile-quantile plot).

    Values are counted in at least 65 536 bins between the smallest and the largest value of both
    fields, which takes bounded memory and one pass over the data; quantiles are exact to the width
    of a bin.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`.
    levels
        Probabilities from 0 to 1.

    Returns
    -------
    Dataset
        (kept dimensions..., quantile) ``forecast`` and ``truth``.

    >>> values = xr.DataArray(np.arange(101.0), dims=["point"])
    >>> quantiles(values, values, levels=[0.5]).truth.values.round()
    array([50.])
    """
    return score_pairs(quantiles_of, forecast, truth, levels, weights, dim)


@suggest_options
def exceedance(
    forecast: Fields,
    truth: Fields,
    levels: Sequence[float] = TAILS,
    weights: Weights = "area",
    dim: Dims = None,
) -> Fields:
    """Ratio of how often members exceed high quantiles of the truth to how often the truth does.

    1 is perfect; at 0.5 half of the extremes are missing. Quantiles are found as in
    :func:`quantiles`; parameters as there. NaN where the truth never exceeds its quantile.

    >>> values = xr.DataArray(np.arange(1001.0), dims=["point"])
    >>> exceedance(values, values, levels=[0.9]).values.round(3)
    array([1.])
    """
    return score_pairs(exceedance_of, forecast, truth, levels, weights, dim)


def quantiles_of(
    pair: Pair,
    levels: Sequence[float] = LEVELS,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Score an aligned pair with :func:`quantiles`."""
    wanted = check_numbers("levels", levels, 0, 1)

    def finish(values: Histogram) -> np.ndarray:
        return np.stack(
            [
                np.concatenate([_quantiles(values, cell, n, wanted) for n in (FORECAST, TRUTH)])
                for cell in range(values.low.shape[1])
            ]
        )

    label = ("quantile", [*wanted, *wanted])
    found = merge_blocks(pair, _count, finish, label, weights=weights, dim=dim)
    attributes = pair.describe("quantile", values=True)
    parts = {"forecast": slice(0, wanted.size), "truth": slice(wanted.size, None)}
    return xr.Dataset(
        {name: found.isel(quantile=part).assign_attrs(attributes) for name, part in parts.items()}
    )


def exceedance_of(
    pair: Pair, levels: Sequence[float] = TAILS, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Score an aligned pair with :func:`exceedance`."""
    wanted = check_numbers("levels", levels, 0, 1)

    def finish(values: Histogram) -> np.ndarray:
        return np.stack([_excess(values, cell, wanted) for cell in range(values.low.shape[1])])

    label = ("quantile", list(wanted))
    found = merge_blocks(pair, _count, finish, label, weights=weights, dim=dim)
    text = "frequency above quantiles of the truth over the truth's"
    return found.assign_attrs(pair.describe(text, units="1"))


def _count(
    members: np.ndarray, observed: np.ndarray, weight: np.ndarray, cell: np.ndarray, cells: int
) -> Histogram:
    """Count the values of all members, and of the truth."""
    share = weight / len(members)
    batches = [Batch(source=FORECAST, values=one, amounts={FORECAST: share}) for one in members]
    batches.append(Batch(source=TRUTH, values=observed, amounts={TRUTH: weight}))
    return count_values(batches, cell, cells, columns=2)


def _quantiles(values: Histogram, cell: int, source: int, levels: np.ndarray) -> np.ndarray:
    """Return quantiles of one field in one cell, interpolated within a bin."""
    bins, sums, width = values.of_cell(cell)
    counts = sums[source]
    if counts.size == 0:
        return np.full(levels.size, np.nan)
    place, inside = _positions(counts, levels)
    found = (bins[place] + inside) * width
    return np.asarray(np.clip(found, values.low[source, cell], values.high[source, cell]))


def _positions(counts: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin that holds each quantile, and how far into the bin it lies (0 to 1)."""
    share = np.concatenate([[0.0], counts.cumsum()])
    share /= share[-1]
    place = np.searchsorted(share[1:], levels * (1 - 1e-12))
    # Level 0 lies in the first bin that is not empty.
    place = np.maximum(place, np.flatnonzero(counts)[0])
    inside = (levels - share[place]) / (share[place + 1] - share[place])
    return place, np.clip(inside, 0, 1)


def _excess(values: Histogram, cell: int, levels: np.ndarray) -> np.ndarray:
    """Return how often the forecast exceeds quantiles of the truth, relative to the truth."""
    _, sums, _ = values.of_cell(cell)
    if sums.size == 0:
        return np.full(levels.size, np.nan)
    place, inside = _positions(sums[TRUTH], levels)
    tail = sums[:, ::-1].cumsum(axis=1)[:, ::-1]  # exact where the truth has few values left
    above = (tail[:, place] - inside * sums[:, place]) / tail[:, :1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(above[TRUTH] > 1e-12, above[FORECAST] / above[TRUTH], np.nan)
