import numpy as np
import pytest

from flexclim.verify.metrics.block_length import optimal_block


def autoregressive(first, second, steps, seed):
    noise = np.random.default_rng(seed).normal(size=steps)
    for step in range(2, steps):
        noise[step] += first * noise[step - 1] + second * noise[step - 2]
    return noise


# arch 8.0, optimal_block_length(series).circular, rounded up.
@pytest.mark.parametrize(
    ("first", "second", "steps", "expected"),
    [(0.0, 0.0, 200, 2), (1.2, -0.5, 120, 6), (0.9, 0.0, 365, 28), (0.5, 0.3, 365, 26)],
)
def test_arch_agrees(first, second, steps, expected):
    assert optimal_block(autoregressive(first, second, steps, 3)) == expected


def test_worked_by_hand():
    # Deviations from 3: R(0) = 26/7, R(1) = 10/7, insignificant like the longer lags. So M = 2,
    # where lag 2 has no weight: G = 20/7 and g = 46/7.
    values = np.array([0.0, 2.0, 4.0, 6.0, 5.0, 2.0, 2.0])
    expected = (2 * 20**2 / (4 / 3 * 46**2) * 7) ** (1 / 3)
    assert expected == pytest.approx(1.257, abs=1e-3)
    assert optimal_block(values) == 2


@pytest.mark.parametrize("values", [np.ones(9), np.zeros(1), np.arange(2.0), np.full(5, np.inf)])
def test_series_without_variance_or_length_have_blocks_of_one(values):
    with np.errstate(invalid="ignore"):
        assert optimal_block(values) == 1
