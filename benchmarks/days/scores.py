"""Scores of fields within days, and how well members keep the daily values that they are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.days.series import in_days
from benchmarks.skill.tables import Table
from flexclim import verify

# What a kind of daily input gives, by the name that is added to a variable's.
GIVEN = {
    "mean": {"": "mean"},
    "sum": {"": "sum"},
    "extremes": {"": "mean", "min": "min", "max": "max"},
}


def days_of(fields: xr.Dataset, kind: str) -> xr.Dataset:
    """Return daily values of a kind of :data:`GIVEN`."""
    days = fields.resample(time="1D")
    made = {}
    for added, statistic in GIVEN[kind].items():
        for name, one in getattr(days, statistic)().items():
            made[f"{name}{added}"] = one.assign_attrs(
                fields[name].attrs | {"cell_methods": f"time: {statistic}"}
            )
    return xr.Dataset(made)


def score_table(
    title: str, candidates: Mapping[str, xr.Dataset], truth: xr.Dataset, units: str
) -> Table:
    """Return errors of the mean and CRPS, means over variables, at the days of the truth."""
    rows = []
    for name, fields in candidates.items():
        found = [_scores(fields[one], truth[one]) for one in truth.data_vars]
        errors, scores, ratios, steps = np.mean(found, axis=0)
        spread = "" if np.isnan(ratios) else f"{ratios:.2f}"
        rows.append([name, f"{errors:.3f}", f"{scores:.4f}", spread, f"{steps:.2f}"])
    heads = [f"RMSE of the mean, {units}", f"fair CRPS, {units}", "spread/skill", "differences"]
    days = truth.day.dt.strftime("%d %B %Y").values
    note = (
        f"{days[0]} to {days[-1]}; the CRPS of one field is its mean absolute error. Differences: "
        "variance of those between successive times of a day, over the truth's."
    )
    return Table(title, heads, rows, note)


def _scores(found: xr.DataArray, truth: xr.DataArray) -> list[float]:
    """Return RMSE of the mean, CRPS, spread/skill (NaN of one field), and of differences."""
    ensemble = "realization" in found.dims
    found = found.sel(day=truth.day).transpose(*["realization"] * ensemble, *truth.dims)
    mean = found.mean("realization") if ensemble else found
    score = verify.crps(found, truth) if ensemble else verify.mae(mean, truth)
    ratio = float(verify.spread_skill(found, truth)) if ensemble else np.nan
    changes = [float(np.square(one.diff("hour")).mean()) for one in (found, truth)]
    return [float(verify.rmse(mean, truth)), float(score), ratio, changes[0] / changes[1]]


def kept_table(fields: xr.Dataset, made: Mapping[str, xr.Dataset]) -> Table:
    """Return the largest departure of any member from the daily values that it was made from.

    ``made`` holds members for each kind of :data:`GIVEN`.
    """
    rows = []
    for kind, one in made.items():
        days, members = days_of(fields, kind), in_days(one).astype(float)
        departures = {
            statistic: max(
                _departure(getattr(members[name], statistic)("hour"), days[f"{name}{added}"])
                for name in fields.data_vars
            )
            for added, statistic in GIVEN[kind].items()
        }
        rows.append([" and ".join(departures), *_columns(departures)])
    note = (
        "Largest departure of any member, day and cell, over the standard deviation of the daily "
        "values."
    )
    return Table("Daily values kept", ["mean", "sum", "min", "max"], rows, note)


def _columns(departures: Mapping[str, float]) -> list[str]:
    names = "mean", "sum", "min", "max"
    return [f"{departures[one]:.1e}" if one in departures else "" for one in names]


def _departure(members: xr.DataArray, given: xr.DataArray) -> float:
    wanted: Any = given.rename(time="day")
    return float(abs(members - wanted).max() / given.std())
