"""The colder and the warmer half of a training period, to tell whether a model extrapolates."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.train.data.series import Series
from flexclim.train.data.time_axis import has_dates

Half = Literal["colder", "warmer"]
YEARS = 4  # so many are halved as a whole, so that each half has all seasons
BATCH = 64  # planes that are read together


def half_of(
    chosen: np.ndarray, means: np.ndarray, times: np.ndarray, half: Half, title: str
) -> np.ndarray:
    """Return those of the chosen times that belong to the half with the lower or higher means.

    Whole years are ranked by their means where there are at least four, else single times. An odd
    one in the middle belongs to the colder half.

    Parameters
    ----------
    chosen
        Indices of times.
    means
        (time,) mean over the area at each of them.
    times
        (time,) values of the time coordinate at each of them.

    Raises
    ------
    RecipeError
        If there are fewer than two times, or a mean is missing.
    """
    if not np.isfinite(means).all() or chosen.size < 2:
        raise RecipeError(
            f"{title} has {int(np.isfinite(means).sum())} of {chosen.size} training times with "
            "values, too few to halve; leave data.colder_half out, or choose another variable."
        )
    groups = np.arange(chosen.size)
    if has_dates(times):
        years = xr.DataArray(times, dims="time").dt.year.values
        if np.unique(years).size >= YEARS:
            groups = np.unique(years, return_inverse=True)[1]
    by_group = np.bincount(groups, means) / np.bincount(groups)
    ranks = np.argsort(np.argsort(by_group, kind="stable"))
    colder = ranks[groups] < -(-by_group.size // 2)
    return np.asarray(chosen[colder if half == "colder" else ~colder])


def area_means(series: Series, times: np.ndarray) -> np.ndarray:
    """Return the mean of the cells of a variable at each of some times; NaN where none is known."""
    means = []
    for first in range(0, times.size, BATCH):
        planes = series.read_all(times[first : first + BATCH]).astype(float)
        known = np.isfinite(planes)
        total = np.where(known, planes, 0).sum(axis=(1, 2))
        count = known.sum(axis=(1, 2))
        means.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    return np.concatenate(means)
