"""bf16 against float32: time of forward passes, and what it does to fields and their scores.

    python -m benchmarks.precision [--fields 1]

First the ratio by which a CPU chooses its default precision, for the networks that ship and for
FLEX-small with random weights: time of a forward pass in float32 over that in bf16, on one thread,
in turns. Then fields of `benchmarks.skill`, downscaled in both precisions with the same noise: CPU
time of the whole downscaling in float32 over that in bf16, their difference in standard deviations
of the field, and the fair CRPS; last, the fair CRPS of forecasts of `benchmarks.forecast`, two
time steps ahead. On a GPU, times are those of the CPU beside it.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import xarray as xr

import flexclim
from benchmarks.forecast.cases import CASES as FORECASTS
from benchmarks.forecast.cases import Case as ForecastCase
from benchmarks.rounding import forecast_of
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

T = TypeVar("T")

MODELS = {
    "gfs-wind-x4": ("flex-nano", "flex-wind"),
    "era5-t2m-x4": ("flex-nano", "flex-t2m"),
    "era5-tp-x4": ("flex-nano", "flex-rain"),
}
STEPS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fields", type=int, default=1)
    options = parser.parse_args()
    keep_memory()  # as the command line does
    print(f"instructions for bf16: {has_bf16()}")
    names = sorted({name for made_by in MODELS.values() for name in made_by})
    networks = {name: flexclim.load_model(name).settings.network for name in names}
    for name, config in (networks | {"FLEX-small": published_network("small")}).items():
        (gain,) = run_passes([partial(gain_of_bf16, config)], "cpu")
        print(f"{name}: float32 over bf16 {gain:.2f}", flush=True)
    folder = Path(os.environ.get("FLEXCLIM_DATA", "../shared/data"))
    rows = [
        row
        for case in CASES
        for name in MODELS.get(case.name, ())
        for row in compared(flexclim.load_model(name), case, folder, options.fields)
    ]
    heads = "float32 over bf16", "RMS", "largest", "fair CRPS", "in bf16"
    note = f"{STEPS} steps, 8 members; differences in standard deviations of the field."
    print(Table("bf16 against float32", heads, rows, note).markdown(), flush=True)
    ahead = [forecast(case, folder, options.fields) for case in FORECASTS]
    print(Table("Forecasts", ("fair CRPS", "in bf16"), ahead).markdown())


def forecast(case: ForecastCase, folder: Path, starts: int) -> list[str]:
    """Return the row of a case of forecasts: means over variables and leads."""
    model = flexclim.load_model(case.model)
    scores, _ = in_both(lambda: forecast_of(case, model, folder, starts)[0])
    return [f"{case.name}: {model.name}", *cells(*scores)]


def in_both(work: Callable[[], T]) -> tuple[list[T], list[float]]:
    """Return what some work gives in float32 and in bf16, and the CPU seconds of each."""
    found, seconds = [], []
    for precision in ("float32", "bf16"):
        with patch.dict(os.environ, {VARIABLE: precision}):
            began = time.process_time()
            found.append(work())
            seconds.append(time.process_time() - began)
    return found, seconds


def over(seconds: Sequence[float]) -> str:
    return f"{seconds[0] / seconds[1]:.2f}"


def cells(exact: float, rough: float) -> list[str]:
    """Return the cells of a score in both precisions.

    >>> cells(0.5, 0.5001)
    ['0.5', '0.5001 (+0.020 %)']
    """
    return [f"{exact:.5g}", f"{rough:.5g} ({100 * (rough / exact - 1):+.3f} %)"]


def compared(model: Model, case: Case, folder: Path, fields: int) -> list[list[str]]:
    """Return a row for each variable."""
    truth = xr.concat(case.split(folder).test[:fields], "time")
    coarse = flexclim.coarsen(truth, case.factor, grid="cell")
    found, seconds = in_both(lambda: sample(model, case, coarse, STEPS, folder))
    rows = []
    for name in made(model, case):
        exact, rough = (one[name] for one in found)
        gap, scale = abs(rough - exact), float(exact.std())
        scores = [float(verify.crps(one, truth[name])) for one in (exact, rough)]
        rows.append(
            [
                f"{case.name}, {name}: {model.name}",
                over(seconds),
                f"{float((gap**2).mean() ** 0.5) / scale:.1e}",
                f"{float(gap.max()) / scale:.1e}",
                *cells(*scores),
            ]
        )
    return rows


if __name__ == "__main__":
    main()
