"""A synthetic temperature whose expectation within days is known, and a small network for it.

Weather moves daily means up and down. Within a day the temperature follows the sun over land, twice
as much on the warmest days (which are clear) as on the mean ones, and not at all on the coldest::

    tas = means interpolated in time + A cos(2 pi (solar time - 15 h) / day) + texture
    A   = land 4 K (1 + tanh(anomaly of the daily mean / 3 K))

The cycle and the texture sum to zero over each day, so the expectation given the daily means is the
sum without the texture, and the CRPS of a perfect ensemble is the texture's standard deviation over
the root of pi.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import yaml

import flexclim
from benchmarks.days.scores import score_table
from benchmarks.days.series import (
    by_day,
    daily,
    diurnal_cycle,
    in_days,
    interpolated,
    with_departures,
)
from benchmarks.prognosis.world import smooth_noise
from benchmarks.skill.tables import Table
from flexclim.train import fit, load_recipe

TIMES = 4
SIDE = 64  # rows and columns
DAYS = 300
TEST = 40  # last days, of which none is trained or validated on
VALIDATE = 30  # days before them
WEATHER, TEXTURE = 4.0, 0.8  # K
REMEMBERED = 0.7  # correlation of weather from day to day
DIMS = "time", "lat", "lon"


@dataclass(frozen=True, kw_only=True)
class World:
    """Temperatures at 6-hourly times, their expectation given the daily means, and the land."""

    truth: xr.Dataset
    mean: xr.Dataset
    static: xr.Dataset


def make_world(days: int = DAYS, side: int = SIDE, seed: int = 0) -> World:
    """Make a climate of so many days on cells of half a degree."""
    random = np.random.default_rng(seed)
    lat, lon = 60 - 0.5 * np.arange(side), 0.5 * np.arange(side)
    times = pd.date_range("2001-03-01", periods=TIMES * days, freq="6h")
    land = np.float32(smooth_noise(1, side, random)[0] > 0)
    anomaly = weather(days, side, random)
    solar = (times.hour.to_numpy()[:, None] + lon / 15).reshape(days, TIMES, 1, side)
    amplitude = 4 * land * (1 + np.tanh(anomaly / 3))
    cycle = amplitude[:, None] * np.cos(2 * np.pi * (solar - 15) / 24)
    texture = smooth_noise(days * TIMES, side, random).reshape(days, TIMES, side, side)
    texture = texture - texture.mean(1, keepdims=True)
    texture *= TEXTURE / texture.std()
    places = {
        "time": times,
        "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    attributes = {"standard_name": "air_temperature", "units": "K"}

    def temperature(departures: np.ndarray) -> xr.Dataset:
        values = (283 + anomaly[:, None] + departures).reshape(-1, side, side)
        return xr.Dataset({"tas": (DIMS, values, attributes)}, places)

    # Daily means in steps become means interpolated in time, with the same means.
    stepped = temperature(np.zeros_like(texture))
    linear = interpolated(stepped).tas.transpose("day", "hour", "lat", "lon").values
    smooth = np.zeros_like(texture)
    smooth[1:-1] = linear - 283 - anomaly[1:-1, None]
    static = {"lsm": (DIMS[1:], land, {"standard_name": "land_binary_mask", "units": "1"})}
    return World(
        truth=temperature(smooth + cycle + texture).astype(np.float32),
        mean=temperature(smooth + cycle),
        static=xr.Dataset(static, {name: places[name] for name in DIMS[1:]}),
    )


def weather(days: int, side: int, random: np.random.Generator) -> np.ndarray:
    """Return anomalies (day, y, x) in K of daily means: smooth in space, remembered in time."""
    new = smooth_noise(days, side, random)
    for day in range(1, days):
        new[day] = REMEMBERED * new[day - 1] + np.sqrt(1 - REMEMBERED**2) * new[day]
    return np.asarray(WEATHER * new / new.std())


def recipe(folder: Path, steps: int) -> Path:
    """Write the world and a recipe that trains on its first days; return its path."""
    world = make_world()
    folder.mkdir(parents=True, exist_ok=True)
    world.truth.to_netcdf(folder / "truth.nc")
    world.static.to_netcdf(folder / "static.nc")
    days = world.truth.time.dt.strftime("%Y-%m-%d").values[::TIMES]
    test, validate = DAYS - TEST, DAYS - TEST - VALIDATE
    values = {
        "name": "days-of-temperature",
        "data": {
            "folder": str(folder),
            "times": TIMES,
            "factors": {1: 1},
            "points": 0,
            "scaling": "fixed",
            "inputs": ["tas"],
            "statics": ["lsm", "solar_time"],
            "static_file": "static.nc",
            "sources": [
                {
                    "path": "truth.nc",
                    "train": [str(days[0]), str(days[validate - 2])],
                    "validate": [str(days[validate]), str(days[test - 2])],
                }
            ],
        },
        "network": {
            "tile": [32, 32],
            "unshuffle": 2,
            "model_channels": [32, 64],
            "res_blocks": [1, 1],
            "depth": 2,
            "num_heads": 2,
        },
        "diffusion": {"steps": 1},
        "trainer": {
            "steps": steps,
            "batch": 8,
            "warmup": 40,
            "learning_rate": 1e-3,
            "ema": 0.98,
            "validate_every": 100,
            "score_every": 100,
            "validation_patches": 32,
            "score_members": 4,
        },
        "ensemble": {
            "steps": steps,
            "learning_rate": 5e-4,
            "gradient": 0.25,
            "texture": 0.5,
            "mean": 0,
        },
        "output": str(folder / "run"),
    }
    path = folder / "days-of-temperature.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def train(folder: Path, steps: int) -> Path:
    """Train and return the folder of the model."""
    return fit(load_recipe(recipe(folder, steps)))


def compare(model: Path, members: int) -> Table:
    """Score members, and what is made without a model, on the last days."""
    world = make_world()
    last = slice(-TEST * TIMES, None)
    truth, train_days = world.truth.isel(time=last), world.truth.isel(time=slice(-TEST * TIMES))
    linear = interpolated(truth)
    days = truth.resample(time="1D").mean(keep_attrs=True)
    made = flexclim.downscale(
        days, time_factor=TIMES, model=str(model), members=members, static=world.static
    )
    found = in_days(made)
    candidates = {
        "daily mean": by_day(daily(truth).sel(day=linear.day), truth),
        "linear in time": linear,
        "linear in time + mean diurnal cycle": linear + diurnal_cycle(train_days),
        f"linear in time + departures of {members} other days": with_departures(
            linear, train_days, members
        ),
        "known expectation": in_days(world.mean.isel(time=last)),
        f"network, {members} members": found,
    }
    known = in_days(truth).sel(day=linear.day)
    table = score_table("Daily to 6-hourly synthetic temperature", candidates, known, "K")
    perfect = f"A perfect ensemble has a CRPS of {TEXTURE / np.sqrt(np.pi):.4f} K. "
    return Table(
        table.title, table.heads, table.rows, perfect + distance(found, world) + table.note
    )


def distance(made: xr.Dataset, world: World) -> str:
    """Return how far the mean of members is from the known expectation, as a sentence."""
    known = in_days(world.mean).sel(day=made.day[1:-1])
    mean = made.mean("realization").sel(day=known.day)
    error = float(np.sqrt(np.square((mean - known).tas).mean()))
    return f"The mean of the members is {error:.3f} K from the known expectation. "
