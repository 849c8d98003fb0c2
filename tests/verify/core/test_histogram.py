import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim.verify.core.histogram import BINS, Batch, count_values

VALUES = {
    "temperature": lambda rng, n: rng.normal(280, 20, n).astype("f4"),
    "rain": lambda rng, n: rng.gamma(0.1, 5, n),
    "constant": lambda rng, n: np.full(n, 3.3),
    "zero": lambda rng, n: np.zeros(n),
    "whole": lambda rng, n: rng.integers(-5, 5, n).astype(float),
    "last digits": lambda rng, n: 101325 + rng.normal(size=n) * 1e-8,
    "orders": lambda rng, n: rng.normal(size=n) * 10.0 ** rng.integers(-99, 99, n),
}


def count(values, weights, cell, cells):
    return count_values([Batch(source=0, values=values, amounts={0: weights})], cell, cells, 1)


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(sorted(VALUES)),
    cells=st.sampled_from([1, 3, 20]),
    parts=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_merged_histograms_equal_the_whole_one(kind, cells, parts, seed):
    rng = np.random.default_rng(seed)
    values, cell = VALUES[kind](rng, 400), rng.integers(0, cells, 400)
    weights = rng.integers(1, 9, 400) / 8
    whole, merged = count(values, weights, cell, cells), None
    for some in np.array_split(rng.permutation(400), parts):
        part = count(values[some], weights[some], cell[some], cells)
        merged = part if merged is None else merged.merge(part)
    for name in ("low", "high", "key", "sums", "level"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("cells", [1, 20])
def test_bins_hold_their_values_and_are_narrow(kind, cells):
    rng = np.random.default_rng(0)
    values, cell = VALUES[kind](rng, 2000), rng.integers(0, cells, 2000)
    found = count(values, np.ones(2000), cell, cells)
    for one in range(cells):
        bins, sums, width = found.of_cell(one)
        mine = np.sort(values[cell == one].astype(float))
        edges = np.append(bins * width, np.inf)
        expected = np.histogram(mine, edges)[0]
        np.testing.assert_array_equal(sums[0], expected)
        largest = mine[np.cumsum(expected.astype(int)) - 1]
        assert ((bins + 1) * width > largest).all() or width == 0  # below the smallest float
        assert bins[-1] - bins[0] < BINS
        assert width <= max(np.ptp(mine) / 2**16, np.spacing(np.abs(mine).max()))
