"""Which times of a source belong to training and which to validation."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.train.data.time_axis import has_dates, in_seconds, text_of
from flexclim.train.recipes.source_settings import SourceSettings

# With data.colder_half, "train" is that half of the training period, and "warmer" the other.
Split = Literal["train", "validate", "warmer"]
YEAR = r"\d{4}"


def split_times(
    times: np.ndarray,
    usable: np.ndarray,
    settings: SourceSettings,
    gap: str,
    split: Split,
    title: str,
) -> np.ndarray:
    """Return the indices of the times of a split.

    Parameters
    ----------
    times, usable
        (time,) values of the time coordinate, and whether each can be read.
    gap
        Training times this close to validation, or closer, are left out.
    title
        Name of the source in messages.

    Raises
    ------
    RecipeError
        If no time is left.
    """
    if split == "validate":
        assert settings.validate_ is not None
        return select_times(times, usable, settings.validate_, title)
    chosen = select_times(times, usable, settings.train, title)
    if settings.validate_ is None:
        return chosen
    other = select_times(times, usable, settings.validate_, title)
    kept = apart(times, chosen, other, gap)
    if kept.size == 0:
        raise RecipeError(
            f"all {chosen.size} training times of {title} lie within {gap} of validation; "
            "choose other splits or a smaller data.gap."
        )
    return kept


def select_times(
    times: np.ndarray, usable: np.ndarray, period: tuple[str, str], title: str
) -> np.ndarray:
    """Return the indices of the times of a period, both ends included.

    Parameters
    ----------
    period
        Dates or parts of dates such as ``2018-10``, or indices of times. Two whole numbers are
        indices, except that two of four digits are years where the source has dates (``01000``
        is an index).

    Raises
    ------
    RecipeError
        If there is none.
    """
    hint = ""
    if not times.size:
        raise RecipeError(f"{title} has no times.")
    if _are_indices(period, times, title):
        first, last = map(int, period)
        chosen = np.arange(times.size)[first : last + 1 or None]
    else:
        if all(re.fullmatch(YEAR, part) for part in period):
            hint = f" Four digits are a year; 0{period[0]} is an index."
        order = np.argsort(times, kind="stable")
        positions = xr.DataArray(order, dims="time", coords={"time": times[order]})
        try:
            chosen = np.sort(positions.sel(time=slice(*period)).values)
        except (KeyError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise RecipeError(
                f"{period[0]} to {period[1]} is not a period: {reason}{hint}"
            ) from None
    chosen = chosen[usable[chosen]]
    if chosen.size == 0:
        raise RecipeError(
            f"{title} has no time from {period[0]} to {period[1]}; it runs from "
            f"{text_of(times.min())} to {text_of(times.max())}, {times.size} times in all.{hint}"
        )
    return np.asarray(chosen)


def _are_indices(period: tuple[str, str], times: np.ndarray, title: str) -> bool:
    """Return whether a period gives indices of times rather than dates."""
    numbers = [re.fullmatch(r"-?\d+", part) is not None for part in period]
    if not has_dates(times):
        if all(numbers):
            return True
        raise RecipeError(
            f"{title} has no dates; give splits as indices, such as ['0', '{times.size - 1}']."
        )
    years = [re.fullmatch(YEAR, part) is not None for part in period]
    if all(numbers):
        return not all(years)
    for part, number, year in zip(period, numbers, years, strict=True):
        if number and not year:
            raise RecipeError(
                f"{period[0]} to {period[1]} is not a period of {title}: {part} is an index and "
                "the other a date; give two dates or two indices."
            )
    return False


def apart(times: np.ndarray, training: np.ndarray, other: np.ndarray, gap: str) -> np.ndarray:
    """Return the training times that lie more than ``gap`` away from all ``other`` ones.

    Parameters
    ----------
    times
        (time,) of the source.
    training, other
        Indices into them.
    gap
        A duration. Of counted times, only those in both sets are left out.
    """
    if times.dtype.kind in "if":
        return np.asarray(training[~np.isin(training, other)])
    try:
        width = pd.Timedelta(gap)
    except ValueError:
        raise RecipeError(f"data.gap = {gap!r} is not a duration such as 6h or 2D.") from None
    seconds = in_seconds(times)
    reference = np.sort(seconds[other])
    right = np.searchsorted(reference, seconds[training])
    near = np.full(training.size, np.inf)
    for side in (right - 1, right):
        found = reference[np.clip(side, 0, reference.size - 1)]
        near = np.minimum(near, np.abs(found - seconds[training]))
    return np.asarray(training[near > width.total_seconds()])
