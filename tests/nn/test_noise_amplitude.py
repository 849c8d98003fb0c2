import numpy as np
import pytest
from scipy.interpolate import BSpline

from flexclim.nn.noise_amplitude import TAPS, amplitudes, node_span

STRENGTH = 0.5


def drawn(count, shape, spacing=4, seed=0):
    nodes = np.random.default_rng(seed).standard_normal(
        (count, *(node_span(size, spacing)[1] for size in shape))
    )
    return amplitudes(nodes.astype(np.float32), shape, STRENGTH, spacing)


def test_the_noise_keeps_its_variance_and_gets_heavy_tails():
    found = drawn(400, (9, 6)).astype(float)
    power = np.square(found)
    # Log-normal: E[A^2] = 1 and E[A^4] = exp(4 s^2), at every pixel whatever its phase.
    np.testing.assert_allclose(power.mean((1, 2)).mean(), 1, atol=0.06)
    np.testing.assert_allclose(power.mean(0), 1, atol=0.35)
    assert np.square(power).mean() == pytest.approx(np.exp(4 * STRENGTH**2), rel=0.25)


def test_it_is_a_cubic_spline_through_the_nodes():
    random, size, spacing = np.random.default_rng(1), 12, 4
    start, count = node_span(size, spacing)
    nodes = random.standard_normal((1, TAPS, count)).astype(np.float32)
    smooth = np.log(amplitudes(nodes, (1, size), STRENGTH, spacing))[0, 0] / STRENGTH + STRENGTH
    rows = np.array([1, 4, 1, 0]) / np.sqrt(18) @ nodes[0]
    x = np.arange(size) / spacing

    def spline(weights):
        return BSpline(np.arange(count + 4) - 3.0, weights, 3)(x)

    norm = np.sqrt(sum(spline(one) ** 2 for one in np.eye(count)))
    np.testing.assert_allclose(smooth, spline(rows) / norm, atol=1e-5)
    assert start == 0


def test_a_part_equals_that_part_of_the_whole():
    random, spacing = np.random.default_rng(2), 4
    nodes = random.standard_normal((2, 20, 20)).astype(np.float32)
    whole = amplitudes(nodes, (40, 40), STRENGTH, spacing)
    (top, rows), (left, columns) = node_span(13, spacing, 6), node_span(10, spacing, 21)
    own = nodes[:, top : top + rows, left : left + columns]
    part = amplitudes(own, (13, 10), STRENGTH, spacing, (6, 21))
    np.testing.assert_array_equal(part, whole[:, 6:19, 21:31])
