"""Additive weighted sums over blocks of points, from which scores are computed.

A score is a statistic of each point, its weighted sum, and at the very end a ratio or a root.
numpy arrays are summed block by block; each chunk of a dask array gives a partial sum, and the
partial sums add up.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from flexclim.verify.core import kernel
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.members import gather_members

if TYPE_CHECKING:
    from dask.array import Array

# (members (M, ...), truth (...), weight (...), axes to sum, extra...) -> (kept..., length)
Summed = Callable[..., np.ndarray]
# Of the points that count: a column, the bin of each point, and the amount to add there.
Contribution = tuple[str, np.ndarray, np.ndarray]
# (members (M, ...), truth (...), weight (...), extra...) -> known (...), contributions
Binned = Callable[..., tuple[np.ndarray, Iterable[Contribution]]]


def weighted_sums(
    pair: Pair, statistics: Sequence[str], *, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Sum statistics of each point over ``dim``.

    Parameters
    ----------
    pair
        A single field counts as an ensemble of one member.
    statistics
        Names from :func:`flexclim.verify.core.kernel.point_statistics`.

    Returns
    -------
    DataArray
        (kept dimensions..., statistic), float64: the weighted sums and, named ``weight``, the
        total weight of the points that count.
    """
    names = tuple(statistics)

    def summed(
        members: np.ndarray, truth: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        values, known = kernel.point_statistics(members, truth, names)
        weight = np.where(known, weight, 0.0)
        parts = [(value * weight).sum(axis=over) for value in values]
        return np.stack([*parts, weight.sum(axis=over)], axis=-1)

    label = ("statistic", [*names, "weight"])
    return sum_blocks(pair, summed, label, weights=weights, dim=dim)


def sum_blocks(
    pair: Pair,
    summed: Summed,
    label: tuple[str, Sequence[Hashable]],
    *,
    weights: Weights,
    dim: Dims,
    extra: xr.DataArray | None = None,
) -> xr.DataArray:
    """Add up what ``summed`` returns for each block of points.

    Parameters
    ----------
    summed
        Called with members (M, block), truth (block), weight (block) and the axes to sum over;
        returns (kept block, length of the label).
    label
        Name and coordinate of the dimension that ``summed`` appends.
    extra
        A short 1-D array passed on to ``summed``, such as bin edges; may be lazy.

    Returns
    -------
    DataArray
        (kept dimensions..., label), float64; lazy if a field is.
    """
    fields = block_fields(pair, weights)
    over = tuple(map(pair.truth.dims.index, pair.reduced_dims(dim)))
    more = () if extra is None else (extra.data,)
    total: np.ndarray | Array
    if pair.lazy or fields[-1].chunks is not None:
        total = _dask_sums(fields, more, summed, over, len(label[1]))
    else:
        arrays = [field.values for field in fields]
        total = sum_slabs(*arrays, *more, summed=summed, over=over, length=len(label[1])).sum(over)
    return labelled(total, pair.truth, over, label)


def block_fields(pair: Pair, weights: Weights) -> tuple[xr.DataArray, ...]:
    """Return members (M, ...), truth (...), and weights with every dimension of the truth."""
    members = pair.forecast if pair.member is not None else pair.forecast.expand_dims("_single")
    dims, weight = pair.truth.dims, pair.point_weights(weights)
    weight = weight.expand_dims([d for d in dims if d not in weight.dims]).transpose(*dims)
    return members, pair.truth, weight


def labelled(
    total: np.ndarray | Array,
    truth: xr.DataArray,
    over: tuple[int, ...],
    label: tuple[str, Sequence[Hashable]],
) -> xr.DataArray:
    """Return (kept..., label) as a DataArray with the truth's coordinates that are left."""
    kept = [d for axis, d in enumerate(truth.dims) if axis not in over]
    coords = {n: c.variable for n, c in truth.coords.items() if set(c.dims) <= set(kept)}
    result = xr.DataArray(total, dims=[*kept, label[0]], coords={label[0]: list(label[1])})
    return result.assign_coords(coords)


def sum_slabs(
    members: np.ndarray,
    truth: np.ndarray,
    weight: np.ndarray,
    *extra: np.ndarray,
    summed: Summed,
    over: tuple[int, ...],
    length: int,
) -> np.ndarray:
    """Sum arrays in memory block by block; summed axes keep length 1."""
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
    fields: tuple[xr.DataArray, ...],
    extra: tuple[np.ndarray | Array, ...],
    summed: Summed,
    over: tuple[int, ...],
    length: int,
) -> Array:
    import dask.array as da

    count = fields[1].ndim
    more = [part for array in extra for part in (da.asarray(array), (count + 2,))]
    parts: Array = da.blockwise(
        sum_slabs,
        (*range(count), count),
        *block_arguments(fields),
        *more,
        summed=summed,
        over=over,
        length=length,
        new_axes={count: length},
        adjust_chunks={axis: (lambda size: 1) for axis in over},
        concatenate=True,
        dtype=float,
        meta=np.empty((0,) * (count + 1)),
    )
    total: Array = parts.sum(axis=over)
    return total


def block_arguments(fields: tuple[xr.DataArray, ...]) -> list[Any]:
    """Return lazy members, truth and weights, each followed by its axes for ``blockwise``.

    The members have the axis after that of an appended dimension.
    """
    import dask.array as da

    forecast, truth, weight = fields
    axes = tuple(range(truth.ndim))
    members = gather_members(forecast)
    observed = da.asarray(truth.data).rechunk(members.chunks[1:])
    if weight.chunks is None:
        light = da.from_array(weight.values, chunks=-1)
    else:
        light = weight.data.rechunk(
            {a: members.chunks[a + 1] for a in axes if weight.shape[a] == truth.shape[a]}
        )
    return [members, (truth.ndim + 1, *axes), observed, axes, light, axes]


def sum_bins(
    pair: Pair,
    binned: Binned,
    columns: Sequence[str],
    bins: int,
    *,
    weights: Weights,
    dim: Dims,
    extra: xr.DataArray | None = None,
) -> xr.Dataset:
    """Sort points into bins and add up their contributions, in one or more columns.

    Parameters
    ----------
    binned
        Called with members (M, block), truth (block), weight (block) and ``extra``; returns which
        points count and, for these, any number of triples: a column, the bin of each point and
        its contribution.

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
    cells = sum_blocks(pair, summed, label, weights=weights, dim=dim, extra=extra)
    cells = cells.drop_vars("cell").rename(cell="bin")
    return xr.Dataset(
        {n: cells.isel(bin=slice(i * bins, (i + 1) * bins)) for i, n in enumerate(columns)}
    )


def kept_index(shape: tuple[int, ...], over: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Return consecutive numbers of the kept cells of a block, to broadcast, and their count.

    >>> kept_index((2, 3), over=(1,))
    (array([[0],
           [1]]), 2)
    """
    sizes = [1 if axis in over else size for axis, size in enumerate(shape)]
    count = int(np.prod(sizes))
    return np.arange(count).reshape(sizes), count
