"""ARPEGE at 0.1 degree to AROME at 0.025 degree: a trained model beside a linear regression.

Trained on the north-west of France, without the last hours of the day, and tested on the
south-east. The regression has the same predictors, interpolated to the fine grid, and the heights;
its coefficients are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

import flexclim
from flexclim import verify
from flexclim.train import fit, load_recipe

PREDICTORS = "tp", "u10", "v10", "r", "t2m", "msl"
STATICS = "h", "lsm"
HOURS = slice(0, 18)  # of training
LOG = "tp"  # regressed as log(1 + x)


def small(steps: int) -> list[str]:
    """Return overrides for a network and a training of minutes on one core."""
    return [
        "network={tile: [64, 64], model_channels: [32, 64], res_blocks: [1, 1], depth: 2, "
        "num_heads: 2, unshuffle: 4}",
        f"trainer={{steps: {steps}, batch: 8, warmup: 20, learning_rate: 1e-3, ema: 0.98, "
        "validate_every: 75, score_every: 75, validation_patches: 24, score_members: 4}",
        "ensemble.steps=0",
    ]


def region(folder: Path, name: str) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Return coarse and fine fields, with rain per hour, and heights of the area of both."""
    coarse = xr.open_dataset(folder / f"meteonet_{name}_arpege_0p1.nc")[[*PREDICTORS]].load()
    fine = xr.open_dataset(folder / f"meteonet_{name}_arome_0p025.nc").load()
    static = xr.open_dataset(folder / f"meteonet_{name}_static.nc").load()
    for dim in ("latitude", "longitude"):
        within = (coarse[dim] > fine[dim].min() - 1e-3) & (coarse[dim] < fine[dim].max() + 1e-3)
        coarse = coarse.isel({dim: np.flatnonzero(within)})
    return _hourly(coarse), _hourly(fine), static


def _hourly(ds: xr.Dataset) -> xr.Dataset:
    rain = (ds.tp - ds.tp.shift(time=1, fill_value=0)).clip(min=0)
    return ds.assign(tp=rain.assign_attrs(ds.tp.attrs))


def train(folder: Path, output: Path, overrides: list[str]) -> Path:
    """Train the model of the recipe ``meteonet_arpege_arome``."""
    recipe = load_recipe(
        "meteonet_arpege_arome", [f"data.folder={folder}", f"output={output}", *overrides]
    )
    return fit(recipe)


def compare(folder: Path, model: Path, members: int, every: int) -> xr.Dataset:
    """Return scores (candidate) of rain in the south-east, at every so many hours."""
    coarse, fine, static = region(folder, "se")
    some = slice(None, None, every)
    coarse, truth = coarse.isel(time=some), fine.tp.isel(time=some)
    made = flexclim.downscale(coarse, 4, model=str(model), members=members, static=static).tp
    candidates = {"model": made, "mean of the model": made.mean("realization")}
    for method in ("bilinear", "bicubic"):
        candidates[method] = flexclim.interpolate(coarse.tp, 4, method, grid="point").clip(min=0)
    coefficients = regress(*region(folder, "nw"))
    candidates["regression"] = predict(coarse, static, coefficients)
    truths = (
        truth.reindex_like(one, method="nearest", tolerance=1e-3) for one in candidates.values()
    )
    scores = [_scores(one, known) for one, known in zip(candidates.values(), truths, strict=True)]
    return xr.concat(scores, xr.DataArray(list(candidates), dims="candidate", name="candidate"))


def _scores(forecast: xr.DataArray, truth: xr.DataArray) -> xr.Dataset:
    mean = forecast.mean("realization") if "realization" in forecast.dims else forecast
    ensemble = forecast if "realization" in forecast.dims else forecast.expand_dims(realization=[0])
    estimator: Literal["fair", "ecdf"] = "fair" if ensemble.sizes["realization"] > 1 else "ecdf"
    return xr.Dataset(
        {
            "crps": verify.crps(ensemble, truth, estimator=estimator),
            "rmse": verify.rmse(mean, truth),
            "bias": verify.bias(mean, truth),
        }
    )


def regress(coarse: xr.Dataset, fine: xr.Dataset, static: xr.Dataset) -> np.ndarray:
    """Return the least-squares coefficients of the predictors, in the hours of training."""
    coarse, truth = coarse.isel(time=HOURS), fine.tp.isel(time=HOURS)
    columns = _columns(coarse, static)
    y = np.log1p(truth.reindex_like(columns["tp"], method="nearest", tolerance=1e-3).values.ravel())
    x = np.stack([one.values.ravel() for one in columns.values()] + [np.ones(y.size)], axis=1)
    known = np.isfinite(x).all(axis=1) & np.isfinite(y)
    return np.asarray(np.linalg.lstsq(x[known], y[known], rcond=None)[0])


def predict(coarse: xr.Dataset, static: xr.Dataset, coefficients: np.ndarray) -> xr.DataArray:
    """Return rain from the regression."""
    columns = _columns(coarse, static)
    total = sum(a * one for a, one in zip(coefficients, columns.values(), strict=False))
    rain = np.expm1(total + coefficients[-1]).clip(min=0)
    return xr.DataArray(rain).rename("tp").assign_attrs(coarse.tp.attrs)


def _columns(coarse: xr.Dataset, static: xr.Dataset) -> Mapping[str, xr.DataArray]:
    """Return predictors on the fine grid, by name."""
    fine = flexclim.interpolate(coarse, 4, "bicubic", grid="point")
    like = fine[LOG]
    placed = static.reindex_like(like, method="nearest", tolerance=1e-3)
    found = {name: fine[name] for name in PREDICTORS}
    found[LOG] = xr.DataArray(np.log1p(found[LOG].clip(min=0)))
    return found | {name: placed[name].broadcast_like(like).fillna(0) for name in STATICS}
