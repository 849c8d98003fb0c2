"""Wet and dry spells: how long values stay above or below a threshold."""

from __future__ import annotations

from typing import cast

import numpy as np
import xarray as xr

from flexclim.errors import suggest_options
from flexclim.verify.climate.precipitation import WET_DAY, millimetres_a_day
from flexclim.verify.climate.samples import by_cell
from flexclim.verify.climate.yearly_series import daily, describe, each_variable, time_series
from flexclim.verify.core.option_checks import check_count, check_number

SPELLS = ("above", "below")


@suggest_options
def spells(
    field: xr.DataArray | xr.Dataset, threshold: float | None = None, *, longest: int = 30
) -> xr.Dataset:
    """Lengths of spells of days at or above a threshold, and of days below it.

    Parameters
    ----------
    field
        (realization, time, ...) of days, in any calendar; a Dataset: each variable. Spells of all
        members are pooled.
    threshold
        In the field's units. Default: 1 mm a day of precipitation, for wet and dry spells.
    longest
        Largest length in days to look at.

    Returns
    -------
    Dataset
        ``share`` (spell, days, ...): of the spells ``"above"`` (wet) and ``"below"`` (dry), how
        many last at least 1, 2, ... ``longest`` days; ``mean_length`` (spell, ...) in days;
        ``number`` (spell, ...) of spells. Shares and lengths are NaN where there is no spell. A
        missing day, and either end of the series, ends a spell. Lazy if the field is.

    Raises
    ------
    FlexclimError
        If there are no dates, the series is not daily, or there is no threshold.

    >>> days = xr.date_range("2001-01-01", periods=6, freq="D")
    >>> rain = xr.DataArray([0.0, 5, 2, 0, 0, 0], {"time": days}, attrs={"units": "mm d-1"})
    >>> spells(rain.rename("pr"), longest=3).mean_length.values
    array([2., 2.])
    """
    return cast(xr.Dataset, each_variable(spells_of, field, threshold, longest))


def spells_of(
    field: xr.DataArray, threshold: float | None = None, longest: int = 30, role: str = "field"
) -> xr.Dataset:
    """Return the :func:`spells` of one variable."""
    longest = check_count("longest", longest, high=3660)
    series = time_series(field, role)
    if threshold is None:
        series, limit = millimetres_a_day(series, role), WET_DAY
    else:
        limit = check_number("threshold", threshold)
    series = daily(series)

    def lengths(values: np.ndarray) -> np.ndarray:
        known = np.isfinite(values)
        states = known & (values >= limit), known & (values < limit)
        return np.concatenate([_spell_counts(state, longest) for state in states], axis=-1)

    flat = by_cell(series, lengths, ("part", range(2 * (longest + 1))))
    parts = flat.drop_vars("part").coarsen(part=longest + 1).construct(part=("spell", "days"))
    parts = parts.assign_coords(spell=np.array(SPELLS, object))
    total = parts.isel(days=longest)
    counts = parts.isel(days=slice(0, longest)).assign_coords(days=np.arange(1, longest + 1))
    at_least = counts.isel(days=slice(None, None, -1)).cumsum("days")
    at_least = at_least.isel(days=slice(None, None, -1)).assign_coords(days=counts["days"])
    number = counts.sum("days")
    some = number.where(number > 0)
    found = {
        "share": (at_least / some, "share of spells that last at least so long", "1"),
        "mean_length": (total / some, "mean length of spells", "d"),
        "number": (number, "number of spells", "1"),
    }
    shown = f"{limit:g} {series.attrs.get('units', '')}".rstrip()
    return xr.Dataset(
        {
            name: part.transpose("spell", *(["days"] if name == "share" else []), ...).assign_attrs(
                describe(series, text, units=units), threshold=shown
            )
            for name, (part, text, units) in found.items()
        }
    )


def _spell_counts(state: np.ndarray, longest: int) -> np.ndarray:
    """Count the spells of (..., member, time) by length, longer ones with ``longest``.

    Returns
    -------
    ndarray
        (..., longest + 1) counts of all members, and the sum of all lengths.
    """
    cells = int(np.prod(state.shape[:-2]))
    rows = state.reshape(cells * state.shape[-2], -1)
    edges = np.diff(np.pad(rows, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges == 1)
    length = np.nonzero(edges == -1)[1] - start
    cell = row // state.shape[-2]
    place = cell * longest + np.minimum(length, longest) - 1
    counts = np.bincount(place, minlength=cells * longest).reshape(cells, longest)
    total = np.bincount(cell, length, minlength=cells)[:, None]
    return np.concatenate([counts, total], axis=1).reshape(*state.shape[:-2], longest + 1)
