"""Give a fine field the block means of the coarse field that it came from."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from flexclim.domain import Domain
from flexclim.regrid import axis_blocks, interpolate

TOLERANCE = 1e-6
ROUNDS = 10


class BlockMeans:
    """Block means on one domain, and the corrections that set them.

    Parameters
    ----------
    domain
        The coarse domain.
    factor
        Fine cells along one side of a coarse cell.
    row_area
        (y',) area of a cell of each fine row; None: all alike.
    """

    def __init__(self, domain: Domain, factor: int, row_area: np.ndarray | None = None) -> None:
        self.domain, self.factor = domain, factor
        fine, point = domain.refine(factor), domain.kind == "point"
        in_rows = axis_blocks(fine.shape[0], factor, point=point, wrap=False)
        in_columns = axis_blocks(fine.shape[1], factor, point=point, wrap=domain.wrap)
        self._shares = in_rows.T.tocsr(), in_columns.T.tocsr()
        if row_area is not None:
            in_rows = in_rows @ sparse.diags_array(np.asarray(row_area, float))
        self._means = tuple(
            (sparse.diags_array(1 / blocks.sum(axis=1)) @ blocks).tocsr()
            for blocks in (in_rows, in_columns)
        )

    @cached_property
    def _solvers(self) -> tuple:
        return tuple(splu((mean @ mean.T).tocsc()) for mean in self._means)

    def add(self, fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
        """Correct a field by adding to it.

        A smooth correction comes first, so that it draws no blocks; the smallest change (least
        squares) then makes the means exact.

        Parameters
        ----------
        fine, coarse
            (y', x') and (y, x), without NaN.
        """
        error = coarse - self._mean(fine)
        fine = fine + interpolate(error, self.domain, self.factor, "bilinear")
        error = coarse - self._mean(fine)
        solved = self._solvers[1].solve(self._solvers[0].solve(error).T).T
        return fine + _both(self._means[0].T, solved, self._means[1].T)

    def multiply(self, fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
        """Correct a field that can't be negative by factors.

        A dry block stays dry; one that should be wet but came out dry becomes evenly wet. Blocks
        of a grid of points share cells, so factors are applied several times; what is left is
        made up for in the cells that a block has for itself.
        """
        wanted = np.maximum(coarse, 0.0)
        fine = fine + self._spread(np.where(self._mean(fine) <= 0, wanted, 0.0))
        for _ in range(ROUNDS):
            ratio = self._ratio(fine, wanted)
            if np.abs(ratio - 1)[wanted > 0].max(initial=0) < TOLERANCE:
                break
            fine = fine * self._spread(ratio)
        fine = fine * self._least(np.minimum(self._ratio(fine, wanted), 1.0))
        lacking = np.maximum(wanted - self._mean(fine), 0.0)  # below 0 by rounding only
        rows, columns = self._own
        mass = self._mean(fine * rows[:, None] * columns)
        factors = np.divide(lacking, mass, out=np.zeros_like(mass), where=mass > 0)
        share = np.outer(self._means[0] @ rows, self._means[1] @ columns)
        evenly = np.where(mass > 0, 0.0, lacking / share)
        more = fine * self._spread(factors) + self._spread(evenly)
        return fine + more * rows[:, None] * columns

    def _ratio(self, fine: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        mean = self._mean(fine)
        return np.divide(wanted, mean, out=np.zeros_like(mean), where=mean > 0)

    @cached_property
    def _own(self) -> tuple[np.ndarray, np.ndarray]:
        """(y',) and (x',) 1 where a cell belongs to one block only, else 0."""
        rows, columns = ((np.diff(shares.indptr) == 1).astype(float) for shares in self._shares)
        return rows, columns

    def _least(self, values: np.ndarray) -> np.ndarray:
        """Give each fine cell the smallest of its blocks' values."""
        for axis, shares in enumerate(self._shares):
            first, last = shares.indices[shares.indptr[:-1]], shares.indices[shares.indptr[1:] - 1]
            values = np.minimum(values.take(first, axis), values.take(last, axis))
        return values

    def _mean(self, fine: np.ndarray) -> np.ndarray:
        return _both(self._means[0], fine, self._means[1])

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """Give each fine cell its block's value; a cell that two blocks share gets their mean."""
        return _both(self._shares[0], values, self._shares[1])


def _both(in_rows: sparse.csr_array, field: np.ndarray, in_columns: sparse.csr_array) -> np.ndarray:
    return (in_columns @ (in_rows @ field).T).T
