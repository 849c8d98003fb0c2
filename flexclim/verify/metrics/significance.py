"""Significance of score differences between two forecasts, from their scores at each time.

Scores at neighbouring times are correlated, so blocks of times are resampled; and two forecasts
are compared at the same times, since some days are hard to predict for both.
"""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from scipy import stats

from flexclim.errors import AlignmentError, FlexclimError, suggest_options


@suggest_options
def bootstrap(
    scores: xr.DataArray,
    other: xr.DataArray | None = None,
    *,
    dim: str = "time",
    block: int | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Moving-block bootstrap of the mean of scores over time, or of a paired difference.

    Parameters
    ----------
    scores
        One score per time, such as ``verify.crps(..., dim=["lat", "lon"])``; other dimensions
        are kept.
    other
        The scores of another forecast at the same times: ``scores - other`` is resampled.
    dim
        The time dimension.
    block
        Block length; None: the cube root of the number of times, rounded up.
    resamples, level, seed
        Number of resamples, confidence level, and seed.

    Returns
    -------
    Dataset
        ``mean``, ``low`` and ``high`` ends of the interval, and the two-sided ``p``, twice the
        share of resamples on the other side of 0. NaN times are ignored.

    Raises
    ------
    FlexclimError
        If there are fewer than 3 times.
    AlignmentError
        If the times of the two differ.

    Notes
    -----
    Künsch (1989), Ann. Stat. 17; percentile interval, widened by the ratio of the quantiles of
    Student's t, for as many values as there are blocks, to those of the normal distribution.

    >>> scores = xr.DataArray([1.0, 2.0, 3.0, 2.0, 1.0, 3.0], dims=["time"])
    >>> found = bootstrap(scores, scores - 0.5)
    >>> float(found["mean"]), float(found.low), float(found.p)
    (0.5, 0.5, 0.0)
    """
    series = _difference(scores, other, dim)
    steps = series.sizes[dim]
    length = block or int(np.ceil(steps ** (1 / 3)))
    if not 1 <= length <= steps:
        raise FlexclimError(f"block={block} must lie between 1 and {steps}, the number of times.")
    rng = np.random.default_rng(seed)
    count = -(-steps // length)
    starts = rng.integers(0, steps - length + 1, size=(resamples, count))
    drawn = (starts[..., None] + np.arange(length)).reshape(resamples, -1)[:, :steps]
    found = xr.apply_ufunc(
        _judge,
        series,
        input_core_dims=[[dim]],
        output_core_dims=[[]] * 4,
        kwargs={"drawn": drawn, "length": length, "level": level},
        dask="parallelized",
        output_dtypes=[float] * 4,
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    parts = dict(zip(("mean", "low", "high", "p"), found, strict=True))
    units = scores.attrs.get("units", "1")
    return xr.Dataset(
        {
            name: part.assign_attrs(
                long_name=f"{name} of the difference" if other is not None else name,
                units="1" if name == "p" else units,
                block=length,
                level=level,
            )
            for name, part in parts.items()
        }
    )


def _judge(
    values: np.ndarray, drawn: np.ndarray, length: int, level: float
) -> tuple[np.ndarray, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all times missing
        mean = np.nanmean(values, axis=-1)
        means = np.nanmean(values[..., drawn], axis=-1)
    # A percentile interval of b blocks is too narrow, as if their variance were known.
    blocks = values.shape[-1] / length
    free = max(blocks - 1, 1.0)
    widened = stats.t.ppf((1 + level) / 2, free) / stats.norm.ppf((1 + level) / 2)
    means = mean[..., None] + (means - mean[..., None]) * widened * (blocks / free) ** 0.5
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    across = np.where(mean[..., None] > 0, means <= 0, means >= 0).mean(axis=-1)
    return mean, low, high, np.where(np.isnan(mean), np.nan, np.minimum(1.0, 2 * across))


@suggest_options
def diebold_mariano(
    scores: xr.DataArray, other: xr.DataArray, *, dim: str = "time", horizon: int = 1
) -> xr.Dataset:
    """Diebold-Mariano test that two forecasts have the same mean score.

    Parameters
    ----------
    scores, other
        Scores of two forecasts at the same times.
    dim
        The time dimension.
    horizon
        Forecast horizon in time steps: differences up to ``horizon - 1`` steps apart are assumed
        to be correlated.

    Returns
    -------
    Dataset
        ``mean`` difference, ``statistic`` (below 0 where ``scores`` are smaller) and two-sided
        ``p``; NaN where the estimated variance is not positive.

    Notes
    -----
    Diebold and Mariano (1995), J. Bus. Econ. Stat. 13, with the small-sample correction of
    Harvey, Leybourne and Newbold (1997), Int. J. Forecast. 13.

    >>> a = xr.DataArray([1.0, 2.0, 3.0, 2.5], dims=["time"])
    >>> b = xr.DataArray([2.0, 2.5, 3.5, 4.5], dims=["time"])
    >>> float(diebold_mariano(a, b).p.round(3))
    0.066
    """
    series = _difference(scores, other, dim)
    steps = series.sizes[dim]
    if not 1 <= horizon < steps:
        raise FlexclimError(
            f"horizon={horizon} must lie between 1 and {steps - 1} for {steps} times."
        )
    mean = series.mean(dim)
    around = series - mean
    variance = (around**2).mean(dim)
    for lag in range(1, horizon):
        shifted = (around * around.shift({dim: lag})).isel({dim: slice(lag, None)})
        variance = variance + 2 * shifted.sum(dim) / steps
    factor = (steps + 1 - 2 * horizon + horizon * (horizon - 1) / steps) / steps
    statistic = mean / (variance.where(variance > 0) / steps) ** 0.5 * factor**0.5
    p = 2 * xr.apply_ufunc(stats.t.sf, abs(statistic), steps - 1, dask="allowed")
    return xr.Dataset(
        {
            "mean": mean.assign_attrs(units=scores.attrs.get("units", "1"), long_name="difference"),
            "statistic": statistic.assign_attrs(units="1", long_name="Diebold-Mariano statistic"),
            "p": p.assign_attrs(units="1", long_name="two-sided p value"),
        }
    )


def _difference(scores: xr.DataArray, other: xr.DataArray | None, dim: str) -> xr.DataArray:
    if dim not in scores.dims:
        raise FlexclimError(f"no dimension {dim!r} in the scores: choose from {scores.dims}.")
    if scores.sizes[dim] < 3:
        raise FlexclimError(
            f"{scores.sizes[dim]} values along {dim!r} are too few to resample: give at least 3."
        )
    if other is None:
        return scores
    if dict(scores.sizes) != dict(other.sizes):
        raise AlignmentError(
            f"the scores have sizes {dict(scores.sizes)} and {dict(other.sizes)}. Score both "
            "forecasts at the same times."
        )
    for name in scores.indexes.keys() & other.indexes.keys():
        if not scores.indexes[name].equals(other.indexes[name]):
            raise AlignmentError(
                f"{name!r} of the two scores differs, first {scores[name].values[0]} and "
                f"{other[name].values[0]}. Score both forecasts at the same times."
            )
    return scores - other
