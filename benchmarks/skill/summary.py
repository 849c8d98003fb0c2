"""The main figures of a model: gains over simpler methods, spread, spectra and seams.

Models are scored at x4 with 8 members unless the text says otherwise. A gain is 1 minus the ratio
of two scores. Where a figure has a reference value, the table names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan

from benchmarks.skill.rivals import BICUBIC, LINEAR, SAME
from benchmarks.skill.runs import Result
from benchmarks.skill.tables import Table, bounds
from flexclim.models.model import Model

Measure = Callable[[Result, str], tuple[float, str]]
GFS, GFS8 = "gfs-wind-x4", "gfs-wind-x8"
AROME, RAIN = "arome-wind-x4", "mrms-rain-x4"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A line of the summary.

    Parameters
    ----------
    text
        The name of the figure.
    case
        The case that it is taken from.
    measure
        Returns the figure of a model, NaN if it was not measured, and its interval, the score
        itself or a reference value as text.
    percent
        Whether to print it in per cent.
    """

    text: str
    case: str
    measure: Measure
    percent: bool = True

    def show(self, value: float) -> str:
        """Return a value as text.

        >>> seam = Figure(text="seam", case=GFS, measure=deviation("seam"))
        >>> seam.show(0.335), seam.show(0.0047)
        ('33.5 %', '0.47 %')
        """
        if not self.percent:
            return f"{value:.2f}"
        return f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.1f} %"


def gain(steps: int, score: str, rival: str) -> Measure:
    """Return a function that measures how far a model's score lies below a rival's."""

    def measure(result: Result, model: str) -> tuple[float, str]:
        row, base = result.model_row(model, steps), result.row(rival)
        if row is None or base is None:
            return float("nan"), ""
        base = base.like(row)
        low, high = bounds(row, base) if score == "crps" else (float("nan"),) * 2
        interval = "" if isnan(low) else f"{100 * low:.1f} to {100 * high:.1f}"
        return 1 - row.scores()[score] / base.scores()[score], interval

    return measure


def deviation(score: str, ideal: float = 0.0) -> Measure:
    """Return a function that measures how far a score at 2 steps lies from its ideal value."""

    def measure(result: Result, model: str) -> tuple[float, str]:
        row = result.model_row(model, 2)
        if row is None:
            return float("nan"), ""
        found = row.scores()[score]
        return abs(found - ideal), "" if ideal == 0 else f"{found:.3f}"

    return measure


def spectral_distance(score: str) -> Measure:
    """Return a function that measures a spectral distance and names that of real residuals."""

    def measure(result: Result, model: str) -> tuple[float, str]:
        real = result.row(SAME)
        reference = "" if real is None else f"real residuals: {real.scores()[score]:.2f}"
        return deviation(score)(result, model)[0], reference

    return measure


def seam(kind: str, how: str) -> Measure:
    """Return a function that measures how far a seam ratio lies from 1."""

    def measure(result: Result, model: str) -> tuple[float, str]:
        found = result.seams.get(model)
        if found is None:
            return float("nan"), ""
        return abs(found[kind][how] - 1), f"{found[kind][how]:.4f}"

    return measure


CRPS = "fair CRPS at 2 steps below bicubic MAE"
FIGURES = [
    Figure(
        text="GFS, RMSE of the one-step mean below bicubic",
        case=GFS,
        measure=gain(0, "rmse", BICUBIC),
    ),
    Figure(text="... below linear regression", case=GFS, measure=gain(0, "rmse", LINEAR)),
    Figure(text=f"GFS, {CRPS}", case=GFS, measure=gain(2, "crps", BICUBIC)),
    Figure(
        text="... below bicubic plus real residuals at the same point",
        case=GFS,
        measure=gain(2, "crps", SAME),
    ),
    Figure(
        text="GFS, spread/skill at 2 steps, distance from 1",
        case=GFS,
        measure=deviation("spread_skill", 1.0),
        percent=False,
    ),
    Figure(
        text="GFS, log-spectral distance at 2 steps, dB",
        case=GFS,
        measure=spectral_distance("decibels"),
        percent=False,
    ),
    Figure(
        text="... of power in 12 bands",
        case=GFS,
        measure=spectral_distance("bands"),
        percent=False,
    ),
    Figure(text=f"AROME, {CRPS}", case=AROME, measure=gain(2, "crps", BICUBIC)),
    Figure(text=f"precipitation, {CRPS}", case=RAIN, measure=gain(2, "crps", BICUBIC)),
    Figure(text="precipitation, wet area off by", case=RAIN, measure=deviation("wet", 1.0)),
    Figure(text=f"GFS x8, {CRPS}", case=GFS8, measure=gain(2, "crps", BICUBIC)),
    *(
        Figure(text=f"GFS, seam, {kind} {how}", case=GFS, measure=seam(kind, how))
        for kind in ("gradient", "variance")
        for how in ("as it is", "over that with borders elsewhere")
    ),
]


def summary_table(results: dict[str, Result], model: Model) -> Table | None:
    """Return the main figures of a model; None if it has no score in any of their cases."""
    rows = []
    for figure in FIGURES:
        if figure.case not in results:
            continue
        value, remark = figure.measure(results[figure.case], model.name)
        if not isnan(value):
            rows.append([figure.text, figure.show(value), remark])
    heads = ["figure", "interval, score or reference"]
    return Table(f"Summary of {model.name}", heads, rows) if rows else None
