"""Skill of models on test splits, which training did not use, compared with simpler methods.

    python -m benchmarks.skill [--model NAME_OR_FOLDER ...] [--only CASE ...] [--markdown FILE]
    python -m benchmarks.skill --table [--quick] [--model NAME_OR_FOLDER ...]

Fields of GFS, HRRR, AROME, MRMS and ERA5 (`fields.py` says which) are averaged over blocks and
downscaled again with 8 members and 1, 2, 4 and 8 sampler steps; at one step the network's first
estimate is the member. The models are compared with bilinear and bicubic interpolation, bicubic
with block means restored, linear regression on 5 x 5 coarse cells, bicubic plus the mean residual
of the point, bicubic plus real residuals of training times (anywhere, or of the same point), and
regression plus residuals of analogues, which estimates what can be known (`analogues.py`).

Scores are cached in a folder outside the repository (FLEXCLIM_CACHE, --cache) by model, field and
code: a second call prints immediately, and another model only adds its own scores. One model takes
less than half an hour on two cores. The last table summarises each model.

`--table` prints one table instead: scores, spread, texture and tails of all cases, beside bicubic
plus real residuals (`overview.py`). With `--quick` it takes four fields each of GFS of 2026 and
2018, which judges a training in a minute or two.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.status import Status

import flexclim
from benchmarks.skill import overview, tables
from benchmarks.skill.cases import CASES, Case
from benchmarks.skill.rivals import RIVALS
from benchmarks.skill.runs import STRUCTURED, Bench, Say
from benchmarks.skill.sampling import made
from benchmarks.skill.store import Store, default_folder
from benchmarks.skill.summary import summary_table
from flexclim.models.model import Model

QUICK_FIELDS = 4


def main() -> None:
    options = parse()
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    models = load(options.model)
    began, kept = time.perf_counter(), Store(options.cache)
    with Console(stderr=True).status("") as status:
        bench = Bench(
            folder, kept, fields=options.fields, steps=options.steps, say=progress(status)
        )
        rivals = STRUCTURED if options.table else RIVALS
        results = {}
        for case in chosen(options.only, models):
            wanted = not options.table and case.name in seams(models)
            results[case.name] = bench.run(case, models, rivals=rivals, seam=wanted)
    pages: list[tables.Table | None]
    if options.table:
        pages = [
            table(results, models) for table in (overview.overview_table, overview.regime_table)
        ]
    else:
        pages = [tables.score_table(one) for one in results.values()]
        pages.append(tables.rank_table(list(results.values())))
        pages.append(tables.seam_table(list(results.values())))
        pages += [summary_table(results, model) for model in models]
    shown = [page for page in pages if page is not None and page.rows]
    console = Console(width=None if sys.stdout.isatty() else 200)
    for page in shown:
        console.print(page.rich())
    seconds = time.perf_counter() - began
    console.print(
        f"{kept.computed} records made in {seconds:.0f} s, {kept.reused} found in {kept.folder}"
    )
    if options.markdown:
        options.markdown.write_text("\n".join(page.markdown() for page in shown))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [case.name for case in CASES]
    parser.add_argument("--model", nargs="*", default=["flex-nano"], help="names or folders")
    parser.add_argument("--only", nargs="+", choices=names, metavar="CASE")
    parser.add_argument("--table", action="store_true", help="one table of all cases instead")
    parser.add_argument("--quick", action="store_true", help="with --table: four fields, two cases")
    parser.add_argument(
        "--fields", type=int, help="at most this many fields per case, for a quick look"
    )
    parser.add_argument("--steps", type=int, nargs="+", help="only these of 1, 2, 4 and 8")
    parser.add_argument("--cache", type=Path, default=default_folder())
    parser.add_argument("--markdown", type=Path, help="write the tables to this file as well")
    options = parser.parse_args()
    if options.quick and not options.table:
        parser.error("--quick shortens --table")
    if options.quick:
        options.fields = options.fields or QUICK_FIELDS
    if options.table:
        options.steps = options.steps or [1, 2]
    cases = overview.QUICK if options.quick else overview.CASES if options.table else names
    options.only = options.only or list(cases)
    return options


def load(names: list[str]) -> list[Model]:
    """Load models; where two have the same name, each is named by its path, without slashes."""
    models = [flexclim.load_model(name) for name in names]
    known = [model.name for model in models]
    return [
        model
        if known.count(model.name) == 1
        else model.replace(card={"name": re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")})
        for name, model in zip(names, models, strict=True)
    ]


def chosen(names: list[str], models: list[Model]) -> list[Case]:
    """Return the cases that were asked for and that some model serves; without models all."""
    served = [case for case in CASES if not models or any(made(model, case) for model in models)]
    return [case for case in served if case.name in names]


def seams(models: list[Model]) -> set[str]:
    """Return the cases on which seams are measured: the first at x4 that each model serves."""
    return {next((c.name for c in CASES if c.factor == 4 and made(m, c)), "") for m in models}


def progress(status: Status) -> Say:
    """Return what shows a line: on a terminal the last one, elsewhere all."""
    if sys.stderr.isatty():
        return status.update
    return lambda line: print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
