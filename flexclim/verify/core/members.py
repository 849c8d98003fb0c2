"""Members of lazy ensembles: gathered, and averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

if TYPE_CHECKING:
    from dask.array import Array

CHUNK_BYTES = 48 * 2**20


def ensemble_mean(field: xr.DataArray, member: str | None) -> xr.DataArray:
    """Average over members in float64; NaN where a member is missing."""
    if member is None:
        return field
    if field.chunks is None:
        return field.mean(member, skipna=False, dtype=float)
    # A mean over chunks of single members would keep many of them until all are there.
    field = field.transpose(member, ...)
    mean = gather_members(field).mean(axis=0, dtype=float)
    return field.isel({member: 0}, drop=True).copy(data=mean).drop_attrs(deep=False)


def gather_members(forecast: xr.DataArray) -> Array:
    """Return the dask array of ``forecast`` with all members of a point in one chunk.

    Stores usually keep each member in a chunk of its own; points are then split so that a chunk of
    all members stays within ``CHUNK_BYTES``.
    """
    import dask.array as da

    array: Array = da.asarray(forecast.data)
    if array.numblocks[0] == 1:
        return array
    per_point = array.shape[0] * array.dtype.itemsize
    steps, room = [], max(1, CHUNK_BYTES // per_point)
    for chunks in reversed(array.chunks[1:]):
        steps.append(max(1, min(max(chunks), room)))
        room = max(1, room // max(chunks))
    whole: Array = array.rechunk((-1, *reversed(steps)))
    return whole
