"""How many fields fine-tuning needs: scores of a model fine-tuned on few times of one region.

    python -m benchmarks.fine_tuning [--model flex-nano] [--counts 2 8 32] [--steps 40]
                                     [--parts last all] [--data FOLDER] [--output FOLDER]
                                     [--markdown FILE]

Give a model that has not seen these fields: the bundled flex-nano was trained on them.

The data are GFS 10 m wind around Japan at 0.25 degree (104 x 120 cells, x4): times evenly spaced
over July to 2 August 2026 to learn from, 4 and 5 August to choose the weights, 7 and 8 August to
score. Fine-tuned are the last blocks of the decoder
(`LAST_BLOCKS`), or all weights, on the few-step sampler alone. Scores are of whole fields, 8
members: fair CRPS in percent below the error of bicubic interpolation, spread/skill, and
log-spectral distance in dB, averaged over both components.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

import flexclim
from flexclim import verify
from flexclim.models.model import Model
from flexclim.train import Recipe, fit

FILE, FACTOR, WIND = "gfs_wind_0p25_japan_2026.nc", 4, ("u10", "v10")
TRAIN, VALIDATE, TEST = (
    ("2026-07-07", "2026-08-02"),
    ("2026-08-04", "2026-08-05"),
    ("2026-08-07", "2026-08-08"),
)
LAST_BLOCKS = ("decoder.output_blocks.8", "decoder.output_blocks.9", "decoder.final_layer")
PARTS: dict[str, tuple[str, ...]] = {"last": LAST_BLOCKS, "all": ()}
HEADS = ("fields", "weights", "minutes", "CRPS, %", "spread/skill", "spectrum, dB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="flex-nano")
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=folder)
    parser.add_argument("--output", type=Path, default=Path("runs/fine_tuning"))
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    rows = []
    for row in measured(options):
        rows.append("| " + " | ".join(row) + " |")
        print(rows[-1], flush=True)
        if options.markdown:
            head = [f"| {' | '.join(HEADS)} |", "|" + "---|" * len(HEADS)]
            options.markdown.write_text("\n".join([*head, *rows]) + "\n")


def measured(options: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """Yield the row of the model as it is, then one for each number of fields and part."""
    wind = xr.open_dataset(options.data / FILE)[list(WIND)]
    wind = wind.isel(latitude=slice(104), longitude=slice(120)).astype("float32").load()
    model = flexclim.load_model(options.model)
    yield ("0", "none", "0", *scores(model, wind))
    for part in options.parts:
        for count in options.counts:
            began = time.perf_counter()
            tuned = fine_tuned(model, wind, count, part, options)
            minutes = (time.perf_counter() - began) / 60
            yield (str(count), part, f"{minutes:.1f}", *scores(tuned, wind))


def fine_tuned(
    model: Model, wind: xr.Dataset, count: int, part: str, options: argparse.Namespace
) -> Model:
    """Fine-tune a model on ``count`` times."""
    folder = options.output / f"{model.name}-{count}-{part}"
    folder.mkdir(parents=True, exist_ok=True)
    pool = wind.sel(time=slice(*TRAIN))
    chosen = np.linspace(0, pool.sizes["time"] - 1, count).round().astype(int)
    kept = [pool.isel(time=chosen), wind.sel(time=slice(*VALIDATE))]
    xr.concat(kept, "time").to_netcdf(folder / "wind.nc")
    recipe = Recipe.model_validate(settings(model, count, part, folder, options.steps))
    return flexclim.load_model(fit(recipe))


def settings(model: Model, count: int, part: str, folder: Path, steps: int) -> dict[str, object]:
    """Return the recipe that fine-tunes a model: its own network, the few-step sampler alone."""
    mine = model.card.recipe
    network, diffusion, ensemble = (mine[name] for name in ("network", "diffusion", "ensemble"))
    data = mine["data"]
    assert isinstance(ensemble, dict)
    assert isinstance(data, dict)
    sources: dict[str, object] = {
        "folder": str(folder),
        "factors": {FACTOR: 1},
        "points": 0,
        "label": data.get("label"),
        "sources": [
            {
                "path": "wind.nc",
                "variables": WIND,
                "signed": True,
                "train": TRAIN,
                "validate": VALIDATE,
            }
        ],
    }
    made: dict[str, object] = {
        "name": f"{model.name}-{count}",
        "start": str(model.folder),
        "data": sources,
        "network": network,
        "diffusion": diffusion,
        "ensemble": ensemble | {"steps": steps, "learning_rate": 3e-4, "ema": 0.9},
        "trainer": {
            "steps": 0,
            "batch": 4,
            "warmup": 20,
            "only": PARTS[part],
            "validation_patches": 16,
            "score_members": 4,
            "validate_every": steps,
            "score_every": max(1, steps // 2),
        },
        "output": str(folder / "run"),
    }
    return made


def scores(model: Model, wind: xr.Dataset) -> tuple[str, str, str]:
    """Return the scores of downscaled block means of the test times, as text."""
    truth = wind.sel(time=slice(*TEST))
    coarse = flexclim.coarsen(truth, FACTOR)
    fine = flexclim.downscale(coarse, FACTOR, model=model, members=8)
    plain = flexclim.interpolate(coarse, FACTOR)
    found = []
    for name in WIND:
        crps = verify.crps(fine[name], truth[name]) / verify.mae(plain[name], truth[name])
        ratio = verify.spread_skill(fine[name], truth[name])
        distance = verify.log_spectral_distance(fine[name], truth[name])
        found.append([100 * (1 - float(crps)), float(ratio), float(distance)])
    crps, ratio, distance = np.mean(found, axis=0)
    return f"{crps:.1f}", f"{ratio:.2f}", f"{distance:.2f}"


if __name__ == "__main__":
    main()
