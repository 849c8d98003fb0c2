"""The tile plan: which windows the network reads, and the weights that blend them.

A plan is plain data that depends on sizes alone. Windows start at multiples of the factor, so that
they are aligned with coarse cells. Along each axis the weights of neighbouring windows are blended
within a ramp in the middle of their overlap; weights sum to one in every pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from flexclim.errors import GridError
from flexclim.grids.domain import Border, Domain

# The share of the cells of all windows that a smaller tile has to save.
SAVED = 0.1


@dataclass(frozen=True)
class AxisPlan:
    """Windows along one axis of ``size`` pixels.

    ``starts`` are their first pixels, which may lie outside the field; ``borders`` the positions
    at which neighbouring windows have equal weights.
    """

    size: int
    tile: int
    ramp: int
    starts: tuple[int, ...]
    wrap: bool

    @property
    def before(self) -> int:
        """Number of pixels by which windows extend before the first pixel of the field."""
        return max(0, -self.starts[0])

    @property
    def after(self) -> int:
        """Number of pixels by which windows extend after the last pixel of the field."""
        return max(0, self.starts[-1] + self.tile - self.size)

    @property
    def borders(self) -> tuple[float, ...]:
        """Middles of the overlaps of neighbouring windows."""
        pairs = list(zip(self.starts[:-1], self.starts[1:], strict=True))
        if self.wrap and len(self.starts) > 1:
            pairs.append((self.starts[-1], self.starts[0] + self.size))
        return tuple((first + self.tile + second) / 2 for first, second in pairs)

    def weights(self) -> np.ndarray:
        """Return (windows, tile) weights: 0 outside the field, summing to 1 in each pixel."""
        position = np.array(self.starts)[:, None] + np.arange(self.tile) + 0.5
        if self.wrap and len(self.starts) > 1:
            weights = np.ones(position.shape)
        else:
            weights = ((position > 0) & (position < self.size)).astype(float)
        count = len(self.starts)
        for index, border in enumerate(self.borders):
            following = (index + 1) % count
            weights[index] *= 1 - _rise((position[index] - border) / self.ramp)
            shift = self.size if index + 1 == count else 0
            weights[following] *= _rise((position[following] + shift - border) / self.ramp)
        return weights


@dataclass(frozen=True)
class TilePlan:
    """Windows over a fine domain: all pairs of a row window and a column window."""

    domain: Domain
    rows: AxisPlan
    columns: AxisPlan

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns of a window."""
        return self.rows.tile, self.columns.tile

    @property
    def count(self) -> int:
        """Number of windows."""
        return len(self.rows.starts) * len(self.columns.starts)

    def corner(self, index: int) -> tuple[int, int]:
        """Return the upper left pixel of a window, in the frame that :meth:`frame` describes."""
        row, column = divmod(index, len(self.columns.starts))
        return self.rows.starts[row] + self.rows.before, (
            self.columns.starts[column] + self.columns.before
        )

    def frame(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows, columns and signs of the framed field's pixels; see Domain.extension."""
        return self.domain.extension(
            self.rows.before, self.rows.after, self.columns.before, self.columns.after
        )

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights along both axes, (row windows, h) and (column windows, w)."""
        return self.rows.weights(), self.columns.weights()

    def describe(self) -> dict[str, object]:
        """Return the borders and overlap that verify.seam needs, as plain data."""
        return {
            "rows": list(self.rows.borders),
            "columns": list(self.columns.borders),
            "overlap": self.rows.ramp,
            "wrap": self.columns.wrap,
        }


def choose_tile(
    tiles: Sequence[tuple[int, int]],
    domain: Domain,
    factor: int,
    halo: int,
    overlap: int | None = None,
) -> tuple[tuple[int, int], int]:
    """Return the tile whose windows cover a domain with fewest cells in all, and their overlap.

    A smaller tile has to save more than ``SAVED`` of the cells.

    Parameters
    ----------
    tiles
        Sizes that the network serves, the largest first.
    domain
        The fine domain.
    factor
        Fine cells along one side of a coarse cell; windows start at its multiples.
    halo
        Overlap that the model asks for; less where half a tile is.
    overlap
        As the user states it, if so; only tiles that it fits are chosen.

    >>> for shape in ((24, 30), (30, 60), (96, 128), (256, 256)):
    ...     print(choose_tile([(64, 64), (32, 32)], Domain(shape=shape), 4, 8))
    ((32, 32), 8)
    ((32, 32), 8)
    ((32, 32), 8)
    ((64, 64), 8)
    """
    fitting = [tile for tile in tiles if overlap is None or overlap <= min(tile) // 2]
    best, fewest = tiles[0], math.inf
    for tile in fitting:
        own = overlap or min(halo, min(tile) // 2)
        cells = plan_tiles(domain, tile, factor, own).count * prod(tile)
        if cells < (1 - SAVED) * fewest:
            best, fewest = tile, cells
    return best, overlap or min(halo, min(best) // 2)


def plan_tiles(
    domain: Domain, tile: tuple[int, int], factor: int, overlap: int, ramp: int | None = None
) -> TilePlan:
    """Plan windows over a fine domain.

    Parameters
    ----------
    domain
        The fine domain.
    tile
        Rows and columns of a window.
    factor
        Fine cells along one side of a coarse cell; windows start at its multiples.
    overlap
        Minimum overlap of neighbouring windows in pixels.
    ramp
        Pixels over which neighbouring windows are blended. Default: half the overlap.

    Raises
    ------
    GridError
        If the overlap exceeds half a tile.

    >>> plan_tiles(Domain(shape=(64, 144)), (64, 64), 4, 16).columns.starts
    (0, 40, 80)
    """
    if not 0 < overlap <= min(tile) // 2:
        raise GridError(
            f"overlap {overlap} does not fit tiles of {tile[0]} x {tile[1]}; "
            f"choose 1 to {min(tile) // 2}."
        )
    ramp = ramp or max(1, overlap // 2)
    height, width = domain.shape
    north, south = (_reach(border, overlap, factor) for border in (domain.north, domain.south))
    rows = _bounded(-north, height + south, tile[0], factor, overlap)
    if domain.wrap:
        columns = _periodic(width, tile[1], factor, overlap)
    else:
        columns = _bounded(0, width, tile[1], factor, overlap)
    return TilePlan(
        domain,
        AxisPlan(height, tile[0], ramp, rows, False),
        AxisPlan(width, tile[1], ramp, columns, domain.wrap),
    )


def _reach(border: Border, overlap: int, factor: int) -> int:
    """Return how far windows extend across a pole; 0 at an edge."""
    return 0 if border == "edge" else -(-overlap // 2 // factor) * factor


def _bounded(low: int, high: int, tile: int, factor: int, overlap: int) -> tuple[int, ...]:
    """Spread windows evenly from ``low`` until ``high`` is covered."""
    room = high - low - tile
    if room <= 0:
        return (low - (-room // 2) // factor * factor,)
    count = 1 - (-room // _stride(tile, factor, overlap))
    last = -(-room // factor)
    return tuple(low + round(index * last / (count - 1)) * factor for index in range(count))


def _periodic(size: int, tile: int, factor: int, overlap: int) -> tuple[int, ...]:
    """Spread windows evenly around a circle."""
    if size <= tile - overlap:
        return (-((tile - size) // 2) // factor * factor,)
    count = max(2, -(-size // _stride(tile, factor, overlap)))
    return tuple(round(index * size / factor / count) * factor for index in range(count))


def _stride(tile: int, factor: int, overlap: int) -> int:
    """Return the largest stride of windows, a multiple of the factor."""
    return max(1, (tile - overlap) // factor) * factor


def _rise(position: np.ndarray) -> np.ndarray:
    """Return a sine step from 0 at -1/2 to 1 at 1/2; it and its mirror image sum to 1."""
    return np.asarray(0.5 + 0.5 * np.sin(np.pi * np.clip(position, -0.5, 0.5)))
