"""What forecasts have to beat: each takes past snapshots and says what comes at later times."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

import flexclim
from benchmarks.forecast.cases import Case
from benchmarks.skill.fields import spread_out
from flexclim.errors import FlexclimWarning
from flexclim.models.model import Model

PERSISTENCE = "persistence"
STATICS = "static_era5_0p25.nc"
# The past, what follows (whose times count), the model, the folder of data and the case.
Rival = Callable[[xr.Dataset, xr.Dataset, Model, Path, Case], xr.Dataset]


def persistence(
    past: xr.Dataset, truth: xr.Dataset, model: Model, folder: Path, case: Case
) -> xr.Dataset:
    """Return the last snapshot for all times."""
    return past.isel(time=[-1] * truth.sizes["time"]).assign_coords(time=truth.time)


def past_changes(
    past: xr.Dataset, truth: xr.Dataset, model: Model, folder: Path, case: Case
) -> xr.Dataset:
    """Add 8 real changes over the same time, of training days, to the last snapshot."""
    wind = xr.open_dataset(folder / case.file)[list(case.variables)]
    wind = wind.sel(time=slice(*case.training))
    made = []
    for ahead in truth.time.values:
        lead = ahead - past.time.values[-1]
        starts = wind.time.values[np.isin(wind.time.values + lead, wind.time.values)]
        starts = starts[spread_out(starts.size, 8)]
        change = wind.sel(time=starts + lead).drop_vars("time") - wind.sel(time=starts).drop_vars(
            "time"
        )
        member = change.rename(time="realization") + past.isel(time=-1, drop=True)
        made.append(member.expand_dims(time=[ahead]))
    return xr.concat(made, "time")


def extrapolation(
    past: xr.Dataset, truth: xr.Dataset, model: Model, folder: Path, case: Case
) -> xr.Dataset:
    """Move the last snapshot with Lucas and Kanade's dense optical flow, by pysteps."""
    from pysteps import motion, nowcasts

    made = persistence(past, truth, model, folder, case).copy(deep=True)
    for name in case.variables:
        seen = np.nan_to_num(past[name].values)
        decibel = 10 * np.log10(np.maximum(seen, 0.1))  # motion is found best in dB
        flow = motion.get_method("LK")(decibel, verbose=False)
        moved = nowcasts.get_method("extrapolation")(seen[-1], flow, truth.sizes["time"])
        # What flows in from outside is not known: there it persists.
        made[name].values = np.where(np.isnan(moved), made[name].values, moved)
    return made


def mean_network(
    past: xr.Dataset, truth: xr.Dataset, model: Model, folder: Path, case: Case
) -> xr.Dataset:
    """Continue with the mean of 8 one-step estimates."""
    once, state = model.replace(method="ddim"), past
    for _ in range(truth.sizes["time"]):
        with warnings.catch_warnings():  # the estimate is asked for, not a member
            warnings.simplefilter("ignore", FlexclimWarning)
            made = flexclim.forecast(state, 1, model=once, steps=1, static=statics(model, folder))
        mean = made.mean("realization").drop_vars(["forecast_reference_time", "lead_time"])
        state = xr.concat([state, mean[list(case.variables)]], "time").compute()
    return state.isel(time=slice(past.sizes["time"], None))


def statics(model: Model, folder: Path) -> xr.Dataset | None:
    """Return the fields that a model asks for, or None."""
    asked = any(not one.computed for one in model.settings.statics)
    return xr.open_dataset(folder / STATICS) if asked else None


RIVALS: dict[str, Rival] = {
    PERSISTENCE: persistence,
    "persistence and past changes": past_changes,
    "extrapolation": extrapolation,
    "mean network": mean_network,
}
