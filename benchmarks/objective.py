"""What each term of the objective does: short fine-tunings that differ in one thing.

    python -m benchmarks.objective MODEL [--steps 100] [--batch 4] [--only NAME ...]
                                   [--output FOLDER]

MODEL is one that denoising and few-step fine-tuning on the CRPS of single cells made, such as what
the recipe `flex_wind` writes. Each run goes on from it with the data of `flex_wind_years` and as
many steps as all others. Members (8, at two steps) are judged as in the table of
`benchmarks.skill`, on three validation times of GFS in August 2026. Prints a table in Markdown:
what three seeds of a line differ by is the noise of the others. Runs and scores are kept under the
output folder.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import flexclim
from benchmarks.ablation import cost
from benchmarks.skill import measures, wind_fields
from benchmarks.skill.cases import Case
from benchmarks.skill.fields import Split, times
from benchmarks.skill.measures import Measure
from benchmarks.skill.rivals import BICUBIC, SAME
from benchmarks.skill.runs import Bench
from benchmarks.skill.store import Store
from benchmarks.skill.tables import Table
from flexclim.models.model import Model
from flexclim.train import fit, load_recipe
from flexclim.train.loop.logs import read_log

RECIPE, STEPS, FILE = "flex_wind_years", 2, "gfs_wind_1deg_2014_2026.nc"
NAMES = (
    "diffusion.noise_amplitude",
    "ensemble.texture",
    "ensemble.amplitude",
    "ensemble.gradient",
    "ensemble.physical",
)
# What the recipe sets; runs that say nothing of a term are without it.
WHOLE = dict(zip(NAMES, (0.5, 1.0, 0.3, 0.25, 0.3), strict=True))


def terms(*names: str) -> dict[str, float]:
    """Return the settings of the recipe for some of its terms."""
    return {name: WHOLE[name] for name in NAMES if name.rpartition(".")[2] in names}


@dataclass(frozen=True)
class Variant:
    """One line of the table: its ``settings`` beside those that all share."""

    name: str
    told: str
    settings: Mapping[str, float]


VARIANTS = (
    Variant("cells", "single cells alone", {}),
    Variant("whole", "all terms", WHOLE),
    Variant("noise", "noise of random amplitude", terms("noise_amplitude")),
    Variant("texture", "texture", terms("texture")),
    Variant(
        "amplitude", "both, and local amplitude", terms("noise_amplitude", "texture", "amplitude")
    ),
    Variant("cells1", "single cells alone, seed 1", {"trainer.seed": 1}),
    Variant("whole1", "all terms, seed 1", {**WHOLE, "trainer.seed": 1}),
    Variant("cells2", "single cells alone, seed 2", {"trainer.seed": 2}),
    Variant("whole2", "all terms, seed 2", {**WHOLE, "trainer.seed": 2}),
    Variant("members", "all terms, 4 members", {**WHOLE, "ensemble.members": 4}),
)
MEASURES: dict[str, Measure] = {
    "CRPS over bicubic's MAE": measures.over_bicubic,
    "spread/skill": measures.spread_skill,
    "variogram score": measures.patches("variogram"),
    "energy score": measures.patches("energy"),
    "99.9 % tail": measures.error_tail(1),
    "lag-1 off": measures.lag(1),
    "neighbours: variance": measures.increments,
    "kurtosis": measures.kurtosis,
    "spectrum, dB": measures.decibels,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = [variant.name for variant in VARIANTS]
    parser.add_argument("model", help="name or folder")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--output", type=Path, default=Path("runs/objective"))
    given = parser.parse_args()
    bench = Bench(
        Path(os.environ.get("FLEXCLIM_DATA", "../shared/data")), Store(given.output / "scores")
    )
    start = flexclim.load_model(given.model)
    lines = [["before", *scored(bench, start), "", ""]]
    for variant in VARIANTS:
        if variant.name in given.only:
            folder = given.output / f"{start.sha256[:8]}-{given.steps}x{given.batch}" / variant.name
            lines.append([variant.told, *trained(bench, given, variant, folder)])
            print(" | ".join(lines[-1]), flush=True)
    title = f"{given.steps} steps of {given.batch} patches"
    print(Table(title, [*MEASURES, "s per step", "minutes"], lines).markdown())


def trained(
    bench: Bench, given: argparse.Namespace, variant: Variant, folder: Path
) -> Iterator[str]:
    """Yield the scores and the cost of a variant, which is trained if it is not there yet."""
    if not (folder / "model").is_dir():
        settings = settings_of(given.model, given.steps, given.batch, variant, folder)
        fit(load_recipe(RECIPE, settings))
    yield from scored(bench, flexclim.load_model(folder / "model"))
    spent = cost([read_log(folder / "log.csv")], given.batch)
    yield from (f"{spent['first']:.2f}", f"{spent['minutes']:.1f}")


def settings_of(start: str, steps: int, batch: int, variant: Variant, folder: Path) -> list[str]:
    """Return what a run changes in the recipe."""
    settings: dict[str, object] = {
        **dict.fromkeys(NAMES, 0.0),
        "start": start,
        "output": folder,
        "trainer.batch": batch,
        "trainer.warmup": 10,
        "trainer.validation_patches": 8,
        "trainer.score_every": steps,
        "ensemble.steps": steps,
        "ensemble.ema": 0.95,
        **variant.settings,
    }
    return [f"{name}={value}" for name, value in settings.items()]


def validation(folder: Path) -> Split:
    """Read three times that choose settings; rivals learn from July and the start of August."""
    wind = wind_fields.one_degree(folder / FILE)
    kept = wind.sel(time=slice("2026-08-04", "2026-08-05")).isel(time=[0, 3, 6])
    train = wind.sel(time=slice("2026-07-06", "2026-08-02")).isel(time=slice(None, None, 4))
    return Split(times(kept.load()), [train.load()], fixed=True)


def scored(bench: Bench, model: Model) -> list[str]:
    """Return the text of each measure."""
    case = Case(
        name="gfs-wind-validation",
        title="GFS 10 m wind, 4 and 5 August 2026",
        file=FILE,
        variables=("u10", "v10"),
        factor=4,
        load=validation,
        steps={STEPS: None},
    )
    result = bench.run(case, [model], rivals=(BICUBIC, SAME))
    row, plain, real = result.model_row(model.name, STEPS), result.row(BICUBIC), result.row(SAME)
    assert row is not None
    assert plain is not None
    assert real is not None
    return [f"{measure(row, plain, real):.3f}" for measure in MEASURES.values()]


if __name__ == "__main__":
    main()
