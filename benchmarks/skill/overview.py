"""One table of what a model must get right: scores, spread, texture and tails, by data set.

Each line compares a model with an ensemble that needs no model, bicubic plus real residuals (of the
same point where training has it), and, where that says something, with what chance or the method
alone gives: the statistics of every other truth over those of the rest, or the same ensemble with
one of its members as the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from benchmarks.skill import measures
from benchmarks.skill.measures import Measure
from benchmarks.skill.records import Record
from benchmarks.skill.rivals import ANYWHERE, BICUBIC, SAME
from benchmarks.skill.runs import Result, Row
from benchmarks.skill.tables import Table
from flexclim.models.model import Model

# The cases by which a training is judged while it goes on.
QUICK = ("gfs-wind-2026-x4", "gfs-wind-x4")
SEASONS = {
    "December to February": (12, 1, 2),
    "March to May": (3, 4, 5),
    "June to August": (6, 7, 8),
    "September to November": (9, 10, 11),
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the table.

    Parameters
    ----------
    text
        What is measured.
    case
        Where.
    measure
        How.
    steps
        Sampler steps of the members; 0: as many as the model takes by default.
    months
        Only fields of these; none: all.
    halves
        Whether halves of the truth say what chance alone gives.
    ideal
        Measures what the ensemble has with one of its members as the truth.
    """

    text: str
    case: str
    measure: Measure
    steps: int = 0
    months: Sequence[int] = ()
    halves: bool = False
    ideal: Measure | None = None

    def cells(self, result: Result, model: Model) -> list[str] | None:
        """Return the text, model, value, baseline and reference; None where there is no score."""
        row = result.model_row(model.name, self.steps or model.settings.steps)
        if row is None:
            return None
        if self.months and not (row := measures.of_months(row, self.months)).indices:
            return None
        plain, real = result.row(BICUBIC), result.row(SAME) or result.row(ANYWHERE)
        assert plain is not None
        assert real is not None
        plain, real = plain.like(row), real.like(row)
        values = [self.measure(row, plain, real), self.measure(real, plain, real), float("nan")]
        if self.ideal is not None:
            values[2] = self.ideal(row, plain, real)
        elif self.halves and len(row.indices) > 1:
            values[2] = self.measure(measures.halves(row), plain, real)
        return [self.text, model.name, *("" if isnan(v) else f"{v:.3f}" for v in values)]


SCORES: dict[str, Measure] = {
    "CRPS over bicubic's MAE": measures.over_bicubic,
    "spread/skill": measures.spread_skill,
}
PATCHES: dict[str, Measure] = {
    "variogram score over real residuals'": measures.patches("variogram"),
    "energy score over real residuals'": measures.patches("energy"),
    "energy score of wind vectors over real residuals'": measures.patches("vector"),
}
TAILS: dict[str, Measure] = {
    "99 % quantile of departures from the mean over the truth's": measures.error_tail(0),
    "99.9 % quantile of departures from the mean over the truth's": measures.error_tail(1),
}
SPECTRUM: dict[str, Measure] = {"log-spectral distance, dB": measures.decibels}
TEXTURE: dict[str, Measure] = {
    "lag-1 correlation off the truth's": measures.lag(1),
    "anisotropy over the truth's": measures.anisotropy,
    "two-cell noise over the truth's": measures.two_cells,
}
MORE_TEXTURE: dict[str, Measure] = {
    "lag-2 correlation off the truth's": measures.lag(2),
    "variance of neighbour differences over the truth's": measures.increments,
    "kurtosis of neighbour differences over the truth's": measures.kurtosis,
    "99 % quantile of departures from bicubic over the truth's": measures.tail(0),
    "99.9 % quantile of departures from bicubic over the truth's": measures.tail(1),
}


def _lines(
    case: str,
    name: str,
    texture: Mapping[str, Measure] = SPECTRUM,
    scores: Mapping[str, Measure] = SCORES,
) -> list[Line]:
    """Return the lines of a data set; halves of the truth have a ``texture`` too."""
    return [
        Line(text=f"{name}: {text}", case=case, measure=measure, halves=text in texture)
        for text, measure in {**scores, **texture}.items()
    ]


def _gfs(case: str, name: str) -> list[Line]:
    """Return the lines of GFS wind at 1 degree."""
    text, low = f"{name}: error over spread, lowest sixth", measures.low
    return [
        *_lines(case, name, SPECTRUM | TEXTURE | MORE_TEXTURE, SCORES | PATCHES | TAILS),
        Line(text=text, case=case, measure=low("low"), ideal=low("low_ideal")),
        Line(text=f"{text}, chosen by other members", case=case, measure=low("low_halves")),
        Line(
            text=f"{name}: CRPS over bicubic's MAE, 1 step",
            case=case,
            measure=measures.over_bicubic,
            steps=1,
        ),
    ]


LINES = [
    *_gfs("gfs-wind-2026-x4", "GFS wind 2026"),
    *_gfs("gfs-wind-x4", "GFS wind 2018"),
    *(
        Line(
            text=f"GFS wind 2014 and 2015, {season}: spread/skill",
            case="gfs-wind-2014-x4",
            measure=measures.spread_skill,
            months=months,
        )
        for season, months in SEASONS.items()
    ),
    *_lines("gfs-wind-2014-x4", "GFS wind 2014 and 2015"),
    *_lines("gfs-quarter-x4", "GFS wind 0.25 degree", SPECTRUM | TEXTURE),
    *_lines("gfs-japan-x4", "GFS wind 0.25 degree, Japan", SPECTRUM | TEXTURE),
    *_lines("hrrr-wind-x4", "HRRR wind 6 km", SPECTRUM | TEXTURE),
    *_lines("arome-wind-x4", "AROME wind", SPECTRUM | TEXTURE),
    *_lines("era5-t2m-x4", "ERA5 t2m"),
    *_lines("era5-tp-x4", "ERA5 hourly rain"),
    *_lines("mrms-rain-x4", "MRMS hourly rain"),
]
CASES = tuple(dict.fromkeys(line.case for line in LINES))


def overview_table(results: Mapping[str, Result], models: Sequence[Model]) -> Table:
    """Return every line that some model has a score for."""
    rows = [
        cells
        for line in LINES
        if line.case in results
        for model in models
        if (cells := line.cells(results[line.case], model)) is not None
    ]
    heads = ["model", "value", "bicubic + real residuals", "halves of the truth, or own member"]
    steps = ", ".join(f"{model.settings.steps} of {model.name}" for model in models)
    note = f"x4; steps unless said: {steps}. 1 is ideal for ratios, 0 for distances."
    return Table("What members get right", heads, rows, note)


def regime_table(results: Mapping[str, Result], models: Sequence[Model]) -> Table:
    """Return outer ranks and spread/skill of each regime."""
    rows, heads = [], []
    for result in results.values():
        for model in models:
            row = result.model_row(model.name, model.settings.steps)
            if row is None or not result.case.regimes:
                continue
            found = _regimes(row)
            heads = list(found)
            rows.append([f"{result.case.name}: {model.name}", *found.values()])
    note = "Share of the two outer ranks over that of a calibrated ensemble, and spread/skill."
    return Table("Calibration by regime", heads, rows, note)


def _regimes(row: Row) -> dict[str, str]:
    records = [one for each in row.records.values() for one in each]
    found = {}
    for name in ("sea", "coast", "land", "mountains", "calm", "storm"):
        known = [r["structure"]["regimes"].get(name) for r in records]
        parts = [part for part in known if part is not None]
        if not parts:
            continue
        shares = [part["share"] for part in parts]

        def mean(key: str, parts: list[Record] = parts, shares: list[float] = shares) -> np.ndarray:
            return np.average([part[key] for part in parts], axis=0, weights=shares)

        ranks, size = mean("ranks"), records[0]["members"]
        ends = (ranks[0] + ranks[-1]) * len(ranks) / 2
        ratio = float((mean("variance") * (size + 1) / size / mean("square")) ** 0.5)
        found[name] = f"{ends:.2f}, {ratio:.2f}"
    return found
