"""Edges of unevenly spaced rows and columns, such as those of a Gaussian grid."""

from __future__ import annotations

import numpy as np

from flexclim.errors import GridError

# Largest gap or overlap of neighbouring cells, as a fraction of the smaller one.
GAP = 1e-3
# Largest ratio of neighbouring spacings without bounds; beyond it a row is probably missing.
JUMP = 1.5


def uneven_edges(
    name: str, values: np.ndarray, bounds: np.ndarray | None = None
) -> tuple[float, ...]:
    """Return the n + 1 edges of sorted, unevenly spaced cells, in the order of their values.

    Parameters
    ----------
    name
        Name of the coordinate, for error messages.
    values
        (n,) centres, increasing or decreasing.
    bounds
        (n, 2) edges from the file, in either order. Default: edges lie halfway between centres,
        and the outer cells are symmetric.

    Raises
    ------
    GridError
        If cells overlap or leave holes, or don't contain their values; without bounds, if
        neighbouring spacings differ by more than a factor of 1.5.

    >>> uneven_edges("lat", np.array([4.0, 2.0, 0.5]))
    (5.0, 3.0, 1.25, -0.25)
    """
    if bounds is None:
        _check_jumps(name, values)
        middle = (values[:-1] + values[1:]) / 2
        outer = 2 * values[0] - middle[0], 2 * values[-1] - middle[-1]
        return (float(outer[0]), *middle.tolist(), float(outer[1]))
    bounds = np.asarray(bounds, float)
    if values[-1] < values[0]:
        low, high = bounds.max(axis=1), bounds.min(axis=1)
    else:
        low, high = bounds.min(axis=1), bounds.max(axis=1)
    width = np.abs(high - low)
    gaps = np.abs(low[1:] - high[:-1]) > GAP * np.minimum(width[1:], width[:-1])
    if gaps.any():
        at = int(np.argmax(gaps))
        raise GridError(
            f"the bounds of {name!r} overlap or leave holes: cell {at} ends at {high[at]:g}, the "
            f"next begins at {low[at + 1]:g}. Correct them, or drop the bounds."
        )
    outside = ~((values - low) * (high - values) >= 0)
    if outside.any():
        at = int(np.argmax(outside))
        raise GridError(
            f"{name!r} holds {values[at]:g}, outside its bounds {low[at]:g} to {high[at]:g}. "
            "Correct them, or drop the bounds."
        )
    return (*low.tolist(), float(high[-1]))


def _check_jumps(name: str, values: np.ndarray) -> None:
    steps = np.abs(np.diff(values))
    ratio = np.maximum(steps[1:] / steps[:-1], steps[:-1] / steps[1:])
    if (ratio > JUMP).any():
        at = int(np.argmax(ratio > JUMP))
        raise GridError(
            f"the spacing of {name!r} jumps from {steps[at]:.6g} to {steps[at + 1]:.6g} at "
            f"{values[at + 1]:g}: a value is missing or wrong there. If it is right, add bounds "
            f"of the cells (CF attribute bounds)."
        )


def close_poles(edges: tuple[float, ...]) -> tuple[float, ...]:
    """Return edges of rows with the outer ones on the poles, where a gap is less than half a row.

    >>> close_poles((89.6, 50.0, -50.0, -95.0))
    (90.0, 50.0, -50.0, -90.0)
    """
    first, last = (
        float(np.copysign(90.0, edges[end])) if near else edges[end]
        for end, near in zip((0, -1), reach_poles(edges), strict=True)
    )
    return (first, *edges[1:-1], last)


def reach_poles(edges: tuple[float, ...]) -> tuple[bool, bool]:
    """Return whether the first and the last row end at a pole, or less than half a row from it."""
    first, last = (
        90 - abs(edges[end]) < abs(edges[end] - edges[inner]) / 2
        for end, inner in ((0, 1), (-1, -2))
    )
    return first, last


def edge_pairs(edges: tuple[float, ...], *, flip: bool) -> np.ndarray:
    """Return (n, 2) edges of cells in stored order from n + 1 edges in canonical order.

    >>> edge_pairs((3.0, 1.0, 0.0), flip=True)
    array([[0., 1.],
           [1., 3.]])
    """
    line = np.array(edges[::-1] if flip else edges)
    return np.stack([line[:-1], line[1:]], axis=-1)
