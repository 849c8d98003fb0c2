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
from flexclim.verify.core import kernel
from flexclim.verify.core.align import check_coordinates, find_member
from flexclim.verify.core.geometry import area_weights

Weights = Literal["area"] | xr.DataArray | None
Dims = str | Iterable[Hashable] | None
# (members (M, ...), truth (...), weight (...), axes to sum, extra...) -> (kept..., length)
Summed = Callable[..., np.ndarray]
# (members (M, ...), truth (...), weight (...), extra...) -> known (...), (column, bin, amount)s
Binned = Callable[..., tuple[np.ndarray, Iterable[tuple[str, np.ndarray, np.ndarray]]]]
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
    return check_coordinates(weights, truth, "weights")


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
        As :func:`flexclim.verify.core.align.align` returns them; without members a field is an
        ensemble of one.
    statistics
        Names of :func:`flexclim.verify.core.kernel.point_statistics`.

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
    extra: xr.DataArray | None = None,
) -> xr.DataArray:
    """Add what ``summed`` returns for each block of points.

    Parameters
    ----------
    summed
        Called with members (M, block), truth (block), weight (block) and the axes to sum over;
        returns (kept block, length of the label).
    label
        Name and coordinate of the dimension that ``summed`` appends.
    extra
        A short 1-D array that ``summed`` needs too, such as bin edges, possibly lazy.
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
    more = () if extra is None else (extra.data,)
    if forecast.chunks is None and truth.chunks is None:
        arrays = (forecast.values, truth.values, weight.values, *more)
        total = sum_slabs(*arrays, summed=summed, over=over, length=len(values)).sum(axis=over)
    else:
        total = _dask_sums(forecast, truth, weight, more, summed, over, len(values))
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
    *extra: np.ndarray,
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
            *extra,
        )
        total[kept] += part.reshape(total[kept].shape)
    return total


def _dask_sums(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    weight: xr.DataArray,
    extra: tuple[Any, ...],
    summed: Summed,
    over: tuple[int, ...],
    length: int,
) -> Any:
    import dask.array as da

    members = gather_members(forecast)
    axes = tuple(range(truth.ndim))
    observed = da.asarray(truth.data).rechunk(members.chunks[1:])
    more = [part for array in extra for part in (da.asarray(array), (truth.ndim + 2,))]
    parts = da.blockwise(
        sum_slabs,
        (*axes, truth.ndim),
        members,
        (truth.ndim + 1, *axes),
        observed,
        axes,
        da.from_array(weight.values, chunks=-1) if weight.chunks is None else weight.data,
        axes,
        *more,
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


def sum_bins(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    binned: Binned,
    columns: Sequence[str],
    bins: int,
    *,
    weights: Weights,
    dim: Dims,
    extra: xr.DataArray | None = None,
) -> xr.Dataset:
    """Sort points into bins and add what they bring, in one or more columns.

    Parameters
    ----------
    binned
        Called with members (M, block), truth (block), weight (block) and ``extra``; returns which
        points count, and for these, as often as it likes, a column, each point's bin and what it
        adds there.

    Returns
    -------
    Dataset
        (kept dimensions..., bin) float64, a variable for each of ``columns``.
    """

    def summed(
        members: np.ndarray,
        observed: np.ndarray,
        weight: np.ndarray,
        over: tuple[int, ...],
        *more: np.ndarray,
    ) -> np.ndarray:
        index, count = kept_index(observed.shape, over)
        known, parts = binned(members, observed, weight, *more)
        first = np.broadcast_to(index * bins, observed.shape)[known]
        total = np.zeros((len(columns), count * bins))
        for column, place, amount in parts:
            row = total[columns.index(column)]
            row += np.bincount(first + place, amount, minlength=row.size)
        return total.reshape(len(columns), count, bins).swapaxes(0, 1).reshape(count, -1)

    label = ("cell", range(len(columns) * bins))
    cells = sum_blocks(forecast, truth, summed, label, weights=weights, dim=dim, extra=extra)
    cells = cells.drop_vars("cell").rename(cell="bin")
    return xr.Dataset(
        {n: cells.isel(bin=slice(i * bins, (i + 1) * bins)) for i, n in enumerate(columns)}
    )


def kept_index(shape: tuple[int, ...], over: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Return numbers of the kept cells of a block, to broadcast against it, and their count.

    >>> kept_index((2, 3), over=(1,))
    (array([[0],
           [1]]), 2)
    """
    sizes = [1 if axis in over else size for axis, size in enumerate(shape)]
    count = int(np.prod(sizes))
    return np.arange(count).reshape(sizes), count


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
