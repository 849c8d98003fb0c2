"""Joint adjustment of several variables by MBCn, through xsdba.

Cannon (2018), https://doi.org/10.1007/s00382-017-3580-6: values that were adjusted one variable at
a time are reordered in time, so that variables depend on each other as in the reference.
"""

# C cells, V variables, T days of the training period, N of the series; years of 365 days

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from flexclim.adjusting.lazy_mapping import Chunks, in_blocks, over_blocks
from flexclim.adjusting.quantile_mapping import Treatment, bounded, nodes, periods, without_traces
from flexclim.adjusting.time_series import Reading, Series
from flexclim.cf.times import calendar_of
from flexclim.errors import FlexclimError, warn

YEAR_DAYS = 365
ROTATIONS = 20
# Blocks of 5 days are adjusted within samples of 7 such blocks.
BLOCKS = 7
KINDS = {"additive": "+", "multiplicative": "*"}
VARIABLE, TRAINING, DAY = "multivar", "training_day", "day"


@dataclass(frozen=True, kw_only=True)
class Joint:
    """A variable that is adjusted jointly with others.

    Parameters
    ----------
    reference, historical, fields
        Series of the reference and of the model.
    alone
        (..., time) the field as adjusted by itself; 29 February and incomplete years stay so.
    treatment
        How it is treated.
    """

    reference: Series
    historical: Series
    fields: Series
    alone: xr.DataArray
    treatment: Treatment

    @property
    def readings(self) -> tuple[Reading, Reading, Reading]:
        """How the three are read."""
        return self.reference.reading, self.historical.reading, self.fields.reading


def adjust_jointly(
    joints: Sequence[Joint], quantiles: int, chunks: Chunks, seed: int
) -> list[xr.DataArray]:
    """Return lazily the jointly adjusted variables (..., time).

    Raises
    ------
    FlexclimError
        If there is only one variable, or a period does not consist of whole years.
    """
    if len(joints) < 2:
        raise FlexclimError("multivariate='mbcn' needs at least two variables. Name them.")
    first = joints[0]
    past = [whole_years(one) for one in (first.reference, first.historical)]
    length = min(own.size for own in past)
    days = whole_years(first.fields)
    if days.size < length:
        raise FlexclimError(
            f"the model has {days.size // YEAR_DAYS} whole years, fewer than the "
            f"{length // YEAR_DAYS} of the training period, which MBCn needs. Pass a longer series."
        )
    joint = partial(
        _joint,
        readings=[one.readings for one in joints],
        treatments=[one.treatment for one in joints],
        days=days,
        years=first.fields.times.dt.year.values[days],
        count=quantiles,
        seed=seed,
    )
    time = first.fields.time
    series = [
        _together([in_blocks(one, chunks) for one in own], at, name)
        for own, at, name in (
            ([one.reference for one in joints], past[0][:length], TRAINING),
            ([one.historical for one in joints], past[1][:length], TRAINING),
            ([one.fields for one in joints], days, DAY),
        )
    ]
    every = np.arange(first.fields.times.size)
    alone = _together([one.alone for one in joints], every, time)
    cores = [(VARIABLE, dim) for dim in (time, TRAINING, TRAINING, DAY)]
    result = over_blocks(joint, [alone, *series], cores, (VARIABLE, time))
    return [result.isel({VARIABLE: at}) for at in range(len(joints))]


def whole_years(series: Series) -> np.ndarray:
    """Return the positions of the days of whole years, without 29 February.

    Raises
    ------
    FlexclimError
        If months have 30 days, or days are missing in between.
    """
    dates = series.times.dt
    months_of_30 = calendar_of(series.times) == "360_day"
    years, month, day = dates.year.values, dates.month.values, dates.day.values
    kept = (month != 2) | (day != 29)
    counts = dict(zip(*np.unique(years[kept], return_counts=True), strict=True))
    whole = [year for year, count in counts.items() if count == YEAR_DAYS]
    inner = list(counts)[1:-1]
    if months_of_30 or not whole or not set(inner) <= set(whole):
        found = "a calendar of 360 days" if months_of_30 else "incomplete years"
        raise FlexclimError(
            f"{series.role} has {found}, where MBCn needs all days of whole years. Convert it with "
            ".convert_calendar('noleap'), or leave multivariate out."
        )
    return np.flatnonzero(kept & np.isin(years, whole))


def _together(fields: list[xr.DataArray], at: np.ndarray, name: Hashable) -> xr.DataArray:
    """Return variables (..., variable, time) at some times, under another name of these."""
    plain = [xr.DataArray(one.variable[..., at]).rename({one.dims[-1]: name}) for one in fields]
    joined = xr.concat(plain, VARIABLE).transpose(..., VARIABLE, name)
    return joined.chunk({VARIABLE: -1, name: -1})


def _joint(
    alone: np.ndarray,
    reference: np.ndarray,
    historical: np.ndarray,
    fields: np.ndarray,
    numbers: np.ndarray,
    *,
    readings: list[tuple[Reading, Reading, Reading]],
    treatments: list[Treatment],
    days: np.ndarray,
    years: np.ndarray,
    count: int,
    seed: int,
) -> np.ndarray:
    """Return jointly adjusted series (C, V, time); ``fields`` (C, V, N) are whole years."""
    given = reference, historical, fields
    truth, past, later = (np.empty(one.shape) for one in given)
    for at, treatment in enumerate(treatments):
        for read, one, full in zip(readings[at], given, (truth, past, later), strict=True):
            full[:, at] = without_traces(read(one[:, at]), treatment.trace, numbers, seed)
    result = alone.copy()
    missing = np.isnan(alone)
    known = ~missing.any(axis=(1, 2))
    if (~known & ~missing.all(axis=2).any(axis=1)).any():
        warn(
            "cells that lack values on some days are adjusted one variable at a time, since MBCn "
            "needs all days. Fill the gaps first, for example with .interpolate_na."
        )
    if not known.any():
        return result
    length = historical.shape[-1]
    for ranked, changed in periods(years, length // YEAR_DAYS):
        own_years = later[np.ix_(known, np.ones(len(treatments), bool), ranked)]
        found = _mbcn(truth[known], past[known], own_years, treatments, count, seed)
        for at, treatment in enumerate(treatments):
            own = bounded(found[:, at], own_years[:, at], treatment)
            here = np.ix_(np.flatnonzero(known), np.array([at]), days[changed])
            result[here] = own[:, np.newaxis, changed[ranked]]
    return result


def _mbcn(
    reference: np.ndarray,
    historical: np.ndarray,
    fields: np.ndarray,
    treatments: list[Treatment],
    count: int,
    seed: int,
) -> np.ndarray:
    """Apply MBCn to series (C, V, T) of as many years."""
    import xsdba
    from scipy.stats import special_ortho_group

    names = [str(at) for at in range(len(treatments))]
    times = xr.date_range(
        "2001-01-01", periods=fields.shape[-1], calendar="noleap", use_cftime=True
    )
    truth, past, later = (
        xr.DataArray(one, dims=("cell", VARIABLE, "time"), coords={VARIABLE: names, "time": times})
        for one in (reference, historical, fields)
    )
    prime = f"{VARIABLE}_prime"
    rotations = xr.DataArray(
        special_ortho_group.rvs(len(names), ROTATIONS, random_state=seed),
        dims=("iterations", VARIABLE, prime),
        coords={VARIABLE: names, prime: names},
        attrs={"crd_dim": VARIABLE, "new_dim": prime},
    )
    how: dict[str, Any] = {"interp": "linear", "extrapolation": "constant"}
    group = {"nquantiles": nodes(count), "group": xsdba.Grouper("5D", BLOCKS)}
    kinds = {n: {"kind": KINDS[one.kind]} for n, one in zip(names, treatments, strict=True)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions to come, and of cells without values
        trained = xsdba.MBCn.train(
            truth,
            past,
            base_kws=group,
            adj_kws=dict(how),
            rot_matrices=rotations,
            skip_input_checks=True,
        )
        found = trained.adjust(
            later,
            ref=truth,
            hist=past,
            base=xsdba.QuantileDeltaMapping,
            base_kws_vars=kinds,
            adj_kws=dict(how),
            skip_input_checks=True,
        )
    return np.asarray(found.transpose("cell", VARIABLE, "time"))
