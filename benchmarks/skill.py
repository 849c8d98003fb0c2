"""Skill of flex-nano on GFS wind of September 2018, which training never saw (x4, 8 members).

    python -m benchmarks.skill [--times N] [--model NAME_OR_FOLDER] [--factor F]

u10 and v10 from 60 N to 59 S as cells, N of the 21 times (7 by default), block means of 4 x 4
cells downscaled again. Beside it stand bilinear and bicubic interpolation, bicubic with block
means restored, and bicubic plus residuals of the same place drawn at random from the training
period (October 1 to 13): a cheap ensemble that a model must beat.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

import flexclim
from flexclim import verify
from flexclim.conserve import BlockMeans
from flexclim.grid import find_grid

MEMBERS = 8
SAMPLERS = {"1-step mean": ("ddim", 1), "2 steps": (None, 2), "4 steps": (None, 4)}


def main() -> None:
    options = parse()
    wind = open_wind()
    step = max(1, 21 // options.times)
    truth = wind.isel(time=slice(0, 21, step)).load()
    factor = options.factor
    coarse = flexclim.coarsen(truth, factor, grid="cell")
    bicubic = flexclim.interpolate(coarse, factor, grid="cell")
    rivals = {
        "bilinear": flexclim.interpolate(coarse, factor, "bilinear", grid="cell"),
        "bicubic": bicubic,
        "bicubic, conserving": conserving(bicubic, coarse, factor),
        "bicubic + real residuals": with_residuals(bicubic, wind, factor, same_place=False),
        "... of the same place": with_residuals(bicubic, wind, factor, same_place=True),
    }
    heads = "RMSE", "below bicubic", "CRPS", "below bicubic", "spread/skill", "spectrum dB"
    table = Table("", *heads)
    base = scores(bicubic, truth)
    for name, forecast in rivals.items():
        table.add_row(name, *row(scores(forecast, truth), base))
    model = flexclim.load_model(options.model)
    for name, (method, steps) in SAMPLERS.items():
        used = model.replace(method=method) if method else model
        began = time.perf_counter()
        fine = flexclim.downscale(
            coarse, factor, model=used, members=MEMBERS, steps=steps, grid="cell"
        )
        name = f"{model.name}, {name} ({time.perf_counter() - began:.0f} s)"
        table.add_row(name, *row(scores(fine, truth), base))
    table.title = f"GFS wind, September 2018, {truth.sizes['time']} times, x{factor}, area-weighted"
    Console(width=130).print(table)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--model", default="flex-nano")
    parser.add_argument("--factor", type=int, default=4)
    return parser.parse_args()


def open_wind() -> xr.Dataset:
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    wind = xr.open_dataset(folder / "gfs_wind_1deg_2018.nc")[["u10", "v10"]]
    return wind.sel(latitude=slice(60, -59))


def conserving(bicubic: xr.Dataset, coarse: xr.Dataset, factor: int) -> xr.Dataset:
    """Restore the block means of an interpolated field."""
    grid = find_grid(coarse, "cell")
    means = BlockMeans(grid.domain, factor, grid.refined(factor).row_area)
    result = bicubic.copy(deep=True)
    for name in result.data_vars:
        if "time" not in result[name].dims or name not in coarse:
            continue
        for index in range(result.sizes["time"]):
            fine, known = (np.asarray(ds[name][index], float) for ds in (bicubic, coarse))
            result[name][index] = means.add(fine, known)
    return result


def with_residuals(
    bicubic: xr.Dataset, wind: xr.Dataset, factor: int, *, same_place: bool
) -> xr.Dataset:
    """Add residuals of training times, of the same place or rolled to another longitude."""
    train = wind.sel(time=slice("2018-10-01", "2018-10-13")).load()
    coarse = flexclim.coarsen(train, factor, grid="cell")
    known = flexclim.interpolate(coarse, factor, grid="cell")
    random = np.random.default_rng(0)
    chosen = random.choice(train.sizes["time"], MEMBERS, replace=False)
    shifts = np.zeros(MEMBERS, int) if same_place else factor * random.integers(10, 80, MEMBERS)
    members = []
    for index, shift in zip(chosen, shifts, strict=True):
        members.append(
            xr.Dataset(
                {
                    name: bicubic[name]
                    + np.roll(train[name].values[index] - known[name].values[index], shift, -1)
                    for name in ("u10", "v10")
                }
            )
        )
    return xr.concat(members, "realization").transpose("realization", ...)


def scores(forecast: xr.Dataset, truth: xr.Dataset) -> dict[str, float]:
    """Average scores of both components, area-weighted."""
    names = ["u10", "v10"]
    forecast, truth = forecast[names], truth[names]
    ensemble = "realization" in forecast.dims
    crps = verify.crps(forecast, truth) if ensemble else verify.mae(forecast, truth)
    distance = verify.log_spectral_distance(forecast, truth, kind="zonal")
    found = {
        "rmse": verify.rmse(forecast, truth),
        "crps": crps,
        "spread": verify.spread_skill(forecast, truth) if ensemble else np.nan * crps,
        "spectrum": distance,
    }
    return {key: float(np.mean([float(v[name]) for name in names])) for key, v in found.items()}


def row(found: dict[str, float], base: dict[str, float]) -> list[str]:
    below = {key: f"{100 * (1 - found[key] / base[key]):.1f} %" for key in ("rmse", "crps")}
    spread = "" if np.isnan(found["spread"]) else f"{found['spread']:.2f}"
    return [
        f"{found['rmse']:.3f}",
        below["rmse"],
        f"{found['crps']:.3f}",
        below["crps"],
        spread,
        f"{found['spectrum']:.2f}",
    ]


if __name__ == "__main__":
    main()
