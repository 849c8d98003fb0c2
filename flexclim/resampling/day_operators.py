"""Days and the times within them: interpolation in time, and what daily values conserve.

Legend: K times of a day, evenly spaced; ... the cells of fields.
"""

from __future__ import annotations

import numpy as np


def day_weights(count: int) -> np.ndarray:
    """Return weights (K, 3) of the daily means of the day before, the day and the day after.

    They interpolate linearly in time between the middles of the days, with the mean over the K
    times of the day kept.

    >>> day_weights(4)[0]
    array([ 0.25 ,  0.875, -0.125])
    """
    offset = (np.arange(count) + 0.5) / count - 0.5  # days from the middle of the day
    weights = np.stack([np.maximum(-offset, 0), 1 - abs(offset), np.maximum(offset, 0)], 1)
    weights -= weights.mean(0)
    weights[:, 1] += 1
    return weights


def keep_daily(
    values: np.ndarray,
    mean: np.ndarray,
    lowest: np.ndarray | None = None,
    highest: np.ndarray | None = None,
    *,
    non_negative: bool = False,
) -> np.ndarray:
    """Make the times of a day keep the daily mean, and the daily extremes where these are given.

    The time with the lowest value gets the minimum, that with the highest one the maximum, and the
    others are drawn towards one of them until the mean is right. Where K values can't have all
    three, the mean and the extreme nearer to it are kept, and the other one is not reached.

    Parameters
    ----------
    values
        (..., K); NaN where missing.
    mean, lowest, highest
        (...), daily values, with lowest <= mean <= highest.
    non_negative
        Whether the values can't be negative; they are scaled then rather than shifted.

    Returns
    -------
    ndarray
        (..., K) float64.
    """
    values = np.moveaxis(np.asarray(values, float), -1, 0)
    if lowest is not None and highest is not None:
        kept = _within(values, mean, lowest, highest)
    elif lowest is not None:
        kept = _from_below(values, mean, lowest)
    elif highest is not None:
        kept = -_from_below(-values, -mean, -highest)
        if non_negative:
            bounded = _within(values, mean, np.zeros_like(mean), highest)
            kept = np.where(kept.min(0) < 0, bounded, kept)
    elif non_negative:
        kept = _scaled(np.maximum(values, 0), mean)
    else:
        kept = values + (mean - values.mean(0))
    return np.moveaxis(kept, 0, -1)


def unreachable(
    count: int, mean: np.ndarray, lowest: np.ndarray, highest: np.ndarray
) -> np.ndarray:
    """Return where ``count`` values can't have a mean, a minimum and a maximum at once.

    >>> unreachable(4, np.array([5.0, 1.0]), np.zeros(2), np.full(2, 10.0))
    array([False,  True])
    """
    part = (highest - lowest) / count * (1 - 1e-6)
    return np.asarray((mean < lowest + part) | (mean > highest - part))


def _scaled(values: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Scale values of at least 0 to a mean; equal ones where all are 0."""
    total = values.mean(0)
    ratio = np.divide(mean, total, where=total > 0, out=np.zeros_like(total))
    return np.where(total > 0, values * ratio, mean)


def _from_below(values: np.ndarray, mean: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """Give the lowest value the minimum and scale the distances of the others from it."""
    above = np.maximum(values - values.min(0), 0)
    return np.asarray(lowest + _spread(above, mean - lowest))


def _spread(above: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Scale distances, of which the smallest is 0, to a mean; equal ones but 0 where all are 0."""
    flat = above.max(0) == 0
    first = (np.arange(len(above)) > 0).reshape(-1, *(1,) * (above.ndim - 1))
    return _scaled(np.where(flat, first, above), mean)


def _within(
    values: np.ndarray,
    mean: np.ndarray,
    lowest: np.ndarray,
    highest: np.ndarray,
) -> np.ndarray:
    """Give the extremes their values, and move the others between them."""
    count, span = len(values), highest - lowest
    wide = span > 0
    order = np.argsort(values, axis=0, kind="stable")
    rank = np.argsort(order, axis=0, kind="stable")
    low, high = rank == 0, rank == count - 1
    smallest, largest = values.min(0), values.max(0)
    extent = np.where(largest > smallest, largest - smallest, 1.0)
    share = np.where(low, 0.0, np.where(high, 1.0, (values - smallest) / extent))
    # The sum of shares that is wanted of all, of which the highest has 1.
    wanted = np.where(wide, count * (mean - lowest) / np.where(wide, span, 1.0), 0.0)
    inner = count - 2
    goal = np.clip(wanted - 1, 0, inner)
    total = np.where(low | high, 0.0, share).sum(0)
    down = np.divide(goal, total, where=total > 0, out=np.zeros_like(total))
    rest = inner - total
    up = np.divide(inner - goal, rest, where=rest > 0, out=np.zeros_like(total))
    moved = np.where(goal <= total, share * down, 1 - (1 - share) * up)
    share = np.where(
        low, np.maximum(wanted - 1 - inner, 0), np.where(high, np.minimum(wanted, 1), moved)
    )
    return np.asarray(lowest + span * share)


def keep_known(
    members: np.ndarray,
    mean: np.ndarray,
    lowest: np.ndarray | None,
    highest: np.ndarray | None,
    *,
    non_negative: bool,
) -> np.ndarray:
    """Make members (..., K) keep daily values; where an extreme is missing, the other ones."""
    kept = keep_daily(members, mean, lowest, highest, non_negative=non_negative)
    if lowest is not None and (gone := np.isnan(lowest)).any():
        others = keep_known(members, mean, None, highest, non_negative=non_negative)
        kept = np.where(gone[..., None], others, kept)
    if highest is not None and (gone := np.isnan(highest)).any():
        others = keep_known(members, mean, lowest, None, non_negative=non_negative)
        kept = np.where(gone[..., None], others, kept)
    return kept
