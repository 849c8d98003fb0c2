"""Hashes of what flexclim computes on fixed inputs, to compare two checkouts on one machine.

    python -m benchmarks.fingerprint > now.txt
    git worktree add ../before main
    PYTHONPATH=../before python -P benchmarks/fingerprint.py > before.txt && diff before.txt now.txt

A refactor keeps every line. Only public names are used, in float32 on a CPU with one thread of
torch, so that the same machine gives the same bits each time. ``--large`` adds a field that is
computed in regions (another minute); names after the options run these checks alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import pandas as pd
import xarray as xr

import flexclim
from flexclim import train, verify

CPU: dict[str, Any] = {"device": "cpu", "precision": "float32"}
RECIPE = """
name: tiny
data:
  folder: {folder}
  factors: {{2: 1, 4: 3}}
  sources:
    - path: wind.nc
      variables: [u10, v10]
      train: ["2018-10-01", "2018-10-02"]
      validate: ["2018-10-03", "2018-10-03"]
      signed: true
network: {{tile: [32, 32], model_channels: [32, 32], res_blocks: [1, 1], depth: 3, num_heads: 2}}
trainer: {{steps: 20, batch: 2, warmup: 2, validate_every: 10, validation_patches: 4}}
ensemble: {{steps: 4}}
output: {folder}/run
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="checks to run; none: all")
    parser.add_argument("--large", action="store_true", help="a field that is cut into regions too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, check in CHECKS.items():
        if options.names and name not in options.names:
            continue
        if name == "regions" and not (options.large or options.names):
            continue
        for part, value in check():
            print(f"{name} {part} {value}", flush=True)
    print(f"of {Path(flexclim.__file__).parent}", file=sys.stderr)


def digest(obj: xr.Dataset | xr.DataArray) -> str:
    """Return a hash of the dimensions, coordinates and values of fields; attributes don't count."""
    ds = obj.to_dataset(name="field") if isinstance(obj, xr.DataArray) else obj
    found = hashlib.sha256()
    for name in sorted(map(str, ds.variables)):
        values = ds[name].values
        found.update(f"{name} {ds[name].dims} {values.dtype} {values.shape}".encode())
        found.update(str(values.tolist()).encode() if values.dtype.hasobject else values.tobytes())
    return found.hexdigest()[:16]


def files_digest(folder: Path, pattern: str = "**/c/**/*") -> str:
    """Return a hash of the chunks of a store, names and bytes."""
    found = hashlib.sha256()
    for path in sorted(folder.glob(pattern)):
        if path.is_file():
            found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()[:16]


def smooth(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Return a field with long waves and some noise, the same on every machine."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[-2], 0 : shape[-1]]
    waves = np.sin(2 * np.pi * x / shape[-1] * 3) * np.cos(np.pi * y / shape[-2] * 2)
    return (8 * waves + random.normal(size=shape)).astype("float32")


def wind(rows: np.ndarray, columns: np.ndarray, times: int = 2) -> xr.Dataset:
    """Return wind on latitudes and longitudes."""
    shape = times, rows.size, columns.size
    fields = {
        name: (("time", "latitude", "longitude"), smooth(shape, seed), {"units": "m s-1"})
        for seed, name in enumerate(("u10", "v10"))
    }
    when = pd.date_range("2018-09-14", periods=times, freq="6h")
    return xr.Dataset(fields, {"time": when, "latitude": rows, "longitude": columns})


def regional(times: int = 2) -> xr.Dataset:
    """Return wind on 24 x 36 cells of a degree."""
    return wind(np.arange(59.5, 35.5, -1.0), np.arange(-10.5, 25.5, 1.0), times)


def points() -> xr.Dataset:
    """Return global wind on points with rows on both poles, south first, longitudes from -180."""
    return wind(np.linspace(-90, 90, 31), np.arange(60) * 6.0 - 180)


def projected() -> xr.Dataset:
    """Return a field on a projected grid with 2-D latitude and longitude."""
    y, x = np.arange(20) * 2500.0, np.arange(26) * 2500.0
    latitude = 60 + y[:, None] / 111e3 + 0 * x
    longitude = 10 + x / 55e3 + 0 * y[:, None]
    field = xr.DataArray(
        smooth((2, 20, 26), 4),
        dims=("time", "y", "x"),
        coords={
            "time": pd.date_range("2018-09-14", periods=2, freq="1h"),
            "y": ("y", y, {"units": "m", "standard_name": "projection_y_coordinate"}),
            "x": ("x", x, {"units": "m", "standard_name": "projection_x_coordinate"}),
            "latitude": (("y", "x"), latitude, {"standard_name": "latitude"}),
            "longitude": (("y", "x"), longitude, {"standard_name": "longitude"}),
        },
        name="t2m",
    )
    return (280 + field).assign_attrs(units="K").to_dataset()


def rain() -> xr.DataArray:
    """Return hourly rain at 4 km with dry cells, and some that are missing."""
    values = np.maximum(smooth((1, 32, 40), 5) - 4, 0)
    values[0, 3:6, 4:9] = np.nan
    return xr.DataArray(
        values,
        coords={
            "time": pd.date_range("2016-09-01", periods=1),
            "lat": 40 - np.arange(32) * 0.04,
            "lon": -100 + np.arange(40) * 0.04,
        },
        name="tp",
        attrs={"units": "mm", "standard_name": "precipitation_amount"},
    )


def statics() -> xr.Dataset:
    """Return orography and land-sea mask on a global grid of 2 degrees."""
    rows, columns = np.linspace(90, -90, 91), np.arange(180) * 2.0
    land = np.clip(smooth((91, 180), 6) / 8 + 0.5, 0, 1)
    fields = {"orog": (("lat", "lon"), 500 * land), "lsm": (("lat", "lon"), land)}
    return xr.Dataset(fields, {"lat": rows, "lon": columns})


def downscaling() -> Iterator[tuple[str, str]]:
    ds = regional()
    asked: dict[str, dict[str, Any]] = {
        "cells": {},
        "x2": {"factor": 2, "model": "flex-nano"},
        "frozen": {"noise": "frozen", "conserve": False},
        "ar1": {"noise": "ar1", "noise_timescale": "6h"},
        "steps": {"steps": 3, "seed": 7, "overlap": 24, "batch": 3},
    }
    for part, options in asked.items():
        fine = flexclim.downscale(ds, **({"factor": 4, "members": 2} | CPU | options))
        yield part, digest(fine)
    lazy = ds.chunk({"time": 1}).flex.downscale(factor=4, members=3, **CPU)
    yield "lazy", digest(lazy.isel(realization=[1]).compute())
    yield "points", digest(points().flex.downscale(factor=2, members=2, **CPU))
    yield "projected", digest(projected().flex.downscale(factor=4, members=2, **CPU))
    yield "rain", digest(rain().flex.downscale(factor=4, members=2, **CPU))
    double = ds.astype("float64").isel(time=0)
    yield "float64", digest(double.flex.downscale(factor=4, members=2, **CPU))
    paired = ds.u10.expand_dims(realization=[3, 1]) + xr.DataArray([0.0, 1.0], dims="realization")
    yield "paired", digest(paired.flex.downscale(factor=4, **CPU))


def static_fields() -> Iterator[tuple[str, str]]:
    for model in ("flex-wind", None):
        ds = wind(np.arange(58.0, 10.0, -4.0), np.arange(-10.0, 50.0, 4.0))
        fine = ds.flex.downscale(factor=4, model=model, members=2, static=statics(), **CPU)
        yield str(model), digest(fine)


def regions() -> Iterator[tuple[str, str]]:
    field = xr.DataArray(
        smooth((264, 260), 9),
        dims=("y", "x"),
        coords={"y": np.arange(264.0), "x": np.arange(260.0)},
    ).rename("height")
    yield "nine", digest(field.flex.downscale(factor=8, members=1, steps=1, **CPU))


def forecasting() -> Iterator[tuple[str, str]]:
    flow = train.simulate(train.Turbulence(size=64, runs=1, snapshots=3, first=4.0, every=0.0625))
    ahead = flow.flex.forecast(3, model="flex-turbulence", members=2, **CPU)
    yield "steps", digest(ahead)
    lazy = flow.chunk().flex.forecast(2, model="flex-turbulence", members=3, **CPU)
    yield "lazy", digest(lazy.isel(time=[1], realization=[2]).compute())
    past = wind(np.linspace(90, -90, 46), np.arange(90) * 4.0)
    ahead = past.flex.forecast(
        ["12h"], model="flex-forecast", members=2, static=statics(), variables=["u10"], **CPU
    )
    yield "wind", digest(ahead)


def resampling() -> Iterator[tuple[str, str]]:
    for name, ds in {"cells": regional(), "points": points(), "projected": projected()}.items():
        for method in ("bicubic", "bilinear", "nearest"):
            yield f"{name}-{method}", digest(flexclim.interpolate(ds, 4, method))
        yield f"{name}-coarse", digest(flexclim.coarsen(ds, 2))


def stores() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fine.zarr"
        ds = regional(3)
        for members, times in ((2, 2), (3, 3)):
            fine = flexclim.downscale_to_zarr(
                ds.isel(time=slice(times)), path, 4, members=members, **CPU
            )
            yield f"members-{members}-times-{times}", f"{digest(fine)} {files_digest(path)}"
        assert not flexclim.check_store(path)


def training() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        wind(np.linspace(90, -90, 65), np.arange(128) * 360 / 128, 12).assign_coords(
            time=pd.date_range("2018-10-01", periods=12, freq="6h")
        ).to_netcdf(Path(folder) / "wind.nc")
        recipe = Path(folder) / "tiny.yaml"
        recipe.write_text(RECIPE.format(folder=folder))
        model = Path(train.fit(train.load_recipe(recipe)))
        yield "weights", files_digest(model, "weights.safetensors")
        losses = pd.read_csv(Path(folder) / "run" / "log.csv")
        kept = losses[[name for name in losses if "second" not in name and "time" not in name]]
        yield "log", hashlib.sha256(kept.to_csv().encode()).hexdigest()[:16]
        fine = regional().flex.downscale(factor=4, model=model, members=2, **CPU)
        yield "sampled", digest(fine)


def verification() -> Iterator[tuple[str, str]]:
    for name, ds in {"cells": regional(3), "points": points()}.items():
        coarse = flexclim.coarsen(ds, 2)
        random = np.random.default_rng(3)
        base = flexclim.interpolate(coarse, 2)
        noise = random.normal(size=(5, *base.u10.shape)).astype("float32")
        forecast = base + xr.DataArray(noise, dims=("realization", *base.u10.dims))
        yield f"{name}-all", digest(verify.evaluate(forecast, ds, coarse=coarse))
        for score in (verify.crps, verify.spread_skill, verify.energy_score, verify.spectrum):
            given = (forecast,) if score is verify.spectrum else (forecast, ds)
            yield f"{name}-{score.__name__}", digest(score(*given))
        yield f"{name}-lazy", digest(verify.crps(forecast.chunk({"time": 1}), ds, dim=()).compute())


CHECKS: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "resampling": resampling,
    "downscaling": downscaling,
    "static": static_fields,
    "regions": regions,
    "forecasting": forecasting,
    "stores": stores,
    "training": training,
    "verification": verification,
}


if __name__ == "__main__":
    main()
