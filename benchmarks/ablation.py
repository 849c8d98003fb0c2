"""What matters in training flex-nano: short runs that differ from a base in one thing.

    python -m benchmarks.ablation [--steps 200] [--ensemble 24] [--only NAME ...] [--output FOLDER]

Every run starts from random weights, takes the data and the network of the recipe `flex_nano_more`
and as many steps as all others: denoising, then few-step fine-tuning from the averaged weights.
Variants of the second stage alone share the base's first one. Each is scored as in
`benchmarks.skill`, with 4 members at x4, on two of the validation times that no training saw.
Prints a table in Markdown: what three seeds of the base differ by is the noise of a line. Runs and
scores are kept under the output folder: a second call prints at once, one that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import flexclim
from benchmarks.skill import sampling
from benchmarks.skill.cases import CASES
from benchmarks.skill.records import score, scores
from benchmarks.skill.tables import Table
from flexclim.models.model import Model
from flexclim.train import fit, load_recipe
from flexclim.train.loop.logs import read_log

RECIPE, BATCH = "flex_nano_more", 8
COMMON = (
    # Smaller flows than the recipe's, which take minutes to simulate.
    "data.sources.10.turbulence.size=128",
    "data.sources.10.turbulence.viscosity=4e-4",
    "data.sources.11.turbulence.size=128",
    "data.sources.11.turbulence.viscosity=5e-13",
    'start=""',
    f"trainer.batch={BATCH}",
    "trainer.precision=float32",
    "trainer.learning_rate=6e-4",
    "trainer.warmup=40",
    "trainer.validation_patches=8",
    "trainer.save_every=1000",
    "trainer.keep=1",
    "ensemble.learning_rate=3e-4",
    "ensemble.ema=0.95",
)
# Both components of GFS wind, by name: what fixed scaling needs.
WIND = (
    'data.sources=[{path: gfs_wind_1deg_2018.nc, train: ["2018-10-01", "2018-10-13"], '
    'validate: ["2018-10-15", "2018-10-16"]}]',
    "data.inputs=[u10, v10]",
    "data.factors={4: 1}",
)
TIMES, MEMBERS = ("2018-10-15T06", "2018-10-16T18"), 4
HEADS = (
    "RMSE of the one-step mean below bicubic",
    "fair CRPS below bicubic's MAE",
    "spread/skill",
    "spectrum, dB",
    "s per step, first stage",
    "s per step, second",
    "minutes",
    "parameters, M",
)


@dataclass(frozen=True)
class Variant:
    """What one line changes: settings of both stages, or of the ``second`` alone.

    ``first`` names the variant whose first stage this one goes on from; empty: its own. ``tuned``
    is False where the first stage is all.
    """

    name: str
    told: str
    both: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    first: str = ""
    tuned: bool = True


# By importance: the first ones are what a short time is best spent on.
VARIANTS = (
    Variant("base", "base, seed 0"),
    Variant("untuned", "no second stage", first="base", tuned=False),
    Variant(
        "still",
        "no turbulence",
        ("data.sources.10.weight=1e-9", "data.sources.11.weight=1e-9"),
    ),
    Variant("reseeded", "second stage with seed 1", second=("trainer.seed=1",), first="base"),
    Variant("gradient", "no CRPS of gradients", second=("ensemble.gradient=0",), first="base"),
    Variant("ddim", "DDIM, not Euler", second=("diffusion.method=ddim",), first="base"),
    Variant("mean", "no error of the mean", second=("ensemble.mean=0",), first="base"),
    Variant("spectrum", "spectral term 0.1", second=("ensemble.spectrum=0.1",), first="base"),
    Variant("seed1", "base, seed 1", ("trainer.seed=1",)),
    Variant("seed2", "base, seed 2", ("trainer.seed=2",)),
    Variant("shift", "schedule shift 2", ("diffusion.shift=2",)),
    Variant("members", "4 members in the loss", second=("ensemble.members=4",), first="base"),
    Variant("untold", "not conditioned on the factor", ("data.label=[]",)),
    Variant("x4", "x4 only", ("data.factors={4: 1}",)),
    Variant("local", "GFS u10 and v10 together, local scaling", WIND),
    Variant("fixed", "GFS u10 and v10 together, fixed scaling", (*WIND, "data.scaling=fixed")),
    Variant(
        "wide", "1.5 times as wide below the first level", ("network.model_channels=[32, 96, 192]",)
    ),
    Variant("whole", "no pixel-unshuffle", ("network.unshuffle=1",)),
)


@dataclass(frozen=True)
class Lab:
    """How long runs are, and where they lie."""

    steps: int
    ensemble: int
    output: Path

    @property
    def folder(self) -> Path:
        """Runs of other lengths lie elsewhere."""
        return self.output / f"{self.steps}+{self.ensemble}"

    def stages(self, variant: Variant) -> list[tuple[Path, list[str]]]:
        """Return run folder and overrides of each stage."""
        folder = self.folder / f"{variant.first or variant.name}-first"
        common = [*COMMON, *variant.both, f"trainer.score_every={self.steps + self.ensemble}"]
        first = [f"trainer.steps={self.steps}", "ensemble.steps=0"]
        found = [(folder, [*common, *first, f"output={folder}"])]
        if variant.tuned:
            own = self.folder / variant.name
            second = ["trainer.steps=0", f"ensemble.steps={self.ensemble}", *variant.second]
            found.append((own, [*common, *second, f"start={folder / 'model'}", f"output={own}"]))
        return found

    def result(self, variant: Variant) -> dict[str, float]:
        """Train and score what is not there yet."""
        kept = self.folder / f"{variant.name}.json"
        if not kept.is_file():
            stages = self.stages(variant)
            for folder, overrides in stages:
                if not (folder / "model").is_dir():
                    fit(load_recipe(RECIPE, overrides))
            logs = [read_log(folder / "log.csv") for folder, _ in stages]
            found = cost(logs) | measured(flexclim.load_model(stages[-1][0] / "model"))
            kept.write_text(json.dumps(found))
        result: dict[str, float] = json.loads(kept.read_text())
        return result


def cost(logs: Sequence[Sequence[dict[str, str]]], batch: int = BATCH) -> dict[str, float]:
    """Return the usual seconds of a step of each stage, and what all steps took.

    >>> rows = [{"seconds": "4", "patches_per_second": "4"}]
    >>> cost([rows])
    {'first': 2.0, 'second': nan, 'minutes': 0.03333333333333333}
    """
    usual = [batch / statistics.median(float(r["patches_per_second"]) for r in log) for log in logs]
    usual += [float("nan")] * (2 - len(usual))
    minutes = sum(one * len(log) for one, log in zip(usual, logs, strict=False)) / 60
    return {"first": usual[0], "second": usual[1], "minutes": minutes}


def measured(model: Model) -> dict[str, float]:
    """Score a model on wind of validation times."""
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    case = next(case for case in CASES if case.name == "gfs-wind-x4")
    fields = xr.open_dataset(folder / case.file)[list(case.variables)].sel(latitude=slice(60, -59))
    records: dict[str, dict[str, list[Any]]] = {"bicubic": {}, "mean": {}, "members": {}}
    for time in TIMES:
        truth = fields.sel(time=[np.datetime64(time)]).load()
        coarse = flexclim.coarsen(truth, case.factor, grid="cell")
        made = {
            "bicubic": flexclim.interpolate(coarse, case.factor, grid="cell"),
            "mean": sampling.sample(model, case, coarse, 1, folder, members=2).mean("realization"),
            "members": sampling.sample(model, case, coarse, 2, folder, members=MEMBERS),
        }
        for kind, fine in made.items():
            for name in case.variables:
                found = score(
                    fine[name].assign_coords(truth[name].coords),
                    truth[name],
                    coarse[name],
                    factor=case.factor,
                    spectrum=case.spectrum,
                    extreme=20.0,
                    wet=None,
                )
                records[kind].setdefault(name, []).append(found)
    return {"parameters": _parameters(model)} | summary(records)


def summary(records: dict[str, dict[str, list[Any]]]) -> dict[str, float]:
    """Return scores of members and their mean against bicubic's, averaged over variables."""
    each = {
        kind: [scores(of_name) for of_name in by_name.values()] for kind, by_name in records.items()
    }
    means = {
        kind: {key: float(np.mean([one[key] for one in found])) for key in found[0]}
        for kind, found in each.items()
    }
    bicubic, members = means["bicubic"], means["members"]
    return {
        "rmse": 1 - means["mean"]["rmse"] / bicubic["rmse"],
        "crps": 1 - members["crps"] / bicubic["crps"],
        "spread_skill": members["spread_skill"],
        "decibels": members["decibels"],
    }


def _parameters(model: Model) -> float:
    return sum(parameter.numel() for parameter in model.network.parameters()) / 1e6


def table(results: Iterable[tuple[Variant, dict[str, float]]], title: str) -> Table:
    """Return a line a variant."""
    rows = [
        [
            variant.told,
            f"{100 * found['rmse']:.1f} %",
            f"{100 * found['crps']:.1f} %",
            f"{found['spread_skill']:.2f}",
            f"{found['decibels']:.2f}",
            f"{found['first']:.2f}",
            f"{found['second']:.2f}" if variant.tuned else "",
            f"{found['minutes']:.1f}",
            f"{found['parameters']:.1f}",
        ]
        for variant, found in results
    ]
    return Table(title, HEADS, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [variant.name for variant in VARIANTS]
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--ensemble", type=int, default=24)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--output", type=Path, default=Path("runs/ablation"))
    given = parser.parse_args()
    lab = Lab(given.steps, given.ensemble, given.output)
    wanted = [variant for variant in VARIANTS if variant.name in given.only]
    results = [(variant, lab.result(variant)) for variant in wanted]
    print(table(results, f"{given.steps} + {given.ensemble} steps of 8 patches").markdown())


if __name__ == "__main__":
    main()
