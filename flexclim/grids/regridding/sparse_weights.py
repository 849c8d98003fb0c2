"""Sparse weights between two grids, and fields multiplied by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from flexclim.errors import GridError, warn
from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.targets import Target

# Share of a target cell below which nothing is known of it.
NOTHING = 1e-6
# Share of the source's area that may overlap: without a word, and at all.
OVERLAP, LARGEST_OVERLAP = 0.01, 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Slopes:
    """Second-order terms: how fields change along two directions within their cells.

    Parameters
    ----------
    differences
        (2 n, n) weights of differences between neighbours and the cell itself.
    moments
        (m, 2 n) mean displacement of a target's part of a cell from the cell's centre, times
        its share.
    """

    differences: sparse.csr_array
    moments: sparse.csr_array


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """Weights of n source cells in m target cells.

    Parameters
    ----------
    matrix
        (m, n). Rows add up to the share of a target that the source covers.
    turned
        (m, n) those of the weights that lie beyond a pole, where eastward and northward
        components change sign.
    slopes
        Second-order terms.
    """

    matrix: sparse.csr_array
    turned: sparse.csr_array | None = None
    slopes: Slopes | None = None

    def __post_init__(self) -> None:
        # The order of a row's weights decides how sums are rounded.
        slopes = (self.slopes.differences, self.slopes.moments) if self.slopes else ()
        for matrix in (self.matrix, self.turned, *slopes):
            if matrix is not None:
                matrix.sum_duplicates()

    @property
    def covered(self) -> np.ndarray:
        """(m,) sums of the weights of each target: the shares that the source covers."""
        return np.asarray(self.matrix.sum(axis=1))

    @property
    def whole(self) -> sparse.csr_array:
        """(m, n) weights with the second-order terms."""
        if self.slopes is None:
            return self.matrix
        parts = self.slopes.differences
        size = self.matrix.shape[1]
        own = sparse.csr_array(
            (parts.sum(axis=1), (np.arange(2 * size), np.tile(np.arange(size), 2))),
            shape=parts.shape,
        )
        return (self.matrix + self.slopes.moments @ (parts - own)).tocsr()

    def means(
        self, values: np.ndarray, nan_threshold: float, *, vector: bool = False
    ) -> np.ndarray:
        """Return the weighted means of fields.

        Parameters
        ----------
        values
            (..., n); NaN is left out of the means.
        nan_threshold
            Largest share of a target that may be missing; it is NaN where more is.
        vector
            Whether values are an eastward or northward component.

        Returns
        -------
        ndarray
            (..., m), computed in float64, in the values' float type.
        """
        matrix = self.matrix
        if vector and self.turned is not None:
            matrix = (matrix - 2 * self.turned).tocsr()
        covered = self.covered

        def mean(plane: np.ndarray) -> np.ndarray:
            missing = np.isnan(plane)
            known = np.where(missing, 0.0, plane) if missing.any() else plane
            share = self.matrix @ (~missing).astype(float) if missing.any() else covered
            total = matrix @ known
            if self.slopes is not None:
                total += self.slopes.moments @ self._differences(known, ~missing)
            return masked_means(total, share, nan_threshold)

        return _by_planes(values, matrix.shape, mean)

    def _differences(self, plane: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Return slopes (2 n) of one plane, from those neighbours that are known."""
        assert self.slopes is not None
        parts = self.slopes.differences
        return np.asarray(parts @ plane - (parts @ known.astype(float)) * np.tile(plane, 2))


def masked_means(total: np.ndarray, share: np.ndarray, nan_threshold: float) -> np.ndarray:
    """Return means from weighted sums, NaN where more than a share of the weights is missing."""
    known = (share > NOTHING) & (share >= 1 - nan_threshold - 1e-9)
    return np.where(known, total / np.where(known, share, 1), np.nan)


def _by_planes(
    values: np.ndarray, shape: tuple[int, int], change: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Apply ``change`` to each of (..., n) planes, in float64."""
    dtype = np.result_type(values.dtype, np.float32)
    flat = values.reshape(-1, shape[1])
    result = np.empty((flat.shape[0], shape[0]), dtype)
    for number, plane in enumerate(flat):
        result[number] = change(plane.astype(float))
    return result.reshape(*values.shape[:-1], shape[0])


def check_coverage(share: np.ndarray, source: Cells, target: Target) -> None:
    """Check that a target lies in the source, and that cells of the source don't overlap.

    Parameters
    ----------
    share
        (m,) sums of the weights of each target, as ``Weights.covered``.

    Raises
    ------
    GridError
        If no target cell or some points or polygons lie outside, or cells overlap by more than
        10 % of their area; above 1 % it is a warning.
    """
    outside = np.flatnonzero(share <= NOTHING)
    where = "the input spans {:g} to {:g} north, {:g} to {:g} east"
    if outside.size and (target.kind != "cells" or outside.size == share.size):
        found = f"{outside.size} of {share.size} {target.kind} lie outside the input"
        first = f", the first at {target.name(int(outside[0]))}" if target.kind != "cells" else ""
        raise GridError(f"{found}{first}; {where.format(*source.extent())}. Leave them out.")
    if target.kind == "points" or not (share > 1 + NOTHING).any():
        return
    twice = float((np.clip(share - 1, 0, None) * target.areas).sum() / source.areas.sum())
    if twice > OVERLAP:
        text = (
            f"cells of the input overlap by {100 * twice:.0f} % of their area. Check their "
            'positions and bounds, or use .flex.regrid with method="nearest".'
        )
        if twice > LARGEST_OVERLAP:
            raise GridError(text)
        warn(text)
