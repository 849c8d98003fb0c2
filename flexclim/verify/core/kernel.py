"""Statistics of each point from one sort of its members, in blocks that fit a processor's cache.

The observation is subtracted before sorting, so that large offsets cost no precision, and sums are
in float64. Arrays are numpy, with members first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

BLOCK = 65_536
SORT_BLOCK = 4_096
MOMENTS = (
    "error",
    "squared_error",
    "absolute_error",
    "variance",
    "pull",
    "squared_pull",
    "certain",
)
SORTED = ("skill", "dispersion")
COUNTS = ("below", "equal")
STATISTICS = (*SORTED, *MOMENTS, *COUNTS)


def slabs(shape: Sequence[int], limit: int = BLOCK) -> Iterator[tuple[slice, ...]]:
    """Split an array into blocks of at most ``limit`` points, with whole last dimensions.

    >>> list(slabs((2, 3), limit=3))
    [(slice(0, 1, None), slice(0, 3, None)), (slice(1, 2, None), slice(0, 3, None))]
    """
    steps, room = [], limit
    for size in reversed(shape):
        steps.append(max(1, min(size, room)))
        room //= max(size, 1)
    starts = [range(0, n, s) for n, s in zip(shape, reversed(steps), strict=True)]
    for corner in product(*starts):
        yield tuple(
            slice(at, min(at + step, size))
            for at, step, size in zip(corner, reversed(steps), shape, strict=True)
        )


def differences(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return members minus truth, (n, M) with the members of a point contiguous in memory.

    Close floats subtract without rounding, so float32 input stays float32.
    """
    dtype = np.result_type(members, truth, np.float32)
    flat = members.reshape(members.shape[0], -1)
    result = np.empty((flat.shape[1], flat.shape[0]), dtype)
    np.subtract(flat.T, truth.reshape(-1, 1), out=result)
    return result


def point_statistics(
    members: np.ndarray, truth: np.ndarray, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Compute statistics of each point.

    Parameters
    ----------
    members
        (M, ...) any float or integer type.
    truth
        (...).
    names
        Any of ``skill`` (mean distance of the members from the truth), ``dispersion`` (sum of the
        distances between all pairs of members), ``error``, ``squared_error`` and
        ``absolute_error`` of the ensemble mean, ``variance`` (divided by M - 1), ``pull`` and
        ``squared_pull`` (truth minus mean over standard deviation; 0 where that is 0, which
        ``certain`` counts), ``below`` and ``equal`` (number of members below or equal to the
        truth).

    Returns
    -------
    statistics, known
        (len(names), ...) float64, 0 where a value is missing, and (...) whether none is missing.
    """
    shape, points = truth.shape, truth.size
    flat = np.ascontiguousarray(members.reshape(members.shape[0], -1))
    observed = truth.reshape(-1)
    result = np.empty((len(names), points))
    known = np.empty(points, bool)
    for start in range(0, points, SORT_BLOCK):
        part = slice(start, start + SORT_BLOCK)
        found, known[part] = _block(flat[:, part], observed[part], names)
        for row, name in enumerate(names):
            result[row, part] = found[name]
    result[:, ~known] = 0.0
    return result.reshape(len(names), *shape), known.reshape(shape)


def _block(
    members: np.ndarray, truth: np.ndarray, names: Sequence[str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    count = members.shape[0]
    distance = differences(members, truth)
    if "dispersion" in names:
        distance.sort(axis=1)  # NaN last
    wide = distance.astype(float)
    total = wide @ np.ones(count)
    known = ~np.isnan(total)
    found: dict[str, np.ndarray] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        if "dispersion" in names:
            found["dispersion"] = wide @ (2.0 * np.arange(count) - count + 1.0)
        if any(name in names for name in COUNTS):
            found["below"] = np.count_nonzero(distance < 0, axis=1)
            found["equal"] = np.count_nonzero(distance == 0, axis=1)
        if any(name in names for name in MOMENTS):
            found |= _moments(wide, total / count, names)
        if "skill" in names:
            found["skill"] = np.abs(wide, out=wide) @ np.full(count, 1.0 / count)
    return found, known


def _moments(wide: np.ndarray, mean: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    found = {"error": mean, "squared_error": mean**2, "absolute_error": np.abs(mean)}
    if {"variance", "pull", "squared_pull", "certain"} & set(names):
        around = wide - mean[:, None]
        variance = np.einsum("nm,nm->n", around, around) / (wide.shape[1] - 1)
        # Rounding of the mean of equal values must not count as spread.
        variance[variance <= (1e-14 * mean) ** 2] = 0.0
        spread = np.sqrt(variance)
        pull = np.where(spread > 0, -mean / np.where(spread > 0, spread, 1.0), 0.0)
        found |= {"variance": variance, "pull": pull, "squared_pull": pull**2}
        found["certain"] = variance == 0
    return found


def count_ranks(members: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, ...]:
    """Count the members below and equal to the truth, and flag points without missing values.

    Members are read one after the other, which needs neither a sort nor a copy of the ensemble.

    Returns
    -------
    below, equal, known
        (...) integers, integers and booleans.
    """
    below = np.zeros(truth.shape, np.int32)
    equal = np.zeros(truth.shape, np.int32)
    known = ~np.isnan(truth)
    for member in members:
        below += member < truth
        equal += member == truth
        known &= ~np.isnan(member)
    return below, equal, known


def share_ranks(
    below: np.ndarray, equal: np.ndarray, weight: np.ndarray, first: np.ndarray, length: int
) -> np.ndarray:
    """Add up weights by rank, sharing a truth that ties with k members among k + 1 ranks.

    Parameters
    ----------
    first
        Position of rank 0 of each point among ``length`` counts.

    >>> share_ranks(np.array([0, 1]), np.array([0, 1]), np.ones(2), np.zeros(2, int), 3)
    array([1. , 0.5, 0.5])
    """
    lowest = first + below
    if not equal.any():
        return np.bincount(lowest.ravel(), weight.ravel(), minlength=length)
    counts = np.zeros(length)
    share = weight / (equal + 1.0)
    for step in range(int(equal.max()) + 1):
        some = equal >= step
        counts += np.bincount(lowest[some] + step, share[some], minlength=length)
    return counts
