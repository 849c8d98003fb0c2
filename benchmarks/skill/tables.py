"""Results as tables: for the terminal and, word for word, for docs/reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
import rich.table
import xarray as xr

from benchmarks.skill.rivals import BICUBIC, KNOWN
from benchmarks.skill.runs import Result, Row
from flexclim import verify

HEADS = (
    "RMSE of the mean",
    "below bicubic",
    "fair CRPS",
    "below bicubic's MAE",
    "spread/skill",
    "spectrum, dB",
    "in bands, dB",
    "99.9 % tail",
    "wet area",
    "block means off by",
)
# Of fewer fields nothing can be said about chance.
FEWEST = 6


@dataclass(frozen=True)
class Table:
    """Text in rows; the first cell of each is its name."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def rich(self) -> rich.table.Table:
        """Return it for the terminal."""
        table = rich.table.Table(title=self.title, caption=self.note or None)
        table.add_column("", no_wrap=True)
        for head in self.heads:
            table.add_column(head)
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """Return it for a page."""
        lines = [["", *self.heads], ["---"] * (len(self.heads) + 1), *self.rows]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join(filter(None, (f"### {self.title}", body, self.note))) + "\n"


def score_table(result: Result) -> Table:
    """Return one line a forecast; columns that no forecast has are left out."""
    base = result.row(BICUBIC)
    assert base is not None
    named = [(row.name, cells(row, base.like(row))) for row in result.rows]
    used = [number for number in range(len(HEADS)) if any(line[number] for _, line in named)]
    whole = len(base.indices)
    rows = [[name, *(line[number] for number in used)] for name, line in named]
    note = f"{whole} fields, {len(result.case.variables)} variable(s), 8 members."
    if few := [row for row in result.rows if len(row.indices) < whole]:
        counts = ", ".join(f"{row.name}: {len(row.indices)}" for row in few)
        note += f" Fewer fields, compared with bicubic on the same ones: {counts}."
    if (known := result.row(KNOWN)) is not None:
        half = known.scores()["dispersion"]
        share = below(half, base.scores()["crps"])
        note += f" Half the mean distance between analogues: {number(half)} ({share} below)."
    return Table(result.case.title, [HEADS[number] for number in used], rows, note)


def cells(row: Row, base: Row) -> list[str]:
    """Return the cells of one forecast, empty where it has no such score."""
    found, known = row.scores(), base.scores()
    gain = "" if row.name == BICUBIC else below(found["crps"], known["crps"])
    bounds = "" if row.name == BICUBIC else interval(row, base)
    return [
        number(found["rmse"]),
        "" if row.name == BICUBIC else below(found["rmse"], known["rmse"]),
        number(found["crps"]),
        f"{gain} {bounds}".strip(),
        "" if isnan(found["spread_skill"]) else f"{found['spread_skill']:.3f}",
        f"{found['decibels']:.2f}",
        f"{found['bands']:.2f}",
        "" if isnan(found["tail"]) else f"{found['tail']:.2f}",
        "" if isnan(found["wet"]) else f"{100 * (found['wet'] - 1):+.1f} %",
        f"{100 * found['block']:.2g} %",
    ]


def interval(row: Row, base: Row) -> str:
    """Return the 95 % interval of how far the CRPS lies below another's, from the fields drawn."""
    low, high = bounds(row, base)
    return "" if isnan(low) else f"({100 * low:.1f} to {100 * high:.1f})"


def bounds(row: Row, base: Row) -> tuple[float, float]:
    """Return both ends of that interval as shares; NaN where fields are too few."""
    if len(row.indices) < FEWEST:
        return float("nan"), float("nan")
    mine, other = row.series(), base.series()
    found = verify.bootstrap(xr.DataArray((other - mine) / other.mean(), dims=["time"]))
    return float(found["low"]), float(found["high"])


def rank_table(results: Sequence[Result]) -> Table:
    """Return how often the truth had each rank, ensemble by ensemble."""
    rows, most = [], 0
    for result in results:
        for row in result.rows:
            if shares := row.ranks():
                most = max(most, len(shares))
                text = [f"{100 * share:.1f}" for share in shares]
                rows.append([f"{result.case.name}: {row.name}", *text])
    note = f"Per cent; {100 / most:.1f} each for an ideal ensemble." if most else ""
    return Table("Ranks of the truth among the members", list(map(str, range(most))), rows, note)


def seam_table(results: Sequence[Result]) -> Table:
    """Return what `verify.seam` finds at the borders of tiles."""
    rows, heads = [], [f"{k}, {h}" for k in ("gradient", "variance") for h in ("as it is", "", "")]
    for result in results:
        for model, found in result.seams.items():
            heads = [f"{kind} {how}" for kind, ways in found.items() for how in ways]
            values = [f"{value:.4f}" for ways in found.values() for value in ways.values()]
            rows.append([f"{result.case.name}: {model}", *values])
    return Table("Seams", heads, rows, "The ratio is 1 without seams.")


def below(value: float, base: float) -> str:
    """Return by how many per cent a value lies below another.

    >>> below(0.75, 1.0)
    '25.0 %'
    """
    return f"{100 * (1 - value / base):.1f} %"


def number(value: float) -> str:
    """Return a number with four digits, of any size.

    >>> number(1.33789), number(0.00012345), number(61.2345)
    ('1.338', '0.0001235', '61.23')
    """
    return f"{value:.4g}" if np.isfinite(value) else ""
