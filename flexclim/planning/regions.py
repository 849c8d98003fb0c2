"""Regions of a field that is too large for memory: chunks that are computed one by one.

A global field is cut into bands of rows, so that columns still wrap and cells across a pole are
available.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from flexclim.grids.domain import Domain
from flexclim.grids.grid import Grid

Span = tuple[int, int]
# Fine cells of a region, and the divisor of its sides; larger regions recompute less.
PIXELS, MULTIPLE = 2048**2, 256
# Minimum rows of a global band: narrow bands would recompute much of their neighbours.
BAND = 768


@dataclass(frozen=True)
class Region:
    """One chunk of the output: ``rows`` and ``columns`` are canonical fine cells.

    On a globe columns may reach beyond the last one.
    """

    index: tuple[int, int]
    rows: Span
    columns: Span


def region_shape(fine: Domain, pixels: int = PIXELS) -> tuple[int, int]:
    """Return the shape of the regions of a fine domain; a small domain is one region.

    >>> region_shape(Domain(shape=(8000, 8000)))
    (2048, 2048)
    >>> region_shape(Domain(shape=(7200, 14400), wrap=True))
    (768, 14400)
    >>> region_shape(Domain(shape=(721, 1440), wrap=True))
    (721, 1440)
    """
    height, width = fine.shape
    if height * width <= pixels:
        return height, width
    if fine.wrap:
        return _side(height, max(BAND, pixels / width)), width
    columns = _side(width, max(math.sqrt(pixels), pixels / height))
    return _side(height, pixels / columns), columns


def regions(grid: Grid, shape: tuple[int, int]) -> list[Region]:
    """Cut a fine grid into regions of ``shape``, in stored order."""
    height, width = grid.domain.shape
    return [
        Region((row, column), rows, columns)
        for row, rows in enumerate(_cut(height, shape[0], grid.flip_y))
        for column, columns in enumerate(_cut(width, shape[1], grid.flip_x))
    ]


def along(span: Span, size: int, flipped: bool) -> Span:
    """Return the canonical span of a stored one, or the other way round."""
    return (size - span[1], size - span[0]) if flipped else span


def _cut(size: int, side: int, flipped: bool) -> list[Span]:
    """Cut an axis in stored order and return canonical spans."""
    spans = [(first, min(first + side, size)) for first in range(0, size, side)]
    return [along(span, size, flipped) for span in spans]


def _side(size: int, wanted: float) -> int:
    """Return the multiple of ``MULTIPLE`` that cuts ``size`` most evenly, near ``wanted``."""
    largest = max(MULTIPLE, int(wanted) // MULTIPLE * MULTIPLE)
    parts = -(-size // largest)
    return min(size, -(-size // parts // MULTIPLE) * MULTIPLE)
