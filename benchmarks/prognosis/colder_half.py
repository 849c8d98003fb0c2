"""Train on the colder half of the synthetic climate, and score on its warmer years.

The expectation of the target given the predictors is known, so that the mean of the members is
compared with it, beside the interpolated temperature and a linear regression on the same
predictors.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
import yaml

import flexclim
from benchmarks.prognosis.world import World, make_world
from flexclim.train import fit, load_recipe

INPUTS = "t@850", "q@700"
YEARS = 8
NETWORK = {
    "tile": [64, 64],
    "model_channels": [32, 64],
    "res_blocks": [1, 1],
    "depth": 2,
    "num_heads": 2,
    "unshuffle": 4,
}


def recipe(folder: Path, steps: int, base: str | None) -> Path:
    """Write the world and the recipe that trains on its colder half; returns its path."""
    world = make_world(YEARS)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("predictors", "target", "static"):
        getattr(world, name).to_netcdf(folder / f"{name}.nc")
    source = {
        "path": "target.nc",
        "predictors": [{"path": "predictors.nc"}],
        "train": ["2000", "2006"],
        "validate": ["2007", "2007"],
    }
    values = {
        "name": "colder-half",
        "data": {
            "folder": str(folder),
            "factors": {8: 1},
            "scaling": "fixed",
            "inputs": list(INPUTS),
            "targets": [{"name": "tas", "base": base}],
            "statics": ["orog"],
            "static_file": "static.nc",
            "colder_half": "t@850",
            "sources": [source],
        },
        "network": NETWORK,
        "trainer": {
            "steps": steps,
            "batch": 8,
            "warmup": 20,
            "learning_rate": 1e-3,
            "ema": 0.98,
            "validate_every": max(steps // 2, 1),
            "score_every": max(steps // 2, 1),
            "validation_patches": 16,
            "score_members": 4,
        },
        "diffusion": {"steps": 1},
        "ensemble": {"steps": steps // 2, "learning_rate": 5e-4, "mean": 0},
        "output": str(folder / "run"),
    }
    path = folder / "colder-half.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def train(folder: Path, steps: int, base: str | None = "t@850") -> Path:
    """Train, print the change signal that is lost, and return the folder of the model."""
    return fit(load_recipe(recipe(folder, steps, base)))


def compare(folder: Path, model: Path, members: int, every: int) -> xr.Dataset:
    """Return errors from the known expectation in the last year, for each candidate."""
    world = make_world(YEARS)
    last = slice(-30, None, every)
    predictors, mean = world.predictors.isel(time=last), world.mean.isel(time=last)
    made = flexclim.downscale(
        predictors, model=str(model), to=world.target, members=members, static=world.static
    )
    offset, coefficients = regress(world)
    inputs = columns(world, last)
    candidates = {
        "mean of the model": made.tas.mean("realization"),
        "regression": sum(a * one for a, one in zip(coefficients[:-1], inputs, strict=True))
        + coefficients[-1],
        "t@850 shifted": inputs[0] + offset,
    }
    errors = {name: (one - mean).astype(float) for name, one in candidates.items()}
    return xr.Dataset(
        {
            "bias": ("candidate", [float(one.mean()) for one in errors.values()]),
            "rmse": ("candidate", [float(np.sqrt((one**2).mean())) for one in errors.values()]),
        },
        {"candidate": list(errors)},
    )


def columns(world: World, times: slice) -> list[xr.DataArray]:
    """Return the predictors on the fine grid."""
    ds = world.predictors.isel(time=times)
    levels = ds.t.sel(plev=85000.0), 1000 * ds.q.sel(plev=70000.0)
    fine = [flexclim.regrid(one, world.target, "bilinear") for one in levels]
    return [*fine, world.static.orog.broadcast_like(fine[0])]


def regress(world: World) -> tuple[float, np.ndarray]:
    """Return the mean difference to ``t@850``, and least squares, in the colder half."""
    colder = slice(0, 4 * 30)
    inputs, truth = columns(world, colder), world.target.tas.isel(time=colder)
    x = np.stack([one.values.ravel() for one in inputs] + [np.ones(truth.size)], axis=1)
    y = truth.values.ravel().astype(float)
    return float((y - x[:, 0]).mean()), np.linalg.lstsq(x, y, rcond=None)[0]
