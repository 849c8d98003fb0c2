"""Rows and columns that boxes touch, and lengths that intervals have in common."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.polygons import TURN

# Lengths below this share of the shorter interval are rounding.
ROUNDING = 1e-12


def common_lengths(
    source: np.ndarray, target: np.ndarray, *, turn: float = 0.0
) -> sparse.csr_array:
    """Return the (target, source) lengths in common of (n, 2) intervals, also turned ones.

    >>> halves, whole = np.array([[0.0, 1.0], [1.0, 2.0]]), np.array([[0.0, 1.5]])
    >>> common_lengths(halves, whole).toarray()
    array([[1. , 0.5]])
    """
    low, high = np.sort(source, axis=1).T
    start, stop = np.sort(target, axis=1).T
    base = turn * np.round((start.mean() - low.mean()) / turn) if turn else 0.0
    shape = target.shape[0], source.shape[0]
    total = sparse.csr_array(shape)
    for shift in base + turn * np.arange(-2, 3) if turn else [0.0]:
        t, s = _touching(low + shift, high + shift, start, stop)
        shared = np.minimum(high[s] + shift, stop[t]) - np.maximum(low[s] + shift, start[t])
        keep = shared >= ROUNDING * np.minimum(high - low, np.inf)[s].clip(max=(stop - start)[t])
        total = total + sparse.csr_array((shared[keep], (t[keep], s[keep])), shape=shape)
    return total.tocsr()


def near(source: Cells, boxes: np.ndarray) -> tuple[Cells, np.ndarray]:
    """Return those rows and columns of cells that boxes touch, and the numbers of their cells.

    Cells that lie in no rows and columns are all returned.

    Parameters
    ----------
    boxes
        (n, 4) longitudes in radians and sines of latitudes: west, south, east, north.
    """
    if source.rows is None or source.columns is None:
        return source, np.arange(source.size)
    west, south, east, north = boxes[np.isfinite(boxes).all(axis=1)].T
    low, high = np.sin(np.deg2rad(np.sort(source.rows, axis=1))).T
    rows = np.unique(_touching(low, high, south, north)[1])
    low, high = np.deg2rad(np.sort(source.columns, axis=1)).T
    turned, start = TURN * np.floor(low / TURN), west % TURN
    columns = np.unique(
        np.concatenate(
            [
                _touching(low - turned, high - turned, start + shift, start + east - west + shift)[
                    1
                ]
                for shift in (-TURN, 0.0, TURN)
            ]
        )
    )
    number = np.arange(source.size).reshape(source.shape)[np.ix_(rows, columns)]
    return source.part(rows, columns), number.ravel()


def _touching(
    low: np.ndarray, high: np.ndarray, start: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs (target, source) of intervals that touch; those of the source don't overlap."""
    order = np.argsort(low)
    first = np.searchsorted(np.maximum.accumulate(high[order]), start, side="left")
    last = np.searchsorted(low[order], stop, side="right")
    counts = np.clip(last - first, 0, None)
    target = np.arange(start.size).repeat(counts)
    place = np.arange(target.size) - (np.cumsum(counts) - counts)[target] + first[target]
    return target, order[place]
