"""Conservative weights of parts of a plane, so that large planes are averaged in bounded memory.

Weighted sums over the parts of a plane add up to those over the plane.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.methods import common_rows_columns, shares, weights_between
from flexclim.grids.regridding.targets import Target

Part = tuple[slice, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PartWeights:
    """Weights of the cells of one part of a plane, by rows and columns if these are independent.

    Parameters
    ----------
    shape
        Of the part.
    rows
        (m, y x) weights of cells; (Y, y) of rows, if there are columns.
    columns
        (X, x) weights of columns, of targets in rows and columns.
    width
        Targets in each row of the target.
    """

    shape: tuple[int, ...]
    rows: sparse.csr_array
    columns: sparse.csr_array | None = None
    width: int = 1

    @property
    def empty(self) -> bool:
        """Whether no target lies in the part."""
        return self.rows.nnz == 0 or (self.columns is not None and self.columns.nnz == 0)

    @cached_property
    def covered(self) -> np.ndarray:
        """(m,) share of each target that the part covers."""
        rows = self.rows.sum(axis=1)
        return rows if self.columns is None else np.outer(rows, self.columns.sum(axis=1)).ravel()

    def of(self, rows: slice) -> PartWeights:
        """Return the weights of some rows of the target, or of some targets of a list."""
        width = self.width if self.columns is None else 1
        return replace(self, rows=self.rows[rows.start * width : rows.stop * width])

    def sums(self, plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the weighted sums of a part (y, x) without NaN, and the sums of their weights.

        Both are (m,) float64.
        """
        missing = np.isnan(plane)
        if not missing.any():
            return self._times(plane.astype(float)), self.covered
        known = np.where(missing, 0.0, plane).astype(float)
        return self._times(known), self._times((~missing).astype(float))

    def _times(self, plane: np.ndarray) -> np.ndarray:
        if self.columns is None:
            return np.asarray(self.rows @ plane.ravel())
        return np.asarray((self.columns @ (self.rows @ plane).T).T).ravel()


def plane_weights(source: Cells, target: Target, parts: Sequence[Part]) -> list[PartWeights]:
    """Return the conservative weights of each part of a plane; at points, of the cell around them.

    Parameters
    ----------
    source
        Cells in rows and columns, or a list.
    parts
        Of each part, its rows and columns; of a list, all of its cells. Together all cells, each
        once.
    """
    both = common_rows_columns(source, target)
    shapes = [tuple(one.stop - one.start for one in part) for part in parts]
    if both is None:
        whole = len(source.shape) == 1
        cells = (source if whole else source.part(*map(_numbers, part)) for part in parts)
        found = (weights_between(part, target, "conservative").matrix for part in cells)
        width = math.prod(target.shape[1:])
        return [
            PartWeights(shape=shape, rows=matrix, width=width)
            for shape, matrix in zip(shapes, found, strict=True)
        ]
    assert target.cells is not None
    assert target.cells.rows is not None
    assert target.cells.columns is not None
    edges = np.sin(np.deg2rad(target.cells.rows)), np.deg2rad(target.cells.columns)
    rows, columns = (
        shares(lengths, np.abs(np.diff(ends, axis=1)[:, 0])).tocsc()
        for lengths, ends in zip(both, edges, strict=True)
    )
    return [
        PartWeights(shape=shape, rows=rows[:, y].tocsr(), columns=columns[:, x].tocsr())
        for shape, (y, x) in zip(shapes, parts, strict=True)
    ]


def _numbers(part: slice) -> np.ndarray:
    return np.arange(part.start, part.stop)
