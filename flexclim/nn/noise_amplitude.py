"""A smooth random amplitude of the noise, for rare large departures.

Noise of equal variance everywhere makes members that depart from their mean by about as much in
every place of one kind. Weather is intermittent: some calm coarse cells hide a front. Noise times
exp(s g - s^2), where g is a smooth Gaussian field of unit variance, keeps its variance, has heavier
tails, and lets the network read from the noise where a member departs far.

g is a cubic B-spline through independent normal numbers at nodes, one per coarse cell, divided by
its standard deviation, so that a pixel depends on 4 x 4 nodes and not on tiles or regions.

Legend: M members, y x rows and columns of the fine field, n nodes along one of them.
"""

from __future__ import annotations

import numpy as np

TAPS = 4  # nodes along one axis that a pixel depends on


def node_span(size: int, spacing: int, first: int = 0) -> tuple[int, int]:
    """Return the number of the first node, and the count of those that an axis depends on.

    Parameters
    ----------
    size, first
        Number of pixels, and number of the first.
    spacing
        Pixels between nodes.

    >>> node_span(8, 4), node_span(5, 4, first=6)
    ((0, 5), (1, 5))
    """
    start = first // spacing
    return start, (first + size - 1) // spacing - start + TAPS


def amplitudes(
    nodes: np.ndarray,
    shape: tuple[int, int],
    strength: float,
    spacing: int,
    origin: tuple[int, int] = (0, 0),
) -> np.ndarray:
    """Return the amplitude of the noise of each pixel.

    Parameters
    ----------
    nodes
        (M, n, n) standard normal numbers at the nodes of :func:`node_span`.
    shape, origin
        Rows and columns of pixels, and the row and column of the first.
    strength
        Standard deviation s of the logarithm of the amplitude.
    spacing
        Pixels between nodes.

    Returns
    -------
    ndarray
        (M, y, x) float32 with a mean square of 1. Normal noise times it has a kurtosis of
        3 exp(4 s^2).
    """
    rows = _along(nodes.swapaxes(-1, -2), shape[0], spacing, origin[0]).swapaxes(-1, -2)
    smooth = _along(rows, shape[1], spacing, origin[1])
    return np.asarray(np.exp(np.float32(strength) * smooth - np.float32(strength**2)))


def _along(nodes: np.ndarray, size: int, spacing: int, first: int) -> np.ndarray:
    """Interpolate (..., n) nodes to (..., size) pixels, with unit variance."""
    position = np.arange(first, first + size)
    node, weights = position // spacing - first // spacing, _spline(position % spacing / spacing)
    taps = (weights[tap] * nodes[..., node + tap] for tap in range(TAPS))
    return np.asarray(sum(taps), np.float32)


def _spline(fraction: np.ndarray) -> np.ndarray:
    """Return (TAPS, ...) weights of the uniform cubic B-spline, with squares that sum to 1."""
    u = fraction
    weights = np.stack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, 3 * (u + u**2 - u**3) + 1, u**3])
    return np.asarray(weights / np.sqrt(np.square(weights).sum(0)), np.float32)
