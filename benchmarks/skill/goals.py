"""What the models are meant to reach at least (must) and at best (goal), and where they stand.

All at x4 with 8 members unless said. A share "below" is 1 less the ratio of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan

from benchmarks.skill.rivals import BICUBIC, LINEAR, SAME
from benchmarks.skill.runs import Result, Row
from benchmarks.skill.sampling import taught
from benchmarks.skill.tables import Table, bounds
from flexclim.models.model import Model

Results = dict[str, Result]
GFS, GFS8 = "gfs-wind-x4", "gfs-wind-x8"
AROME, RAIN = "arome-wind-x4", "mrms-rain-x4"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A figure that should be at least (``least``) or at most ``must``, and at best ``goal``.

    ``value`` returns the figure, NaN where it was not measured, and a remark; ``percent`` says
    how to print it, ``untaught`` that it is one of models that never saw such fields.
    """

    text: str
    case: str
    must: float
    goal: float
    value: Callable[[Result, str], tuple[float, str]]
    least: bool = True
    percent: bool = True
    untaught: bool = False

    def standing(self, value: float) -> str:
        """Say which of the two is reached, or by how much the lower one is missed."""
        if self._reaches(value, self.goal):
            return "goal"
        if self._reaches(value, self.must):
            return "must"
        return f"missed by {self.show(abs(self.must - value))}"

    def show(self, value: float) -> str:
        """Return a value as text."""
        return f"{100 * value:.2g} %" if self.percent and value < 0.1 else self._show(value)

    def _show(self, value: float) -> str:
        return f"{100 * value:.1f} %" if self.percent else f"{value:.2f}"

    def _reaches(self, value: float, wanted: float) -> bool:
        return value >= wanted if self.least else value <= wanted


def gain(passes: int, score: str, rival: str) -> Callable[[Result, str], tuple[float, str]]:
    """Return what measures how far a model's score lies below a rival's."""

    def value(result: Result, model: str) -> tuple[float, str]:
        row, base = result.model_row(model, passes), result.row(rival)
        if row is None or base is None:
            return float("nan"), ""
        base = base.like(row)
        low, high = bounds(row, base) if score == "crps" else (float("nan"),) * 2
        remark = "" if isnan(low) else f"{100 * low:.1f} to {100 * high:.1f}"
        return 1 - row.scores()[score] / base.scores()[score], remark

    return value


def off(score: str, middle: float = 0.0) -> Callable[[Result, str], tuple[float, str]]:
    """Return what measures how far a score at 2 passes lies from where it should be."""

    def value(result: Result, model: str) -> tuple[float, str]:
        row = result.model_row(model, 2)
        if row is None:
            return float("nan"), ""
        found = row.scores()[score]
        return abs(found - middle), "" if middle == 0 else f"{found:.3f}"

    return value


def sampling_noise(score: str) -> Callable[[Result, str], tuple[float, str]]:
    """Return what measures a spectral distance, beside that of real residuals."""

    def value(result: Result, model: str) -> tuple[float, str]:
        real = result.row(SAME)
        remark = "" if real is None else f"real residuals: {real.scores()[score]:.2f}"
        return off(score)(result, model)[0], remark

    return value


def seam(kind: str, how: str) -> Callable[[Result, str], tuple[float, str]]:
    """Return what measures how far a seam ratio lies from 1."""

    def value(result: Result, model: str) -> tuple[float, str]:
        found = result.seams.get(model)
        if found is None:
            return float("nan"), ""
        return abs(found[kind][how] - 1), f"{found[kind][how]:.4f}"

    return value


MAE = "fair CRPS at 2 passes below bicubic MAE"
CLOSE = {"least": False, "percent": False}
SHARE = {"least": False}
GOALS = [
    Goal(
        text="GFS, RMSE of the one-step mean below bicubic",
        case=GFS,
        must=0.10,
        goal=0.13,
        value=gain(0, "rmse", BICUBIC),
    ),
    Goal(
        text="... below linear regression",
        case=GFS,
        must=0.06,
        goal=0.09,
        value=gain(0, "rmse", LINEAR),
    ),
    Goal(text=f"GFS, {MAE}", case=GFS, must=0.34, goal=0.38, value=gain(2, "crps", BICUBIC)),
    Goal(
        text="... below bicubic plus real residuals at the same point",
        case=GFS,
        must=0.11,
        goal=0.16,
        value=gain(2, "crps", SAME),
    ),
    Goal(
        text="GFS, spread/skill at 2 passes, distance from 1",
        case=GFS,
        must=0.07,
        goal=0.03,
        value=off("spread_skill", 1.0),
        **CLOSE,
    ),
    Goal(
        text="GFS, log-spectral distance at 2 passes, dB",
        case=GFS,
        must=1.0,
        goal=0.3,
        value=sampling_noise("decibels"),
        **CLOSE,
    ),
    Goal(
        text="... of power in 12 bands",
        case=GFS,
        must=1.0,
        goal=0.3,
        value=sampling_noise("bands"),
        **CLOSE,
    ),
    Goal(
        text=f"AROME, zero-shot, {MAE}",
        case=AROME,
        must=0.28,
        goal=0.35,
        value=gain(2, "crps", BICUBIC),
        untaught=True,
    ),
    Goal(
        text=f"precipitation, zero-shot, {MAE}",
        case=RAIN,
        must=0.28,
        goal=0.35,
        value=gain(2, "crps", BICUBIC),
        untaught=True,
    ),
    Goal(
        text=f"precipitation, {MAE}",
        case=RAIN,
        must=0.35,
        goal=0.45,
        value=gain(2, "crps", BICUBIC),
    ),
    Goal(
        text="precipitation, wet area off by",
        case=RAIN,
        must=0.05,
        goal=0.02,
        value=off("wet", 1.0),
        **SHARE,
    ),
    Goal(text=f"GFS x8, {MAE}", case=GFS8, must=0.25, goal=0.35, value=gain(2, "crps", BICUBIC)),
    *(
        Goal(
            text=f"GFS, seam, {kind} {how}",
            case=GFS,
            must=0.02,
            goal=0.005,
            value=seam(kind, how),
            **SHARE,
        )
        for kind in ("gradient", "variance")
        for how in ("as it is", "over that with borders elsewhere")
    ),
]


def goal_table(results: Results, model: Model) -> Table | None:
    """Return where a model stands; None where it was scored on nothing that has a goal."""
    rows = []
    for goal in GOALS:
        if goal.case not in results:
            continue
        result = results[goal.case]
        value, remark = goal.value(result, model.name)
        if isnan(value):
            continue
        seen = goal.untaught and taught(model, result.case)
        standing = "trained on such fields" if seen else goal.standing(value)
        wanted = (goal.show(goal.must), goal.show(goal.goal))
        rows.append([goal.text, goal.show(value), remark, *wanted, standing])
    heads = ["figure", "interval or value", "must", "goal", "reached"]
    return Table(f"Where {model.name} stands", heads, rows) if rows else None


def rows_of(result: Result, model: str) -> list[Row]:
    """Return all rows of a model."""
    return [row for row in result.rows if row.model == model]
