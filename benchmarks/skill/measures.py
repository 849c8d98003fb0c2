"""What is measured of a forecast for the table of all data sets (`overview.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.skill.records import Record, distance
from benchmarks.skill.runs import Row

# Of a row, and of the rows of bicubic and of bicubic plus real residuals of the same fields.
Measure = Callable[[Row, Row, Row], float]


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


def error_tail(place: int) -> Measure:
    """Measure a quantile of members about their mean over that of the truth about it."""

    def measure(row: Row, plain: Row, real: Row) -> float:
        ratios = [
            _mean_of(records, "spread_tail") / _mean_of(records, "error_tail")
            for records in row.records.values()
        ]
        return float(np.mean(ratios, 0)[place])

    return measure


def low(key: str) -> Measure:
    """Measure the error over the spread in the sixth of cells with the lowest spread."""

    def measure(row: Row, plain: Row, real: Row) -> float:
        square, variance = np.mean([_mean_of(records, key) for records in row.records.values()], 0)
        return float((square / variance) ** 0.5)

    return measure


def of_months(row: Row, months: Sequence[int]) -> Row:
    """Return the part of a row that has fields of some months."""
    records = next(iter(row.records.values()))
    return row.of(
        [
            index
            for index, record in zip(row.indices, records, strict=True)
            if int(record["structure"]["time"][5:7]) in months
        ]
    )


def halves(row: Row) -> Row:
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
