"""What rounded weights cost: scores of models as they are and rounded, on every case they serve.

    python -m benchmarks.rounding [--model NAME_OR_FOLDER ...] [--precision int8] [--fields 4]
                                  [--markdown FILE]
    python -m benchmarks.rounding --convert [--model NAME_OR_FOLDER ...]

The cases are those of `benchmarks.skill`, with 2 sampler steps, and of `benchmarks.forecast`, 2
time steps ahead; 8 members have the same noise before and after. `--convert` scores nothing: it
replaces the weights of the models in their folders (default: of all bundled models) by rounded
ones and prints their sizes. Models whose weights are rounded already are left alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

import flexclim
from benchmarks.forecast.__main__ import scores as forecast_scores
from benchmarks.forecast.cases import CASES as FORECASTS
from benchmarks.forecast.cases import Case as ForecastCase
from benchmarks.skill.cases import CASES
from benchmarks.skill.runs import Bench, Row
from benchmarks.skill.sampling import made
from benchmarks.skill.store import Store, default_folder
from benchmarks.skill.tables import Table
from flexclim.models.catalogue import bundled_names
from flexclim.models.model import Model
from flexclim.verify.metrics.spectral_scores import distance_of

LEADS, MEMBERS = 2, 8
HEADS = (
    *("fair CRPS", "rounded", "change"),
    *("spectrum, dB", "rounded", "change"),
    *("spread/skill", "rounded"),
)
Scores = tuple[float, float, float]  # fair CRPS, log-spectral distance in dB, spread/skill


def main() -> None:
    options = parse()
    models = [flexclim.load_model(name) for name in options.model or bundled_names()]
    console = Console(width=None if sys.stdout.isatty() else 160)
    if options.convert:
        for model in models:
            console.print(converted(model, options.precision), soft_wrap=True)
        return
    rows, say = [], partial(print, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as place:
        for model in models:
            rounded = flexclim.load_model(
                model.save(Path(place) / model.name, precision=options.precision)
            )
            for case, before, after in compared(model, rounded, options):
                rows.append([f"{case}: {model.name}", *cells(before, after)])
                say(*rows[-1], sep=" | ")
    table = Table(f"Weights as they are, and as {options.precision}", HEADS, rows)
    console.print(table.rich())
    if options.markdown:
        options.markdown.write_text(table.markdown())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", nargs="+", help="names or folders; else all that ship")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--fields", type=int, default=4, help="at most so many fields per case")
    parser.add_argument("--cache", type=Path, default=default_folder())
    parser.add_argument("--markdown", type=Path, help="write the table to this file as well")
    parser.add_argument("--convert", action="store_true", help="replace weights in their folders")
    return parser.parse_args()


def converted(model: Model, precision: str) -> str:
    """Replace the weights of a saved model by rounded ones; say how large the folder is."""
    assert model.folder is not None
    before = size(model.folder)
    if model.card.precision == precision:
        return f"{model.name}: {precision} already, {before / 1e6:.2f} MB"
    model.save(model.folder, precision=precision, overwrite=True)  # type: ignore[arg-type]
    after = size(model.folder)
    return f"{model.name}: {before / 1e6:.2f} MB before, {after / 1e6:.2f} MB as {precision}"


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def compared(
    model: Model, rounded: Model, options: argparse.Namespace
) -> Iterator[tuple[str, Scores, Scores]]:
    """Yield the cases that a model serves, with its scores before and after rounding."""
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    bench = Bench(
        folder, Store(options.cache), fields=options.fields, steps=[2], say=lambda _: None
    )
    for case in CASES:
        if made(model, case):
            rows = [bench.run(case, [one], rivals=()).rows[0] for one in (model, rounded)]
            before, after = (downscaling_scores(row) for row in rows)
            yield case.name, before, after
    for ahead in FORECASTS:
        if ahead.model == model.name:
            each = (forecast_of(ahead, one, folder, options.fields) for one in (model, rounded))
            yield ahead.name, next(each), next(each)


def downscaling_scores(row: Row) -> Scores:
    found = row.scores()
    return found["crps"], found["decibels"], found["spread_skill"]


def forecast_of(case: ForecastCase, model: Model, folder: Path, starts: int) -> Scores:
    """Return the scores of a forecast case, means over variables and leads."""
    own = replace(case, rivals=())
    found = forecast_scores(own, model, folder, MEMBERS, LEADS, starts)[model.name]
    spread = found.variance.mean() * (MEMBERS + 1) / MEMBERS / found.square.mean()
    return float(found.crps.mean()), float(distance_of(found).mean()), float(spread**0.5)


def cells(before: Scores, after: Scores) -> list[str]:
    """Return the cells of a row.

    >>> cells((1.0, 0.5, 0.9), (1.0002, 0.51, 0.9))
    ['1', '1', '+0.02 %', '0.500', '0.510', '+0.010', '0.900', '0.900']
    """
    return [
        *(f"{one[0]:.4g}" for one in (before, after)),
        f"{100 * (after[0] / before[0] - 1):+.2f} %",
        *(f"{one[1]:.3f}" for one in (before, after)),
        f"{after[1] - before[1]:+.3f}",
        *(f"{one[2]:.3f}" for one in (before, after)),
    ]


if __name__ == "__main__":
    main()
