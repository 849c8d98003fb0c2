"""Fitting and adjusting lazily, in blocks of cells that hold all times."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from functools import partial
from math import prod

import numpy as np
import xarray as xr

from flexclim.adjusting.fitted_quantiles import PART, QUANTILE, FittedVariable
from flexclim.adjusting.quantile_mapping import (
    Treatment,
    adjust_series,
    fit_quantiles,
    without_traces,
)
from flexclim.adjusting.seasons import Seasons, Window
from flexclim.adjusting.time_series import Reading, Series
from flexclim.errors import warn

# Values of a block of dask, whatever their number of years; cells that are worked on at once.
BLOCK, AT_ONCE = 2**21, 64

Chunks = Mapping[Hashable, tuple[int, ...] | int]


def blocks_of(series: Series) -> Chunks:
    """Return chunks of whole series: those of the field or parts of them, or new ones."""
    field, time = series.field, series.time
    left = max(BLOCK // field.sizes[time], 1)
    if field.chunks is not None:
        own = dict(field.variable.chunksizes)
        if len(own.pop(time)) == 1:
            largest = {dim: max(sizes) for dim, sizes in own.items()}
            while prod(largest.values()) > left:
                widest = max(largest, key=largest.__getitem__)
                largest[widest] = -(-largest[widest] // 2)
            return {dim: _parts(sizes, largest[dim]) for dim, sizes in own.items()}
    chunks: dict[Hashable, int] = {}
    for dim in reversed(field.dims[:-1]):
        chunks[dim] = min(field.sizes[dim], left)
        left = max(left // chunks[dim], 1)
    return chunks


def _parts(sizes: tuple[int, ...], most: int) -> tuple[int, ...]:
    """Return sizes of chunks, those above ``most`` in parts.

    >>> _parts((8, 8, 3), 5)
    (5, 3, 5, 3, 3)
    """
    return tuple(min(most, size - start) for size in sizes for start in range(0, size, most))


def fit(
    series: Series, window: Window, treatment: Treatment, count: int, chunks: Chunks, seed: int
) -> xr.DataArray:
    """Return the lazy quantiles (..., part of the year, quantile) of series."""
    whole = in_blocks(series, chunks)
    quantiles = partial(
        _quantiles,
        reading=series.reading,
        seasons=Seasons.of(series.times, window),
        window=window,
        trace=treatment.trace,
        count=count,
        seed=seed,
    )
    sizes: dict[Hashable, int] = {PART: window.parts, QUANTILE: count}
    return over_blocks(quantiles, [whole], [(series.time,)], tuple(sizes), sizes)


def _quantiles(
    values: np.ndarray,
    numbers: np.ndarray,
    *,
    reading: Reading,
    seasons: Seasons,
    window: Window,
    trace: float,
    count: int,
    seed: int,
) -> np.ndarray:
    """Return quantiles of series (C, T)."""
    full = without_traces(reading(values), trace, numbers, seed)
    return fit_quantiles(full, seasons, window, count)


def adjust(
    series: Series, fitted: FittedVariable, window: Window, period: int, chunks: Chunks, seed: int
) -> xr.DataArray:
    """Return the lazy adjusted series (..., time)."""
    whole = in_blocks(series, chunks)
    whole_tables: Chunks = {**chunks, PART: -1, QUANTILE: -1}
    tables = [
        xr.DataArray(one.variable).chunk({d: n for d, n in whole_tables.items() if d in one.dims})
        for one in (fitted.reference, fitted.historical)
    ]
    adjusted = partial(
        _adjusted,
        reading=series.reading,
        seasons=Seasons.of(series.times, window),
        window=window,
        treatment=fitted.treatment,
        period=period,
        seed=seed,
        name=str(series.field.name),
    )
    cores = (series.time,), (PART, QUANTILE), (PART, QUANTILE)
    return over_blocks(adjusted, [whole, *tables], cores, (series.time,))


def _adjusted(
    values: np.ndarray,
    reference: np.ndarray,
    historical: np.ndarray,
    numbers: np.ndarray,
    *,
    reading: Reading,
    seasons: Seasons,
    window: Window,
    treatment: Treatment,
    period: int,
    seed: int,
    name: str,
) -> np.ndarray:
    """Return adjusted series (C, T)."""
    read = reading(values)
    present = np.unique(seasons.parts)
    _warn(read, reference[:, present], historical[:, present], treatment, name)
    full = without_traces(read, treatment.trace, numbers, seed)
    return adjust_series(full, reference, historical, seasons, window, treatment, period)


def in_blocks(series: Series, chunks: Chunks) -> xr.DataArray:
    """Return a field (..., time) in blocks that hold all times."""
    own = {dim: size for dim, size in chunks.items() if dim in series.field.dims}
    return series.field.chunk({**own, series.time: -1})


def cell_numbers(field: xr.DataArray, other: Collection[Hashable]) -> xr.DataArray:
    """Return numbers of the cells, so that random numbers don't depend on blocks.

    ``other`` are the dimensions of a field that are not those of its cells.
    """
    sizes = {dim: size for dim, size in field.sizes.items() if dim not in other}
    found = np.arange(prod(sizes.values())).reshape(tuple(sizes.values()))
    return xr.DataArray(found, dims=tuple(sizes))


def _warn(
    values: np.ndarray,
    reference: np.ndarray,
    historical: np.ndarray,
    treatment: Treatment,
    name: str,
) -> None:
    """Warn of cells that can't be adjusted, or only by chance."""
    known = ~np.isnan(values).all(axis=1)
    empty = (np.isnan(reference) | np.isnan(historical)).all(axis=2).any(axis=1)
    if (known & empty).any():
        warn(
            f"{name!r} is NaN in cells and seasons in which the reference or the historical run "
            "has no values. Pass fields that cover the model's cells and seasons, or fill them."
        )
    if treatment.trace:
        past, there = ((one > treatment.trace).any(axis=(1, 2)) for one in (historical, reference))
        if (known & ~past & there).any():
            warn(
                f"{name!r} of the historical run is dry throughout (below {treatment.trace:.3g}) "
                "in cells where the reference is not: wet days fall on random dates there. Check "
                "its units, or mask these cells."
            )


def over_blocks(
    function: Callable[..., np.ndarray],
    arrays: Sequence[xr.DataArray],
    cores: Sequence[tuple[Hashable, ...]],
    output: tuple[Hashable, ...],
    sizes: Mapping[Hashable, int] | None = None,
) -> xr.DataArray:
    """Apply a function to some cells at once, block by block, lazily.

    Parameters
    ----------
    function
        Of arrays (C, ...) and the numbers of the cells (C,); its result is (C, ...).
    arrays, cores
        Arrays, and the dimensions of each besides those of cells; the first has all cells.
    output, sizes
        Dimensions of the result besides those of cells, with the sizes of new ones.
    """
    first = arrays[0]
    result: xr.DataArray = xr.apply_ufunc(
        partial(_by_cells, function, (*map(len, cores), 0)),
        *arrays,
        cell_numbers(first, cores[0]),
        input_core_dims=[*cores, ()],
        output_core_dims=[output],
        dask="parallelized",
        output_dtypes=[first.dtype],
        dask_gufunc_kwargs={"output_sizes": dict(sizes or {})},
    )
    return result


def _by_cells(
    function: Callable[..., np.ndarray], cores: tuple[int, ...], *arrays: np.ndarray
) -> np.ndarray:
    """Apply a function of arrays (C, ...) to some cells at once.

    ``cores`` are the numbers of dimensions of each array besides those of cells, which the last
    array has all of.
    """
    lead = arrays[-1].shape
    wide = [
        np.broadcast_to(one, (*lead, *one.shape[one.ndim - core :]))
        for one, core in zip(arrays, cores, strict=True)
    ]
    parts = []
    for first in range(0, prod(lead), AT_ONCE):
        cells = np.unravel_index(np.arange(first, min(first + AT_ONCE, prod(lead))), lead)
        parts.append(function(*(one[cells] for one in wide)))
    joined = np.concatenate(parts)
    return joined.reshape(*lead, *joined.shape[1:])
