"""Interpolation in time, and what the times of a day keep of daily values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim.resampling.day_operators import day_weights, keep_daily, unreachable


@pytest.mark.parametrize("count", [2, 4, 8])
def test_interpolation_keeps_the_mean_and_straight_lines(count):
    weights = day_weights(count)
    np.testing.assert_allclose(weights.mean(0), [0, 1, 0], atol=1e-12)
    line = weights @ [10.0, 20.0, 30.0]
    np.testing.assert_allclose(np.diff(line), 10 / count)


@pytest.mark.parametrize(
    ("values", "daily", "expected"),
    [
        ((1, 2, 3, 6), {"mean": 4}, (2, 3, 4, 7)),
        ((0, -1, 1, 3), {"mean": 2, "non_negative": True}, (0, 0, 2, 6)),
        ((0, 0, 0, 0), {"mean": 2, "non_negative": True}, (2, 2, 2, 2)),
        ((5, 1, 2, 4), {"mean": 4, "lowest": 0, "highest": 10}, (10, 0, 1.5, 4.5)),
        ((3, 3, 3, 3), {"mean": 4, "lowest": 0, "highest": 10}, (0, 3, 3, 10)),
        ((5, 1, 2, 4), {"mean": 1, "lowest": 0, "highest": 10}, (4, 0, 0, 0)),
        ((5, 1, 2, 4), {"mean": 9, "lowest": 0, "highest": 10}, (10, 6, 10, 10)),
        ((1, 2, 3, 5), {"mean": 2, "lowest": 0.25}, (0.25, 1.25, 2.25, 4.25)),
        ((5, 4, 3, 1), {"mean": 4, "highest": 5}, (5, 31 / 7, 27 / 7, 19 / 7)),
        ((0, 1, 1, 9), {"mean": 1, "highest": 3.9, "non_negative": True}, (0, 0.05, 0.05, 3.9)),
    ],
)
def test_by_hand(values, daily, expected):
    daily = {n: v if isinstance(v, bool) else np.array(float(v)) for n, v in daily.items()}
    kept = keep_daily(np.array(values, float), **daily)
    np.testing.assert_allclose(kept.mean(), daily["mean"])
    np.testing.assert_allclose(kept, expected, atol=1e-6)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), count=st.integers(3, 8))
def test_mean_and_extremes_are_kept_where_they_can_be(seed, count):
    random = np.random.default_rng(seed)
    truth = random.normal(280, 5, (3, 2, count))
    lowest, mean, highest = truth.min(-1), truth.mean(-1), truth.max(-1)
    values = random.normal(280, 5, (2, 3, 2, count))
    assert not unreachable(count, mean, lowest, highest).any()
    for extremes in ({}, {"lowest": lowest}, {"highest": highest}):
        kept = keep_daily(values, mean, **extremes)
        np.testing.assert_allclose(kept.mean(-1), [mean] * 2, rtol=1e-12)
    kept = keep_daily(values, mean, lowest, highest)
    np.testing.assert_allclose(kept.mean(-1), [mean] * 2, rtol=1e-12)
    np.testing.assert_allclose(kept.min(-1), [lowest] * 2, rtol=1e-12)
    np.testing.assert_allclose(kept.max(-1), [highest] * 2, rtol=1e-12)


def test_missing_cells_stay_missing():
    values = np.stack([np.full((2, 2), n, float) for n in range(4)], -1)
    mean = np.array([[np.nan, 1.0], [2.0, 3.0]])
    for extremes in ({}, {"lowest": mean - 1, "highest": mean + 1}):
        kept = keep_daily(values, mean, **extremes)
        np.testing.assert_array_equal(np.isnan(kept).any(-1), np.isnan(mean))
