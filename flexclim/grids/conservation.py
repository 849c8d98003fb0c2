"""Correct a fine field, in place, so that its block means equal a coarse field.

Corrections are computed for bands of rows, which keeps temporary arrays small.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy import sparse

from flexclim.grids.domain import Domain
from flexclim.grids.operators import (
    ALL,
    axis_blocks,
    column_blocks,
    interpolator,
    row_bands,
    row_blocks,
)

TOLERANCE = 1e-6
ROUNDS = 10
# Newton steps, and the fraction of the largest element below which others are set to zero.
NEWTON, SMALLEST = 6, 1e-16


class BlockMeans:
    """Block means on a domain, and corrections that impose them on fine fields.

    Parameters
    ----------
    domain
        The coarse domain.
    factor
        Fine cells along one side of a coarse cell.
    row_sines
        (y', 3) sines of the latitudes of the edge, the centre and the other edge of each fine row.
        Default: equal areas.
    part
        Fine rows and columns, the only ones that fields have; blocks at its edges may be cut, and
        :meth:`add` is not for it. Default: all.
    areas
        (y', x') areas of fine curvilinear cells.
    """

    def __init__(
        self,
        domain: Domain,
        factor: int,
        row_sines: np.ndarray | None = None,
        part: tuple[slice, slice] = (ALL, ALL),
        areas: np.ndarray | None = None,
    ) -> None:
        self.domain, self.factor = domain, factor
        assert areas is None or domain.kind == "cell", domain
        self._areas, self._part = areas, part
        fine, point = domain.refine(factor), domain.kind == "point"
        in_rows = axis_blocks(fine.shape[0], factor, point=point, wrap=False)
        in_columns = axis_blocks(fine.shape[1], factor, point=point, wrap=domain.wrap)
        self.overlapping = point and factor % 2 == 0
        self._shares = shares = tuple(
            _within(blocks, cells).T.tocsr()
            for blocks, cells in zip((in_rows, in_columns), part, strict=True)
        )
        in_rows = row_blocks(fine.shape[0], factor, point=point, row_sines=row_sines)
        in_columns = column_blocks(fine, factor)
        self._means = tuple(
            (sparse.diags_array(1 / blocks.sum(axis=1)) @ blocks).tocsr()
            for blocks in map(_within, (in_rows, in_columns), part)
        )
        self._adjoint = tuple(mean.T.tocsr() for mean in self._means)
        # 1 for cells that belong to one block only, else 0; and their part in the means.
        self._own = tuple((np.diff(one.indptr) == 1).astype(float) for one in shares)
        self._own_means = tuple(
            (mean @ sparse.diags_array(own)).tocsr()
            for mean, own in zip(self._means, self._own, strict=True)
        )

    def weighted(self, areas: np.ndarray) -> BlockMeans:
        """Return the same block means, weighted by the areas (y', x') of all fine cells."""
        return BlockMeans(self.domain, self.factor, part=self._part, areas=areas[self._part])

    @cached_property
    def _block_areas(self) -> np.ndarray:
        assert self._areas is not None
        areas = _both(self._shares[0].T.tocsr(), self._areas, self._shares[1].T.tocsr())
        return np.where(areas > 0, areas, 1.0)

    @cached_property
    def _inverses(self) -> tuple[sparse.csr_array, ...]:
        """Inverses of mean x adjoint per axis, sparse: blocks of points overlap.

        A row has 1 to about 40 elements. Solving with a factorisation would be shorter, but it
        calls BLAS, whose threads keep spinning on all cores afterwards.
        """
        return tuple(_inverse((mean @ mean.T).tocsr()) for mean in self._means)

    def add(self, fine: np.ndarray, coarse: np.ndarray) -> None:
        """Correct a field by an additive term.

        A smooth correction comes first, so that no block edges appear; the least-squares
        correction then makes the means exact.

        Parameters
        ----------
        fine, coarse
            (y', x') float64 and (y, x), without NaN.
        """
        error = coarse - self.mean(fine)
        smooth = interpolator(error, self.domain, self.factor, "bilinear")
        for rows in row_bands(fine.shape):
            fine[rows] += smooth(rows)
        error = coarse - self.mean(fine)
        if self._areas is not None:
            for rows in row_bands(fine.shape):
                fine[rows] += self.spread(error, rows)
            return
        solved = _both(self._inverses[0], error, self._inverses[1])
        in_rows, in_columns = self._adjoint
        for rows in row_bands(fine.shape):
            fine[rows] += _both(in_rows[rows], solved, in_columns)

    def multiply(self, fine: np.ndarray, coarse: np.ndarray, highest: float = np.inf) -> None:
        """Correct a non-negative field by factors.

        A block with zero mean stays zero; one that should be positive but is zero everywhere
        gets a uniform value. Blocks on a grid of points overlap, so that factors are iterated;
        the remaining difference goes to cells that belong to one block only. What exceeds the
        highest value goes to the other cells of the block, in proportion to their distance from
        it. Where blocks of points overlap, means may differ near the highest value, as they may
        exclude each other.

        Parameters
        ----------
        fine, coarse
            (y', x') float64 and (y, x), without NaN.
        highest
            No value exceeds it. Coarse values must not, and negative ones count as 0.
        """
        wanted = np.maximum(coarse, 0.0)
        self._scale(fine, wanted)
        if fine.max() > highest:
            self._cap(fine, wanted, highest)

    def _cap(self, fine: np.ndarray, wanted: np.ndarray, highest: float) -> None:
        """Move what exceeds the highest value to other cells of its block."""
        np.minimum(fine, highest, out=fine)
        for _ in range(ROUNDS if self.overlapping else 1):
            mean = self.mean(fine)
            rise = _share(wanted - mean, highest - mean)
            for rows in row_bands(fine.shape):
                fine[rows] += (highest - fine[rows]) * self.spread(rise, rows)
            if self.overlapping:
                mean = self.mean(fine)
                fall = _share(mean - wanted, mean)
                for rows in row_bands(fine.shape):
                    fine[rows] *= 1 - self.spread(fall, rows)
        if self.overlapping:
            self._finish(fine, wanted, highest)
        np.minimum(fine, highest, out=fine)  # rounding

    def _finish(self, fine: np.ndarray, wanted: np.ndarray, highest: float) -> None:
        """Bring means as near as cells that belong to one block only allow."""
        error = wanted - self.mean(fine)
        mass = self._own_mean(fine)
        own_rows, own_columns = self._own
        share = np.outer(self._means[0] @ own_rows, self._means[1] @ own_columns)
        room = highest * share - mass
        rise, fall = _share(error, room), _share(-error, mass)
        for rows in row_bands(fine.shape):
            own = own_rows[rows, None] * own_columns
            fine[rows] += (highest - fine[rows]) * self.spread(rise, rows) * own
            fine[rows] *= 1 - self.spread(fall, rows) * own

    def _scale(self, fine: np.ndarray, wanted: np.ndarray) -> None:
        dry = np.where(self.mean(fine) <= 0, wanted, 0.0)
        for rows in row_bands(fine.shape):
            fine[rows] += self.spread(dry, rows)
        for _ in range(ROUNDS):
            ratio = self._ratio(fine, wanted)
            if np.abs(ratio - 1)[wanted > 0].max(initial=0) < TOLERANCE:
                break
            for rows in row_bands(fine.shape):
                fine[rows] *= self.spread(ratio, rows)
        ratio = np.minimum(self._ratio(fine, wanted), 1.0)
        for rows in row_bands(fine.shape):
            fine[rows] *= self._least(ratio, rows)
        lacking = np.maximum(wanted - self.mean(fine), 0.0)  # negative only by rounding
        mass = self._own_mean(fine)
        factors = np.divide(lacking, mass, out=np.zeros_like(mass), where=mass > 0)
        own_rows, own_columns = self._own
        share = np.outer(self._means[0] @ own_rows, self._means[1] @ own_columns)
        evenly = np.divide(lacking, share, out=np.zeros_like(mass), where=(mass <= 0) & (share > 0))
        for rows in row_bands(fine.shape):
            more = fine[rows] * self.spread(factors, rows) + self.spread(evenly, rows)
            fine[rows] += more * own_rows[rows, None] * own_columns

    def _ratio(self, fine: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        mean = self.mean(fine)
        ratio = np.zeros_like(mean)
        np.divide(wanted, mean, out=ratio, where=mean > 0)
        return ratio

    def _least(self, values: np.ndarray, rows: slice) -> np.ndarray:
        """Return for each fine cell of some rows the smallest value of its blocks."""
        for axis, (shares, some) in enumerate(zip(self._shares, (rows, ALL), strict=True)):
            first = shares.indices[shares.indptr[:-1][some]]
            last = shares.indices[shares.indptr[1:][some] - 1]
            values = np.minimum(values.take(first, axis), values.take(last, axis))
        return values

    def mean(self, fine: np.ndarray) -> np.ndarray:
        """Return the means (y, x) of a field (y', x')."""
        if self._areas is None:
            return _both(self._means[0], fine, self._means[1])
        in_rows, in_columns = (shares.T.tocsr() for shares in self._shares)
        return np.asarray(_both(in_rows, fine * self._areas, in_columns) / self._block_areas)

    def _own_mean(self, fine: np.ndarray) -> np.ndarray:
        """Return the part of the means that cells of one block only add; on cells, the means."""
        if self._areas is not None:
            return self.mean(fine)
        return _both(self._own_means[0], fine, self._own_means[1])

    def spread(self, values: np.ndarray, rows: slice = ALL) -> np.ndarray:
        """Return for each fine cell the value of its block; the mean where two blocks share it."""
        return _both(self._shares[0][rows], values, self._shares[1])


def _within(blocks: sparse.csr_array, cells: slice) -> sparse.csr_array:
    """Return the blocks that have some of the cells, without their other cells."""
    if cells == ALL:
        return blocks
    cut = blocks[:, cells]
    return cut[np.diff(cut.indptr) > 0]


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return ``part / whole`` within 0 and 1; 0 where ``whole`` is 0."""
    share: np.ndarray = np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
    np.clip(share, 0.0, 1.0, out=share)
    return share


def _inverse(matrix: sparse.csr_array) -> sparse.csr_array:
    """Invert a diagonally dominant matrix by Newton's iteration.

    X <- X (2 - A X) squares the error, which is at most 1/3 at first (Schulz, 1933).
    """
    inverse = sparse.diags_array(1 / matrix.diagonal()).tocsr()
    for _ in range(NEWTON):
        inverse = (2 * inverse - inverse @ (matrix @ inverse)).tocsr()
        inverse.data[abs(inverse.data) < SMALLEST * abs(inverse.data).max()] = 0.0
        inverse.eliminate_zeros()
    return inverse


def _both(in_rows: sparse.csr_array, field: np.ndarray, in_columns: sparse.csr_array) -> np.ndarray:
    result: np.ndarray = (in_columns @ (in_rows @ field).T).T
    return result
