"""CPU time of small fields for each fine cell and member, relative to a field of 64 x 64 cells.

Members of all times are computed in memory. A model that takes windows of 32 x 32 fine cells as
well as of 64 x 64 has the network of flex-nano with random weights, and windows that overlap by 8
cells; the time does not depend on the weights.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

import flexclim
from benchmarks.skill.tables import Table
from flexclim.execution.allocation import keep_memory
from flexclim.models.card import ModelCard
from flexclim.models.model import Model, new_model
from flexclim.nn.flex import Flex

FACTOR, MEMBERS = 4, 4
# Rows and columns of the coarse field, and the times of a run; the first is what others relate to.
CASES = ((64, 64), 4), ((24, 32), 32), ((12, 12), 64), ((4, 4), 128)


@dataclass(frozen=True)
class Case:
    """A model on a field."""

    model: Model
    shape: tuple[int, int]
    times: int

    @property
    def megacells(self) -> float:
        """Fine cells of all times and members, in millions."""
        return self.shape[0] * self.shape[1] * FACTOR**2 * self.times * MEMBERS / 1e6

    def run(self) -> tuple[float, float]:
        """Return the seconds of CPU and of wall that a million fine cells of a member take."""
        coarse = field(self.shape, self.times)
        began, busy = time.perf_counter(), time.process_time()
        flexclim.downscale(coarse, FACTOR, model=self.model, members=MEMBERS, seed=1)
        took, busy = time.perf_counter() - began, time.process_time() - busy
        return busy / self.megacells, took / self.megacells


def field(shape: tuple[int, int], times: int) -> xr.DataArray:
    """Return noise on a region of quarter degrees."""
    values = np.random.default_rng(0).normal(280, 5, (times, *shape)).astype("float32")
    return xr.DataArray(
        values,
        {
            "time": pd.date_range("1991-01-01", periods=times),
            "lat": np.arange(shape[0]) / 4 + 40,
            "lon": np.arange(shape[1]) / 4 + 5,
        },
        name="t2m",
        attrs={"units": "K"},
    )


def with_small_windows(model: Model) -> Model:
    """Return a model of the same network with random weights that takes smaller windows, too."""
    network = model.settings.network.model_copy(update={"other_tiles": ((32, 32),)})
    settings = model.settings.model_copy(update={"network": network, "halo": 8})
    return new_model(Flex(network), settings, ModelCard(name="windows-of-32"))


def small_fields(name: str, rounds: int) -> Table:
    """Time all cases in turn, a few times, and return the table of medians."""
    known = flexclim.load_model(name)
    rows = []
    for label, model in ((name, known), ("windows of 32 cells", with_small_windows(known))):
        cases = [Case(model, *case) for case in CASES]
        Case(model, (8, 8), 1).run()
        found = [[case.run() for case in cases] for _ in range(rounds)]
        cpu = [statistics.median(one[n][0] for one in found) for n in range(len(cases))]
        ratios = [
            statistics.median(one[n][0] / one[0][0] for one in found) for n in range(len(cases))
        ]
        for case, seconds, ratio in zip(cases, cpu, ratios, strict=True):
            shape = f"{case.shape[0]} x {case.shape[1]}"
            rows.append([label, shape, str(case.times), f"{seconds:.1f}", f"{ratio:.2f}"])
    heads = ["coarse field", "times", "CPU s", "over 64 x 64"]
    note = "CPU seconds for a million fine cells and member."
    return Table(f"Small fields, x{FACTOR}, {MEMBERS} members", heads, rows, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="flex-nano")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keep_memory()  # as the command line does
    print(small_fields(options.model, options.rounds).markdown())


if __name__ == "__main__":
    main()
