"""What can be known: how much real residuals differ where the coarse field looks alike.

The library holds, for every coarse cell of the training split, what its surroundings looked like
and what linear regression missed of the fine cells inside, both in units of the local amplitude
of :func:`flexclim.sampling.local_scaling.local_scaling`. For a cell at hand those that looked most
alike give an ensemble: a score that needs no network. Half the mean distance between its members
is what the best forecast would score if the coarse cells around were all that it saw and these
analogues were as good as exact; better analogues (a larger library) and a wider view make it
smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from benchmarks.skill.regression import Regression, blocks, differences, from_blocks
from flexclim.grids.domain import Domain
from flexclim.sampling.local_scaling import local_scaling

# Directions of the surroundings that are compared.
DIRECTIONS = 8


@dataclass(frozen=True)
class Library:
    """Surroundings (in ``tree``) and scaled residuals (n, factor * factor) of training cells.

    ``directions`` (24, 8): the combinations of surrounding cells that tell most about the fine
    cells, by the covariance of both; each counts by how much it tells.
    """

    tree: KDTree
    residuals: np.ndarray
    directions: np.ndarray
    regression: Regression

    @classmethod
    def stock(
        cls, pairs: Sequence[tuple[np.ndarray, np.ndarray]], regression: Regression
    ) -> Library:
        """Fill a library from coarse and fine planes."""
        factor = regression.factor
        seen, inside, missed = [], [], []
        for coarse, fine in pairs:
            size = _amplitude(coarse, regression.wrap)
            some = size > 0
            scale = size[some, None]
            seen.append(differences(coarse, regression.wrap)[some] / scale)
            middle = coarse.reshape(-1, 1)
            inside.append((blocks(fine, factor) - middle)[some] / scale)
            missed.append(blocks(fine - regression.predict(coarse), factor)[some] / scale)
        known, wanted = np.concatenate(seen), np.concatenate(inside)
        left, strength, _ = np.linalg.svd(known.T @ wanted / len(known), full_matrices=False)
        directions = left[:, :DIRECTIONS] * strength[:DIRECTIONS] / strength[0]
        return cls(
            KDTree(known @ directions),
            np.concatenate(missed).astype(np.float32),
            directions,
            regression,
        )

    def predict(self, coarse: np.ndarray, members: int) -> np.ndarray:
        """Return an ensemble (members, y', x'): regression plus residuals of analogues."""
        size = _amplitude(coarse, self.regression.wrap)
        some = size > 0
        here = (
            differences(coarse, self.regression.wrap)[some] / size[some, None]
        ) @ self.directions
        found = self.tree.query(here, k=members)[1]
        residual = np.zeros((members, size.size, self.residuals.shape[1]))
        residual[:, some] = self.residuals[found].swapaxes(0, 1) * size[some, None]
        factor = self.regression.factor
        return self.regression.predict(coarse) + from_blocks(residual, coarse.shape, factor)


def _amplitude(coarse: np.ndarray, wrap: bool) -> np.ndarray:
    """Return the local amplitude of each cell, (y * x)."""
    domain = Domain(shape=(coarse.shape[0], coarse.shape[1]), wrap=wrap)
    return local_scaling(coarse, domain)[1].ravel()
