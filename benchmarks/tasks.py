"""Several tasks in one model, and ways of conditioning: short trainings side by side.

    python -m benchmarks.tasks [--steps 300] [--only NAME ...] [--output FOLDER]

All runs take the data of the recipe `flex_both` (GFS wind) and a small network from random weights.
The first group compares one model of both tasks with models of one task, of the same sizes and as
many steps on each task; the second, on forecasts alone, how the task encoder's features reach the
common network. Prints tables in Markdown of scores on patches of the validation times, as training
logs them. Finished runs are kept under the output folder, so that a second call prints at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.skill.tables import Table
from flexclim.train import fit, load_recipe
from flexclim.train.loop.logs import read_log

RECIPE, BATCH = "flex_both", 8
COMMON = (
    "network.model_channels=[32, 64]",
    "network.res_blocks=[1, 2]",
    f"trainer.batch={BATCH}",
    "trainer.learning_rate=8e-4",
    "trainer.warmup=30",
    "trainer.ema=0.98",
    "trainer.validation_patches=64",
    "trainer.keep=1",
    "ensemble.learning_rate=4e-4",
    "ensemble.ema=0.95",
)
ALONE = {"downscaling": "data.tasks={superres: 1}", "forecast": "data.tasks={forecast: 1}"}
SHARE = 10  # steps of the first stage for one of the second
SCORES = {
    "rmse": ("RMSE of the one-step mean", "{:.3f}"),
    "crps": ("fair CRPS", "{:.3f}"),
    "spread_skill": ("spread/skill", "{:.2f}"),
    "log_spectral_distance": ("spectrum, dB", "{:.2f}"),
}


@dataclass(frozen=True)
class Variant:
    """A run: what it changes, and steps of each task in units of ``--steps``."""

    name: str
    told: str
    overrides: tuple[str, ...] = ()
    length: int = 1
    tasks: tuple[str, ...] = ("forecast",)


TASKS = (
    Variant("downscaling", "downscaling alone", (ALONE["downscaling"],), tasks=("superres",)),
    Variant("forecast", "forecast alone", (ALONE["forecast"],)),
    Variant("both", "both, half the steps each", tasks=("superres", "forecast")),
    Variant("both-long", "both, as many steps each", length=2, tasks=("superres", "forecast")),
)
CONDITIONING = (
    Variant("weak", "weak only", (ALONE["forecast"], "network.conditioning=weak")),
    Variant("strong", "strong only", (ALONE["forecast"], "network.conditioning=strong")),
    Variant("forecast", "both", (ALONE["forecast"],)),
    Variant("tokens", "both, with tokens", (ALONE["forecast"], "network.use_transf=true")),
)


def trained(variant: Variant, steps: int, output: Path) -> dict[str, str]:
    """Train what is not there yet; return the last scores of its log."""
    folder = output / f"{steps}" / variant.name
    length = steps * variant.length
    if not (folder / "model").is_dir():
        own = [
            f"trainer.steps={length}",
            f"ensemble.steps={length // SHARE}",
            f"trainer.validate_every={length}",
            f"trainer.score_every={length}",
            f"trainer.save_every={length}",
            f"output={folder}",
        ]
        fit(load_recipe(RECIPE, [*COMMON, *own, *variant.overrides]))
    last = read_log(folder / "log.csv")[-1]
    return {name: value for name, value in last.items() if value}


def rows(variants: Sequence[Variant], steps: int, output: Path) -> list[list[str]]:
    """Return a line a variant and task."""
    lines = []
    for variant in variants:
        found = trained(variant, steps, output)
        for task in variant.tasks:
            prefix = f"{task}_" if len(variant.tasks) > 1 else ""
            values = [told.format(float(found[prefix + key])) for key, (_, told) in SCORES.items()]
            minutes = f"{float(found['seconds']) / 60:.1f}"
            lines.append([f"{variant.told}: {task}", *values, minutes])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=300)
    names = list(dict.fromkeys(variant.name for variant in (*TASKS, *CONDITIONING)))
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--output", type=Path, default=Path("runs/tasks"))
    given = parser.parse_args()
    heads = [*(head for head, _ in SCORES.values()), "minutes"]
    note = "RMSE and CRPS over the error of interpolation, or of persistence for forecasts."
    for title, group in (("Tasks", TASKS), ("Conditioning", CONDITIONING)):
        wanted = [variant for variant in group if variant.name in given.only]
        lines = rows(wanted, given.steps, given.output)
        print(Table(f"{title}, {given.steps} steps of {BATCH}", heads, lines, note).markdown())


if __name__ == "__main__":
    main()
