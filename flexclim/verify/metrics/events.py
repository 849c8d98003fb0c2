"""The event of the probabilistic scores, where none is given: a high value of the truth."""

from __future__ import annotations

import numpy as np
import xarray as xr

from flexclim.verify.core.alignment import Pair
from flexclim.verify.core.sums import Contribution, sum_bins

BINS = 2**16
LEVEL = 0.9


def event_threshold(truth: xr.DataArray) -> float:
    """Return the 90 per cent quantile or, if that is the smallest value, the others' median.

    Quantiles are exact to 1/65 536 of the range; 0 where the truth has no values.
    """
    ends = xr.Dataset({"low": truth.min(), "high": truth.max()}).compute()
    low, high = float(ends["low"]), float(ends["high"])
    if np.isnan(low):
        return 0.0
    level = _quantile(truth, low, high, LEVEL)
    if level - low > 2 * (high - low) / BINS or low == high:
        return level
    rest = truth.where(truth > low)
    return _quantile(rest, float(rest.min()), high, 0.5)


def _quantile(truth: xr.DataArray, low: float, high: float, level: float) -> float:
    """Return a quantile weighted by area, from a histogram between the ends of the values."""
    width = (high - low) or 1.0

    def binned(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, list[Contribution]]:
        known = ~np.isnan(observed)
        found = ((observed[known].astype(float) - low) / width * BINS).astype(int)
        return known, [("truth", np.clip(found, 0, BINS - 1), weight[known])]

    alone = Pair(forecast=truth, truth=truth, member=None)
    counts = sum_bins(alone, binned, ["truth"], BINS, weights="area", dim=None)["truth"].values
    total = counts.cumsum()
    share = np.concatenate([[0.0], total / total[-1]])
    place = min(int(np.searchsorted(share[1:], level * (1 - 1e-12))), BINS - 1)
    inside = (level - share[place]) / (share[place + 1] - share[place])
    return float(low + (place + np.clip(inside, 0, 1)) * (high - low) / BINS)
