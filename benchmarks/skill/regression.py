"""Linear regression of the fine cells of a coarse cell on the 5 x 5 coarse cells around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

REACH = 2
CELLS = (2 * REACH + 1) ** 2


@dataclass(frozen=True)
class Regression:
    """Ordinary least squares: ``weights`` (1 + 25, factor * factor), a constant first.

    Cells count as differences from the one in the middle, which itself counts as its difference
    from ``origin``: the same fit as on the values, with more digits left for pressure.
    """

    weights: np.ndarray
    origin: float
    factor: int
    wrap: bool = False

    @classmethod
    def fit(
        cls, pairs: Sequence[tuple[np.ndarray, np.ndarray]], factor: int, *, wrap: bool = False
    ) -> Regression:
        """Fit to coarse and fine planes.

        Parameters
        ----------
        pairs
            (y, x) and (y * factor, x * factor), without NaN.
        factor
            Fine cells along one side of a coarse cell.
        """
        origin = float(np.mean([coarse.mean() for coarse, _ in pairs]))
        seen = np.concatenate([_predictors(coarse, origin, wrap) for coarse, _ in pairs])
        wanted = np.concatenate(
            [blocks(fine, factor) - coarse.reshape(-1, 1) for coarse, fine in pairs]
        )
        return cls(np.linalg.lstsq(seen, wanted, rcond=None)[0], origin, factor, wrap)

    def predict(self, coarse: np.ndarray) -> np.ndarray:
        """Return the fine plane (y * factor, x * factor) of a coarse one."""
        fine = _predictors(coarse, self.origin, self.wrap) @ self.weights + coarse.reshape(-1, 1)
        return from_blocks(fine, coarse.shape, self.factor)


def neighbours(coarse: np.ndarray, wrap: bool) -> np.ndarray:
    """Return the 5 x 5 cells around each cell, (y * x, 25)."""
    framed = np.pad(coarse, ((REACH, REACH), (0, 0)), mode="edge")
    framed = np.pad(framed, ((0, 0), (REACH, REACH)), mode="wrap" if wrap else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(framed, (2 * REACH + 1,) * 2)
    return windows.reshape(-1, CELLS)


def differences(coarse: np.ndarray, wrap: bool) -> np.ndarray:
    """Return the 24 cells around each cell less the one in the middle, (y * x, 24)."""
    around = neighbours(coarse, wrap)
    middle = CELLS // 2
    return np.delete(around, middle, axis=1) - around[:, middle : middle + 1]


def blocks(fine: np.ndarray, factor: int) -> np.ndarray:
    """Return the fine cells of each coarse cell, (y * x, factor * factor)."""
    rows, columns = (size // factor for size in fine.shape)
    parts = fine.reshape(rows, factor, columns, factor).swapaxes(1, 2)
    return parts.reshape(rows * columns, factor * factor)


def from_blocks(parts: np.ndarray, shape: tuple[int, ...], factor: int) -> np.ndarray:
    """Undo :func:`blocks`; ``parts`` (..., y * x, factor * factor), ``shape`` (y, x)."""
    lead = parts.shape[:-2]
    fine = parts.reshape(*lead, *shape, factor, factor).swapaxes(-3, -2)
    return fine.reshape(*lead, shape[0] * factor, shape[1] * factor)


def _predictors(coarse: np.ndarray, origin: float, wrap: bool) -> np.ndarray:
    middle = coarse.reshape(-1, 1) - origin
    return np.concatenate([np.ones_like(middle), middle, differences(coarse, wrap)], axis=1)
