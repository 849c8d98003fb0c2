"""bf16 against float32: time of forward passes, and what it does to fields and their scores.

    python -m benchmarks.precision [--fields 1] [--case gfs-wind-x4 ...]

First the ratio by which a CPU chooses its default precision, for the networks that ship and for
FLEX-small with random weights: time of a forward pass in float32 over that in bf16, on one thread,
in turns. Then fields of `benchmarks.skill`, downscaled in both precisions with the same noise: CPU
time of the whole downscaling in float32 over that in bf16, their difference in standard deviations
of the field, and the fair CRPS. On a GPU, times are those of the CPU beside it.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import xarray as xr

import flexclim
from benchmarks.skill.cases import CASES, Case
from benchmarks.skill.sampling import made, sample
from benchmarks.skill.tables import Table
from flexclim import verify
from flexclim.execution.allocation import keep_memory
from flexclim.execution.forward_passes import run_passes
from flexclim.execution.precision import VARIABLE
from flexclim.models.model import Model
from flexclim.nn.configuration import published_network
from flexclim.nn.half_precision import gain_of_bf16, has_bf16

MODELS = {
    "gfs-wind-x4": ("flex-nano", "flex-wind"),
    "era5-t2m-x4": ("flex-nano", "flex-t2m"),
    "era5-tp-x4": ("flex-nano", "flex-rain"),
}
STEPS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fields", type=int, default=1)
    parser.add_argument("--case", nargs="+", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    keep_memory()  # as the command line does
    print(f"instructions for bf16: {has_bf16()}")
    names = sorted({name for case in options.case for name in MODELS[case]})
    networks = {name: flexclim.load_model(name).settings.network for name in names}
    for name, config in (networks | {"FLEX-small": published_network("small")}).items():
        (gain,) = run_passes([partial(gain_of_bf16, config)], "cpu")
        print(f"{name}: float32 over bf16 {gain:.2f}", flush=True)
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    rows = [
        row
        for case in CASES
        if case.name in options.case
        for name in MODELS[case.name]
        for row in compared(flexclim.load_model(name), case, folder, options.fields)
    ]
    heads = "case", "float32 over bf16", "RMS", "largest", "fair CRPS", "in bf16"
    note = f"{STEPS} steps, 8 members; differences in standard deviations of the field."
    print(Table("bf16 against float32", heads, rows, note).markdown())


def compared(model: Model, case: Case, folder: Path, fields: int) -> list[list[str]]:
    """Return a row for each variable."""
    truth = xr.concat(case.split(folder).test[:fields], "time")
    coarse = flexclim.coarsen(truth, case.factor, grid="cell")
    found, seconds = {}, {}
    for precision in ("float32", "bf16"):
        with patch.dict(os.environ, {VARIABLE: precision}):
            began = time.process_time()
            found[precision] = sample(model, case, coarse, STEPS, folder)
            seconds[precision] = time.process_time() - began
    ratio = f"{seconds['float32'] / seconds['bf16']:.2f}"
    rows = []
    for name in made(model, case):
        exact, rough = found["float32"][name], found["bf16"][name]
        gap, scale = abs(rough - exact), float(exact.std())
        scores = [float(verify.crps(one, truth[name])) for one in (exact, rough)]
        rows.append(
            [
                f"{case.name}, {name}: {model.name}",
                ratio,
                f"{float((gap**2).mean() ** 0.5) / scale:.1e}",
                f"{float(gap.max()) / scale:.1e}",
                f"{scores[0]:.5g}",
                f"{scores[1]:.5g} ({100 * (scores[1] / scores[0] - 1):+.3f} %)",
            ]
        )
    return rows


if __name__ == "__main__":
    main()
