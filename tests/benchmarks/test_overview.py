from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.skill import measures, overview
from benchmarks.skill.cases import CASES
from benchmarks.skill.overview import LINES, Line
from benchmarks.skill.rivals import ANYWHERE, BICUBIC, SAME
from benchmarks.skill.runs import Result, Row

TOY = SimpleNamespace(name="toy", settings=SimpleNamespace(steps=2))


def record(time="2014-01-20T00", crps=1.0, size=1.0, truth=1.0):
    """Return a record whose members have texture ``size`` and whose truth has ``truth``."""
    inner = {"time": time, "energy": crps, "variogram": crps, "vector": crps}
    for lead, amount in (("", size), ("truth_", truth)):
        inner[f"{lead}lag"] = [[0.5 * amount, 0.2 * amount], [0.25 * amount, 0.1]]
        inner[f"{lead}square"], inner[f"{lead}noise"] = [amount, 2 * amount], [amount] * 3
        inner[f"{lead}fourth"] = [6 * amount**3, 6 * (2 * amount) ** 2]
        inner[f"{lead}tail"] = [2 * amount, 3 * amount]
    inner |= {"spread_tail": [3.0, 4.0], "error_tail": [4.0, 5.0]}
    inner |= {"low": [4.0, 1.0], "low_halves": [2.25, 1.0], "low_ideal": [1.0, 1.0]}
    ranks = [0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.0]
    label = {"share": 0.5, "ranks": ranks, "square": 4.5, "variance": 4.0}
    inner["regimes"] = {"sea": label, "calm": label}
    power = {"power": [size], "truth_power": [truth]}
    moments = {"members": 8, "crps": crps, "square": 9 / 8, "variance": 1.0, "block": 0.0}
    more = {"above": 1.0, "truth_above": 1.0, "truth_variance": 1.0}
    return {**moments, **more, **power, "structure": inner}


def make_row(*records, model="", steps=None, name="model"):
    each = {"u10": list(records), "v10": list(records)}
    return Row(name, tuple(range(len(records))), each, model, steps)


@pytest.fixture
def result():
    months = ("2014-01-20T00", "2014-07-03T18", "2015-02-05T00", "2015-05-02T12")
    mine = make_row(*(record(t, 0.6, 1.2) for t in months), model="toy", steps=2)
    plain = make_row(*(record(t) for t in months), name=BICUBIC)
    real = make_row(*(record(t, 0.75) for t in months), name=SAME)
    case = next(case for case in CASES if case.name == "gfs-wind-2026-x4")
    return Result(case, [plain, real, mine], {})


def value(result, measure, **options):
    line = Line(text="x", case=result.case.name, measure=measure, **options)
    return [float(cell) if cell else None for cell in line.cells(result, TOY)[2:]]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (measures.over_bicubic, 0.6),
        (measures.spread_skill, 1.0),
        (measures.decibels, 10 * np.log10(1.2)),
        (measures.lag(1), 0.1),
        (measures.lag(2), 0.04),
        (measures.anisotropy, ((1 - 0.3) / (1 - 0.6)) / ((1 - 0.25) / (1 - 0.5))),
        (measures.increments, 1.2),
        (measures.kurtosis, (1.2 + 1.0) / 2),
        (measures.two_cells, 1.2),
        (measures.patches("energy"), 0.8),
        (measures.tail(1), 1.2),
        (measures.error_tail(0), 0.75),
        (measures.error_tail(1), 0.8),
        (measures.low("low"), 2.0),
        (measures.low("low_halves"), 1.5),
    ],
)
def test_measures_worked_by_hand(result, measure, expected):
    assert value(result, measure)[0] == pytest.approx(expected, abs=6e-4)


def test_a_line_compares_with_real_residuals_and_with_chance(result):
    assert value(result, measures.over_bicubic) == [0.6, 0.75, None]
    # Truths of all fields have the same texture.
    assert value(result, measures.increments, halves=True) == [1.2, 1.0, 1.0]
    assert value(result, measures.low("low"), ideal=measures.low("low_ideal")) == [2.0, 2.0, 1.0]


def test_halves_are_every_other_truth():
    row = make_row(*(record(truth=size) for size in (1.0, 2.0, 3.0, 4.0, 9.0)))
    half = measures.halves(row)
    assert half.indices == (0, 1)
    assert measures.increments(half, row, row) == pytest.approx((1 + 3) / (2 + 4))
    assert measures.decibels(half, row, row) == pytest.approx(-10 * np.log10(4 / 6))


def test_seasons_take_their_months(result):
    row = result.model_row("toy", 2)
    for months, indices in (((12, 1, 2), (0, 2)), ((6, 7, 8), (1,)), ((9, 10, 11), ())):
        assert measures.of_months(row, months).indices == indices
    line = Line(text="x", case="", measure=measures.spread_skill, months=(9, 10, 11))
    assert line.cells(result, TOY) is None


def test_every_line_with_halves_of_the_truth_is_measured_on_them():
    row = make_row(*(record(truth=size) for size in (0.5, 0.6, 0.7, 0.8)))
    for line in filter(lambda line: line.halves, LINES):
        assert np.isfinite(line.measure(measures.halves(row), row, row)), line.text


def test_outer_ranks_and_spread_of_regimes(result):
    found = overview._regimes(result.model_row("toy", 2))
    assert found == {"sea": "1.35, 1.00", "calm": "1.35, 1.00"}


def test_lines_are_of_models_that_were_scored(result):
    other = SimpleNamespace(name="other", settings=TOY.settings)
    table = overview.overview_table({result.case.name: result}, [other, TOY])
    assert {row[1] for row in table.rows} == {"toy"}
    lines = [line for line in LINES if line.case == result.case.name and line.steps == 0]
    assert len(table.rows) == len(lines)
    assert overview.regime_table({result.case.name: result}, [other]).rows == []
    result.rows[1] = make_row(*[record()] * 4, name=ANYWHERE)
    assert value(result, measures.over_bicubic) == [0.6, 1.0, None]
