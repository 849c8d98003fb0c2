"""Lazy planes of which a slice is computed alone.

dask computes whole chunks, and takes slices of them afterwards. Where a part of a plane can be
computed on its own for less, an array that knows how to do so is asked for the part instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
from dask.array.slicing import normalize_index

Span = tuple[int, int]
Crop = Callable[[Span, Span], da.Array]


class _SameType(type(da.Array)):  # type: ignore[misc]
    """The type of a class that counts as dask's own where types are compared.

    xarray refuses to compute arrays of several chunked types together.
    """

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is da.Array

    def __hash__(cls) -> int:
        return hash(da.Array)


class CroppedArray(da.Array, metaclass=_SameType):
    """A dask array (..., y, x) whose slices along y and x are computed on their own.

    Operations other than slices return plain dask arrays.
    """

    crop: Crop

    @classmethod
    def of(cls, array: da.Array, crop: Crop) -> CroppedArray:
        """Return an array that calls ``crop`` for first and last rows and columns of a slice."""
        made: CroppedArray = cls(array.dask, array.name, array.chunks, meta=array._meta)
        made.crop = crop
        return made

    def __getitem__(self, index: Any) -> da.Array:
        """Return a slice, as dask does."""
        cropped, rest = self._cropped(index if isinstance(index, tuple) else (index,))
        whole = super().__getitem__
        found: da.Array = whole(index) if cropped is self else cropped[rest]  # type: ignore[no-untyped-call]
        return found

    def _cropped(self, index: tuple[Any, ...]) -> tuple[da.Array, tuple[Any, ...]]:
        """Return what holds a slice and little else, and the index of the slice within it."""
        if not all(one is Ellipsis or isinstance(one, slice | int | np.integer) for one in index):
            return self, index
        whole = normalize_index(index, self.shape)
        spans, rest = zip(*map(_span, whole[-2:], self.shape[-2:]), strict=True)
        if spans == tuple((0, size) for size in self.shape[-2:]) or any(a == b for a, b in spans):
            return self, index
        return self.crop(*spans), (*whole[:-2], *rest)


def mapped(function: Callable[[da.Array], da.Array], array: da.Array) -> da.Array:
    """Apply a function of each value, such as a conversion of units; slices stay on their own."""
    if not isinstance(array, CroppedArray):
        return function(array)
    crop = array.crop
    return CroppedArray.of(function(array), lambda y, x: mapped(function, crop(y, x)))


def _span(index: slice | int, size: int) -> tuple[Span, slice | int]:
    """Return the first and last position that an index needs, and the index within these."""
    if not isinstance(index, slice):
        return (int(index), int(index) + 1), 0
    positions = range(*index.indices(size))
    if not positions:
        return (0, 0), index
    low, high = min(positions[0], positions[-1]), max(positions[0], positions[-1])
    rest = slice(None, None, positions.step) if positions.step != 1 else slice(None)
    return (low, high + 1), rest
