"""Weighted sums that add over blocks: the one way in which scores go through an ensemble.

A score is a statistic of each point, its weighted sum, and a ratio or root at the very end. Sums
over numpy arrays run slab by slab; over dask arrays each chunk gives its part and the parts add.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from flexclim.errors import AlignmentError, FlexclimError
from flexclim.verify import kernel
from flexclim.verify.align import find_member
from flexclim.verify.geometry import area_weights

Weights = Literal["area"] | xr.DataArray | None
Dims = str | Iterable[Hashable] | None
# (members (M, ...), truth (...), weight (...), kept axes) -> (length, kept sizes...)
Summed = Callable[[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]], np.ndarray]
CHUNK_BYTES = 48 * 2**20


def reduced_dims(dims: Sequence[Hashable], dim: Dims) -> tuple[Hashable, ...]:
    """Return the dimensions of ``dims`` that ``dim`` names: None all, () none.

    Raises
    ------
    FlexclimError
        If a name is not there.
    """
    if dim is None:
        return tuple(dims)
    wanted = (dim,) if isinstance(dim, str) else tuple(dim)
    if missing := [name for name in wanted if name not in dims]:
        raise FlexclimError(f"no dimension {missing[0]!r}: choose from {tuple(dims)}.")
    return wanted


def point_weights(truth: xr.DataArray, weights: Weights) -> xr.DataArray:
    """Return the weights of points as an array that broadcasts against ``truth``."""
    if weights is None:
        return xr.DataArray(1.0)
    if isinstance(weights, str):
        if weights != "area":
            raise FlexclimError(f"weights={weights!r} is unknown: use 'area', None or a DataArray.")
        return area_weights(truth)
    for name in weights.dims:
        if weights.sizes[name] != truth.sizes.get(name):
            raise AlignmentError(
                f"weights have {weights.sizes[name]} values along {name!r}, the fields "
                f"{truth.sizes.get(name, 'no such dimension')}. Give weights on the same grid."
            )
    return weights


def weighted_sums(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    statistics: Sequence[str],
    *,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """Sum statistics of each point over ``dim``.

    Parameters
    ----------
    forecast, truth
        As :func:`flexclim.verify.align.align` returns them; without members a field is an
        ensemble of one.
    statistics
        Names of :func:`flexclim.verify.kernel.point_statistics`.

    Returns
    -------
    DataArray
        (kept dimensions..., statistic), float64: the weighted sums and, named ``weight``, the
        sum of the weights of the points that count.
    """
    names = tuple(statistics)

    def summed(
        members: np.ndarray, truth: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        values, known = kernel.point_statistics(members, truth, names)
        weight = np.where(known, weight, 0.0)
        parts = [(value * weight).sum(axis=over) for value in values]
        return np.stack([*parts, weight.sum(axis=over)], axis=-1)

    return sum_blocks(
        forecast, truth, summed, ("statistic", [*names, "weight"]), weights=weights, dim=dim
    )


def sum_blocks(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    summed: Summed,
    label: tuple[str, Sequence[Any]],
    *,
    weights: Weights,
    dim: Dims,
) -> xr.DataArray:
    """Add what ``summed`` returns for each block of points.

    Parameters
    ----------
    summed
        Called with members (M, block), truth (block), weight (block) and the axes to sum over;
        returns (kept block, length of the label).
    label
        Name and coordinate of the dimension that ``summed`` appends.
    """
    member = find_member(forecast)
    if member is None:
        member = "_single"
        forecast = forecast.expand_dims(member)
    dims = truth.dims
    weight = point_weights(truth, weights)
    weight = weight.expand_dims([d for d in dims if d not in weight.dims]).transpose(*dims)
    over = tuple(dims.index(name) for name in reduced_dims(dims, dim))
    name, values = label
    if forecast.chunks is None and truth.chunks is None:
        total = sum_slabs(
            forecast.values, truth.values, weight.values, summed, over, len(values)
        ).sum(axis=over)
    else:
        total = _dask_sums(forecast, truth, weight, summed, over, len(values))
    kept = [d for axis, d in enumerate(dims) if axis not in over]
    result = xr.DataArray(total, dims=[*kept, name], coords={name: list(values)})
    return result.assign_coords(kept_coordinates(truth, kept))


def kept_coordinates(field: xr.DataArray, kept: Sequence[Hashable]) -> dict[Hashable, Any]:
    """Return the coordinates of ``field`` that need none but the dimensions ``kept``."""
    return {n: c.variable for n, c in field.coords.items() if set(c.dims) <= set(kept)}


def sum_slabs(
    members: np.ndarray,
    truth: np.ndarray,
    weight: np.ndarray,
    summed: Summed,
    over: tuple[int, ...],
    length: int,
) -> np.ndarray:
    """Sum one array in memory slab by slab; summed axes keep length 1."""
    shape = tuple(1 if axis in over else size for axis, size in enumerate(truth.shape))
    total = np.zeros((*shape, length))
    for slab in kernel.slabs(truth.shape):
        kept = tuple(slice(0, 1) if axis in over else part for axis, part in enumerate(slab))
        light = weight[
            tuple(s if n > 1 else slice(0, 1) for s, n in zip(slab, weight.shape, strict=True))
        ]
        part = summed(
            members[(slice(None), *slab)],
            truth[slab],
            np.broadcast_to(light, truth[slab].shape),
            over,
        )
        total[kept] += part.reshape(total[kept].shape)
    return total


def _dask_sums(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    weight: xr.DataArray,
    summed: Summed,
    over: tuple[int, ...],
    length: int,
) -> Any:
    import dask.array as da

    members = gather_members(forecast)
    axes = tuple(range(truth.ndim))
    observed = da.asarray(truth.data).rechunk(members.chunks[1:])
    parts = da.blockwise(
        _chunk_sums,
        (*axes, truth.ndim),
        members,
        (truth.ndim + 1, *axes),
        observed,
        axes,
        da.from_array(weight.values, chunks=-1) if weight.chunks is None else weight.data,
        axes,
        summed=summed,
        over=over,
        length=length,
        new_axes={truth.ndim: length},
        adjust_chunks={axis: (lambda size: 1) for axis in over},
        concatenate=True,
        dtype=float,
        meta=np.empty((0,) * (truth.ndim + 1)),
    )
    return parts.sum(axis=over)


def _chunk_sums(
    members: np.ndarray,
    truth: np.ndarray,
    weight: np.ndarray,
    *,
    summed: Summed,
    over: tuple[int, ...],
    length: int,
) -> np.ndarray:
    return sum_slabs(members, truth, weight, summed, over, length)


def gather_members(forecast: xr.DataArray) -> Any:
    """Return the dask array of ``forecast`` with all members of a point in one chunk.

    Stores keep one member a chunk as a rule; then points are cut so that a chunk of all members
    stays within a byte budget.
    """
    import dask.array as da

    array = da.asarray(forecast.data)
    if array.numblocks[0] == 1:
        return array
    per_point = array.shape[0] * array.dtype.itemsize
    steps, room = [], max(1, CHUNK_BYTES // per_point)
    for chunks in reversed(array.chunks[1:]):
        steps.append(max(1, min(max(chunks), room)))
        room = max(1, room // max(chunks))
    return array.rechunk((-1, *reversed(steps)))
