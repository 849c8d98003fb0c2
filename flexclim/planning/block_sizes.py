"""Chunks of lazy output along rows and columns, and which of them are computed together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from dask.array.core import normalize_chunks
from scipy import ndimage

from flexclim.errors import FlexclimError
from flexclim.grids.arguments import shown
from flexclim.planning.regions import PIXELS, Span

# The side of a chunk, at most, unless the input's chunks say otherwise, and at least.
LARGEST, SMALLEST = 512, 128
# The side of a chunk where points or regions are taken from the plane.
FEW = 64

Sizes = tuple[int, ...]
Chunks = Mapping[str, Any] | int | str | None
Block = tuple[int, int]


@dataclass(frozen=True)
class Box:
    """Stored rows and columns of the fine plane that one task computes.

    ``areas`` are rows and columns of the cells in it that are asked for.
    """

    rows: Span
    columns: Span
    areas: tuple[tuple[Span, Span], ...]


def block_sizes(
    shape: tuple[int, int], region: tuple[int, int], factor: int, given: Sequence[Sizes]
) -> tuple[Sizes, Sizes]:
    """Choose the chunks of a lazy plane: those of the input, if these are of a size.

    Parameters
    ----------
    shape
        Fine rows and columns.
    region
        Rows and columns that one task computes at most.
    factor
        Fine cells along one side of a coarse cell.
    given
        Sizes of the input's chunks along rows and columns.

    >>> block_sizes((721, 1440), (721, 1440), 4, [(181,), (360,)])
    ((364, 357), (480, 480, 480))
    >>> block_sizes((721, 1440), (721, 1440), 4, [(90, 91), (180, 180)])
    ((360, 361), (720, 720))
    """
    if max(map(len, given)) > 1:
        followed = tuple(
            _refined(sizes, size, factor) for sizes, size in zip(given, shape, strict=True)
        )
        if _sensible(followed, shape):
            return followed[0], followed[1]
    if shape[0] * shape[1] <= LARGEST**2:
        return (shape[0],), (shape[1],)
    return cut(shape, region, factor, LARGEST)


def cut(
    shape: tuple[int, int], region: tuple[int, int], factor: int, largest: int
) -> tuple[Sizes, Sizes]:
    """Cut a plane into even chunks of at most ``largest`` cells along rows and columns."""
    rows, columns = (_cut(*pair, factor, largest) for pair in zip(shape, region, strict=True))
    return rows, columns


def asked_sizes(
    chunks: Chunks, chosen: tuple[Sizes, Sizes], shape: tuple[int, int], plane: tuple[str, str]
) -> tuple[Sizes, Sizes]:
    """Return the chunks of a plane that the user asks for, elsewhere those that were chosen.

    Parameters
    ----------
    chunks
        As for ``xarray.DataArray.chunk``.
    plane
        Names of rows and columns.

    Raises
    ------
    FlexclimError
        If they do not fit.
    """
    sizes = []
    for dim, own, size in zip(plane, chosen, shape, strict=True):
        asked = chunks.get(dim) if isinstance(chunks, Mapping) else chunks
        try:
            found = own if asked in (None, "auto") else normalize_chunks((asked,), (size,))[0]
        except (TypeError, ValueError) as error:
            raise FlexclimError(
                f"chunks={shown(chunks)} does not fit {size} cells along {dim!r}: {error}"
            ) from None
        sizes.append(tuple(map(int, found)))
    return sizes[0], sizes[1]


def boxes_of(
    blocks: Iterable[Block], ends: Sequence[np.ndarray], region: tuple[int, int]
) -> dict[Block, Box]:
    """Return for each chunk that is asked for the box that it is computed in.

    Chunks of one plane are computed together, since they may depend on the same windows. If all are
    asked for, boxes are the regions of the plane.

    Parameters
    ----------
    blocks
        Numbers of chunks along rows and columns.
    ends
        The first row, or column, and the ends of all chunks.
    region
        Rows and columns that one task computes at most.

    >>> ends = [np.array([0, 8, 16]), np.array([0, 8, 16, 24])]
    >>> boxes_of([(0, 0), (0, 1)], ends, (16, 24))[0, 1]
    Box(rows=(0, 8), columns=(0, 16), areas=(((0, 8), (0, 16)),))
    """
    asked = np.zeros([len(one) - 1 for one in ends], bool)
    asked[tuple(zip(*blocks, strict=True))] = True
    down, across = ndimage.find_objects(asked.astype(int))[0]
    height, width = (
        end[part.stop] - end[part.start] for end, part in zip(ends, (down, across), strict=True)
    )
    largest = (height, width) if height * width <= PIXELS else region
    pieces = (
        _pieces(end, part, side)
        for end, part, side in zip(ends, (down, across), largest, strict=True)
    )
    found: dict[Block, Box] = {}
    for in_rows, in_columns in itertools.product(*pieces):
        inside = [block for block in itertools.product(in_rows, in_columns) if asked[block]]
        if inside:
            found |= dict.fromkeys(inside, _box(inside, ends))
    return found


def _box(blocks: Sequence[Block], ends: Sequence[np.ndarray]) -> Box:
    """Return the smallest box that holds some chunks, which are in order."""
    rows, columns = (
        (int(end[min(numbers)]), int(end[max(numbers) + 1]))
        for end, numbers in zip(ends, zip(*blocks, strict=True), strict=True)
    )
    areas = []
    for row, of_row in itertools.groupby(blocks, key=itemgetter(0)):
        numbers = [column for _, column in of_row]
        for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
            areas.append(
                (
                    (int(ends[0][row]), int(ends[0][row + 1])),
                    (int(ends[1][run[0]]), int(ends[1][run[-1] + 1])),
                )
            )
    cells = sum((down[1] - down[0]) * (across[1] - across[0]) for down, across in areas)
    full = cells == (rows[1] - rows[0]) * (columns[1] - columns[0])
    return Box(rows, columns, ((rows, columns),) if full else tuple(areas))


def _pieces(ends: np.ndarray, part: slice, side: int) -> list[range]:
    """Cut consecutive chunks into pieces of at most ``side`` cells, or of one chunk."""
    pieces, first = [], part.start
    for stop in range(part.start + 1, part.stop + 1):
        if stop == part.stop or ends[stop + 1] - ends[first] > side:
            pieces.append(range(first, stop))
            first = stop
    return pieces


def _refined(sizes: Sizes, size: int, factor: int) -> Sizes:
    """Return the fine sizes of coarse chunks; the last holds what is left, or lacks."""
    *first, _ = (one * factor for one in sizes)
    return (*first, size - sum(first))


def _sensible(sizes: tuple[Sizes, ...], shape: tuple[int, int]) -> bool:
    small = any(max(one) < min(SMALLEST, size) for one, size in zip(sizes, shape, strict=True))
    least = min(map(min, sizes))
    return not small and least > 0 and max(sizes[0]) * max(sizes[1]) <= PIXELS


def _cut(size: int, region: int, factor: int, largest: int) -> Sizes:
    """Cut an axis into even chunks that divide a region."""
    if region < size:
        side = max(n for n in range(1, largest + 1) if region % n == 0)
    else:
        side = -(-size // -(-size // largest))
        side = -(-side // factor) * factor
    return tuple(min(side, size - first) for first in range(0, size, side))
