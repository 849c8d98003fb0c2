"""Values of each cell over years as one array in memory, from which statistics are computed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import prod

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from flexclim.cf.ensembles import REALIZATION
from flexclim.verify.climate.yearly_series import TIME

CHUNK_BYTES = 64 * 2**20


def by_cell(
    field: xr.DataArray,
    function: Callable[[np.ndarray], np.ndarray],
    label: tuple[str, Sequence[Hashable]],
    *,
    pooled: bool = True,
) -> xr.DataArray:
    """Apply a function to all values of a cell: of all times and, where ``pooled``, members.

    Parameters
    ----------
    field
        From :func:`flexclim.verify.climate.yearly_series.time_series`.
    function
        Called with (..., member, time), or (..., time) if not ``pooled``; returns (..., length of
        the label). A field without members has one to be pooled.
    label
        Name and coordinate of the dimension that ``function`` appends.

    Returns
    -------
    DataArray
        (..., label) float64 without times and pooled members; lazy if the field is, with as many
        cells a chunk as 64 MiB of values allow.
    """
    if pooled and REALIZATION not in field.dims:
        field = field.expand_dims(REALIZATION)
    core = [REALIZATION, TIME] if pooled else [TIME]
    field = field.transpose(..., *core)
    if field.chunks is not None:
        field = field.chunk(_chunks(field, core))
    result: xr.DataArray = xr.apply_ufunc(
        function,
        field,
        input_core_dims=[core],
        output_core_dims=[[label[0]]],
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {label[0]: len(label[1])}},
    )
    return result.assign_coords({label[0]: np.array(label[1])})


def _chunks(field: xr.DataArray, core: Sequence[str]) -> dict[Hashable, int]:
    """Return the sizes of chunks that hold whole dimensions ``core`` of some cells."""
    room = CHUNK_BYTES // (prod(field.sizes[dim] for dim in core) * field.dtype.itemsize)
    sizes: dict[Hashable, int] = dict.fromkeys(core, -1)
    assert field.chunks is not None
    for dim, known in reversed(list(zip(field.dims, field.chunks, strict=True))):
        if dim not in sizes:
            sizes[dim] = max(1, min(max(known), room))
            room //= sizes[dim]
    return sizes


def sorted_quantiles(values: np.ndarray, levels: ArrayLike) -> np.ndarray:
    """Return quantiles along the last axis, interpolated linearly; NaN are left out.

    >>> sorted_quantiles(np.array([[3.0, np.nan, 1.0], [np.nan] * 3]), [0.25, 1])
    array([[1.5, 3. ],
           [nan, nan]])
    """
    ordered = np.sort(values, axis=-1)  # NaN last
    count = np.isfinite(values).sum(axis=-1)[..., None]
    place = np.asarray(levels) * np.maximum(count - 1, 0)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    left, right = (np.take_along_axis(ordered, i, axis=-1).astype(float) for i in (low, high))
    return np.asarray(left + (right - left) * (place - low))
