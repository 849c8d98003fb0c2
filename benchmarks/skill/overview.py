"""One table of what a model must get right: scores, spread, texture and tails, by data set.

Each line compares a model with an ensemble that needs no model, bicubic plus real residuals (of the
same point where training has it), and, where that says something, with what chance or the method
alone gives: the statistics of every other truth over those of the rest, or the same ensemble with
one of its members as the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isnan

import numpy as np

from benchmarks.skill.records import Record, distance
from benchmarks.skill.rivals import ANYWHERE, BICUBIC, SAME
from benchmarks.skill.runs import Result, Row
from benchmarks.skill.tables import Table
from flexclim.models.model import Model

# Of a row, and of the rows of bicubic and of bicubic plus real residuals of the same fields.
Measure = Callable[[Row, Row, Row], float]
# The cases by which a training is judged while it goes on.
QUICK = ("gfs-wind-2026-x4", "gfs-wind-x4")
SEASONS = {"December to February": (12, 1, 2), "March to May": (3, 4, 5)}
SEASONS |= {"June to August": (6, 7, 8), "September to November": (9, 10, 11)}


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
        Sampler steps of the members.
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
    steps: int = 2
    months: Sequence[int] = field(default=())
    halves: bool = False
    ideal: Measure | None = None

    def cells(self, result: Result, model: str) -> list[str] | None:
        """Return the text, model, value, baseline and reference; None where there is no score."""
        row = result.model_row(model, self.steps)
        if row is None:
            return None
        if self.months and not (row := _of_months(row, self.months)).indices:
            return None
        plain, real = result.row(BICUBIC), result.row(SAME) or result.row(ANYWHERE)
        assert plain is not None
        assert real is not None
        plain, real = plain.like(row), real.like(row)
        values = [self.measure(row, plain, real), self.measure(real, plain, real), float("nan")]
        if self.ideal is not None:
            values[2] = self.ideal(row, plain, real)
        elif self.halves and len(row.indices) > 1:
            values[2] = self.measure(_halves(row), plain, real)
        return [self.text, model, *("" if isnan(v) else f"{v:.3f}" for v in values)]


def over_bicubic(row: Row, plain: Row, real: Row) -> float:
    """Return the fair CRPS over the mean absolute error of bicubic interpolation."""
    return row.scores()["crps"] / plain.scores()["crps"]


def spread_skill(row: Row, plain: Row, real: Row) -> float:
    """Return the spread over the error of the mean."""
    return row.scores()["spread_skill"]


def decibels(row: Row, plain: Row, real: Row) -> float:
    """Return the log-spectral distance."""
    pairs = [_means(records, "power", key=None) for records in row.records.values()]
    return float(np.mean([distance(*pair) for pair in pairs]))


def lag(cells: int) -> Measure:
    """Measure how far the correlation of departures is off the truth's where it is worst."""

    def measure(row: Row, plain: Row, real: Row) -> float:
        mine, theirs = _all(row, "lag")
        off: np.ndarray = abs(mine - theirs)[..., cells - 1]
        return float(off.max())

    return measure


def anisotropy(row: Row, plain: Row, real: Row) -> float:
    """Return the ratio of semivariograms along x and y over the truth's."""
    along_y, along_x = (1 - np.stack(_all(row, "lag")))[..., 0].mean(1).T
    mine, theirs = along_x / along_y
    return float(mine / theirs)


def increments(row: Row, plain: Row, real: Row) -> float:
    """Return the variance of differences between neighbours over the truth's."""
    mine, theirs = _all(row, "square")
    return float((mine / theirs).mean())


def kurtosis(row: Row, plain: Row, real: Row) -> float:
    """Return the kurtosis of differences between neighbours over the truth's."""
    squares, fourths = (_all(row, key) for key in ("square", "fourth"))
    mine, theirs = (four / two**2 for four, two in zip(fourths, squares, strict=True))
    return float((mine / theirs).mean())


def two_cells(row: Row, plain: Row, real: Row) -> float:
    """Return the variance of waves of two cells over the truth's, in the direction with most."""
    mine, theirs = _all(row, "noise")
    return float((mine / theirs).mean(0).max())


def patches(key: str) -> Measure:
    """Measure a score of patches over that of bicubic plus real residuals."""

    def measure(row: Row, plain: Row, real: Row) -> float:
        return float(_mean(row, key) / _mean(real, key))

    return measure


def tail(place: int) -> Measure:
    """Measure a quantile of absolute departures over the truth's."""

    def measure(row: Row, plain: Row, real: Row) -> float:
        mine, theirs = _all(row, "tail")
        return float((mine / theirs)[..., place].mean())

    return measure


def low(key: str) -> Measure:
    """Measure the error over the spread in the sixth of cells with the lowest spread."""

    def measure(row: Row, plain: Row, real: Row) -> float:
        square, variance = np.mean([_mean_of(records, key) for records in row.records.values()], 0)
        return float((square / variance) ** 0.5)

    return measure


def _gfs() -> list[Line]:
    """Return the lines of GFS wind at 1 degree."""
    lines = []
    for case, year in zip(QUICK, ("2026", "2018"), strict=True):
        lead = f"GFS wind {year}: "
        named: list[tuple[str, Measure, bool]] = [
            ("spread/skill", spread_skill, False),
            ("lag-1 correlation off the truth's", lag(1), True),
            ("lag-2 correlation off the truth's", lag(2), True),
            ("anisotropy over the truth's", anisotropy, True),
            ("variance of neighbour differences over the truth's", increments, True),
            ("their kurtosis over the truth's", kurtosis, True),
            ("two-cell noise over the truth's", two_cells, True),
            ("variogram score over real residuals'", patches("variogram"), False),
            ("energy score over real residuals'", patches("energy"), False),
            ("energy score of wind vectors over real residuals'", patches("vector"), False),
            ("99 % quantile of departures over the truth's", tail(0), True),
            ("99.9 % quantile of departures over the truth's", tail(1), True),
            ("log-spectral distance, dB", decibels, True),
        ]
        lines += [Line(text=f"{lead}CRPS over bicubic's MAE", case=case, measure=over_bicubic)]
        lines += [Line(text=lead + t, case=case, measure=m, halves=h) for t, m, h in named]
        lines += [
            Line(
                text=f"{lead}error over spread, lowest sixth",
                case=case,
                measure=low("low"),
                ideal=low("low_ideal"),
            ),
            Line(text="... chosen by other members", case=case, measure=low("low_halves")),
            Line(
                text=f"{lead}CRPS over bicubic's MAE, 1 step",
                case=case,
                measure=over_bicubic,
                steps=1,
            ),
        ]
    return lines


def _everywhere(case: str, name: str, more: Mapping[str, Measure]) -> list[Line]:
    """Return the lines of another data set."""
    known: dict[str, Measure] = {
        "CRPS over bicubic's MAE": over_bicubic,
        "spread/skill": spread_skill,
        "log-spectral distance, dB": decibels,
    }
    return [
        Line(text=f"{name}: {text}", case=case, measure=measure, halves=measure is not over_bicubic)
        for text, measure in (known | dict(more)).items()
    ]


TEXTURE: dict[str, Measure] = {
    "two-cell noise over the truth's": two_cells,
    "lag-1 correlation off the truth's": lag(1),
    "anisotropy over the truth's": anisotropy,
}
LINES = [
    *_gfs(),
    *(
        Line(
            text=f"GFS wind 2014 and 2015, {season}: spread/skill",
            case="gfs-wind-2014-x4",
            measure=spread_skill,
            months=months,
        )
        for season, months in SEASONS.items()
    ),
    *_everywhere("gfs-wind-2014-x4", "GFS wind 2014 and 2015", {}),
    *_everywhere("gfs-quarter-x4", "GFS wind 0.25 degree", TEXTURE),
    *_everywhere("gfs-japan-x4", "GFS wind 0.25 degree, Japan", TEXTURE),
    *_everywhere("hrrr-wind-x4", "HRRR wind 6 km", TEXTURE),
    *_everywhere("arome-wind-x4", "AROME wind", TEXTURE),
    *_everywhere("era5-t2m-x4", "ERA5 t2m", {}),
    *_everywhere("era5-tp-x4", "ERA5 hourly rain", {}),
    *_everywhere("mrms-rain-x4", "MRMS hourly rain", {}),
]
CASES = tuple(dict.fromkeys(line.case for line in LINES))


def overview_table(results: Mapping[str, Result], models: Sequence[Model]) -> Table:
    """Return every line that some model has a score for."""
    rows = [
        cells
        for line in LINES
        if line.case in results
        for model in models
        if (cells := line.cells(results[line.case], model.name)) is not None
    ]
    heads = ["model", "value", "bicubic + real residuals", "halves of the truth, or own member"]
    note = "x4, 2 steps unless said. 1 is ideal for ratios, 0 for distances."
    return Table("What members get right", heads, rows, note)


def regime_table(results: Mapping[str, Result], models: Sequence[Model]) -> Table:
    """Return outer ranks and spread/skill of each regime."""
    rows, heads = [], []
    for result in results.values():
        for model in models:
            row = result.model_row(model.name, 2)
            if row is None or not result.case.regimes:
                continue
            found = _regimes(row)
            heads = list(found)
            rows.append([f"{result.case.name}: {model.name}", *found.values()])
    note = "Share of the two outer ranks over that of a calibrated ensemble, and spread/skill."
    return Table("Calibration by regime at 2 steps", heads, rows, note)


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


def _of_months(row: Row, months: Sequence[int]) -> Row:
    records = next(iter(row.records.values()))
    return row.of(
        [
            index
            for index, record in zip(row.indices, records, strict=True)
            if int(record["structure"]["time"][5:7]) in months
        ]
    )


def _halves(row: Row) -> Row:
    """Return a row in which every other truth is the forecast of the one before."""
    pairs = len(row.indices) // 2
    records = {}
    for name, each in row.records.items():
        even, odd = each[: 2 * pairs : 2], each[1 : 2 * pairs : 2]
        records[name] = [_as_forecast(*pair) for pair in zip(even, odd, strict=True)]
    return replace(row, indices=row.indices[:pairs], records=records)


def _as_forecast(one: Record, other: Record) -> Record:
    """Return the truth's statistics of two fields, as a forecast of one and its truth."""

    def joined(mine: Record, theirs: Record) -> Record:
        keys = [key for key in theirs if f"truth_{key}" in theirs]
        found = {key: mine[f"truth_{key}"] for key in keys}
        return found | {f"truth_{key}": theirs[f"truth_{key}"] for key in keys}

    inner = joined(one["structure"], other["structure"])
    return joined(one, other) | {"structure": inner}


def _means(records: Sequence[Record], name: str, key: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the means over fields of a statistic of the forecast and of the truth."""
    parts = [record if key is None else record[key] for record in records]
    mine, theirs = (
        np.mean([part[f"{lead}{name}"] for part in parts], 0) for lead in ("", "truth_")
    )
    return mine, theirs


def _all(row: Row, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (variable, ...) statistics of the forecast and of the truth."""
    mine, theirs = zip(
        *(_means(each, name, "structure") for each in row.records.values()), strict=True
    )
    return np.stack(mine), np.stack(theirs)


def _mean_of(records: Sequence[Record], name: str) -> np.ndarray:
    return np.asarray(np.mean([record["structure"][name] for record in records], 0))


def _mean(row: Row, name: str) -> float:
    return float(np.mean([_mean_of(records, name) for records in row.records.values()]))
