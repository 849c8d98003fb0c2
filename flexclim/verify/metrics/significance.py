"""Significance of score differences between two forecasts, from their scores at each time.

Scores at neighbouring times are correlated, so blocks of times are resampled; and two forecasts
are compared at the same times, since some days are hard to predict for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real

import numpy as np
import xarray as xr
from scipy import stats

from flexclim.errors import AlignmentError, FlexclimError, suggest_options
from flexclim.verify.core.alignment import same_units
from flexclim.verify.core.matching import check_coordinates
from flexclim.verify.core.numbers import as_numbers
from flexclim.verify.core.option_checks import check_count, check_seed
from flexclim.verify.metrics.block_length import optimal_block


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
        Block length, at most half the number of times; None: chosen for each series from its
        autocorrelation.
    resamples, level, seed
        Number of resamples, confidence level, and seed.

    Returns
    -------
    Dataset
        ``mean``, ``low`` and ``high`` ends of the interval, the two-sided ``p``, twice the
        share of resamples on the other side of 0, and the length of a ``block``. NaN times of a
        series are left out, as if those around them followed each other; NaN where fewer than 3
        times, or than two blocks, remain.

    Raises
    ------
    FlexclimError
        If there are fewer than 3 times, or fewer than two blocks.
    AlignmentError
        If the times of the two differ.

    Notes
    -----
    Künsch (1989), Ann. Stat. 17; percentile interval, widened by the ratio of the quantiles of
    Student's t, for as many values as there are blocks, to those of the normal distribution.
    Block length: Politis and White (2004), Econom. Rev. 23, corrected by Patton, Politis and White
    (2009), Econom. Rev. 28.

    >>> scores = xr.DataArray([1.0, 2.0, 3.0, 2.0, 1.0, 3.0], dims=["time"])
    >>> found = bootstrap(scores, scores - 0.5)
    >>> float(found["mean"]), float(found.low), float(found.p)
    (0.5, 0.5, 0.0)
    """
    series = _difference(scores, other, dim)
    steps = series.sizes[dim]
    if block is not None:
        _check_whole("block", block, steps // 2, f"half of {steps} times")
    resamples, seed = check_count("resamples", resamples), check_seed(seed)
    if not (isinstance(level, Real) and 0 < level < 1):
        raise FlexclimError(f"level={level!r} must lie between 0 and 1, such as 0.95.")
    resample = Resample(block=block, resamples=resamples, level=level, seed=seed)
    names = ("mean", "low", "high", "p", "block")
    parts = _by_series(series, dim, resample, len(names))
    units = scores.attrs.get("units", "1")
    return xr.Dataset(
        {
            name: part.assign_attrs(
                long_name=f"{name} of the difference" if other is not None else name,
                units="1" if name in ("p", "block") else units,
                level=level,
            )
            for name, part in zip(names, parts, strict=True)
        }
    )


@dataclass(frozen=True, kw_only=True)
class Resample:
    """Settings of a bootstrap, as in :func:`bootstrap`; resamples series without gaps."""

    block: int | None
    resamples: int
    level: float
    seed: int

    def __call__(self, series: np.ndarray) -> np.ndarray:
        """Return mean, low, high, p and block, (5, series), of series (series, time)."""
        steps = series.shape[-1]
        found = np.full((5, len(series)), np.nan)
        if steps < 3:
            return found
        lengths = [self.block or optimal_block(values) for values in series]
        # The same draws for all series: their differences are not due to chance.
        draws = {
            length: self._draw(steps, length) for length in set(lengths) if length <= steps / 2
        }
        for row, (values, length) in enumerate(zip(series, lengths, strict=True)):
            if length in draws:
                found[:, row] = *self._judge(values, values[draws[length]], length), length
        return found

    def _draw(self, steps: int, length: int) -> np.ndarray:
        """Return (resample, time) indices of whole blocks."""
        rng = np.random.default_rng(self.seed)
        count = -(-steps // length)
        starts = rng.integers(0, steps - length + 1, size=(self.resamples, count))
        return (starts[..., None] + np.arange(length)).reshape(self.resamples, -1)[:, :steps]

    def _judge(
        self, values: np.ndarray, drawn: np.ndarray, length: int
    ) -> tuple[float, float, float, float]:
        mean, means = values.mean(), drawn.mean(axis=-1)
        # A percentile interval of b blocks is too narrow, as if their variance were known.
        blocks = values.size / length
        free = max(blocks - 1, 1.0)
        tail = (1 + self.level) / 2
        widened = stats.t.ppf(tail, free) / stats.norm.ppf(tail)
        means = mean + (means - mean) * widened * (blocks / free) ** 0.5
        low, high = np.quantile(means, [(1 - self.level) / 2, tail])
        across = (means <= 0 if mean > 0 else means >= 0).mean()
        return mean, low, high, min(1.0, 2 * across)


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
        ``p``; NaN where the estimated variance is not positive. NaN times of a series are left
        out, as if those around them followed each other; NaN where fewer than 3 times, or no more
        than ``horizon``, remain.

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
    _check_whole("horizon", horizon, steps - 1, f"one less than {steps} times")
    mean, statistic, p = _by_series(series, dim, partial(_diebold_mariano, horizon=horizon), 3)
    return xr.Dataset(
        {
            "mean": mean.assign_attrs(units=scores.attrs.get("units", "1"), long_name="difference"),
            "statistic": statistic.assign_attrs(units="1", long_name="Diebold-Mariano statistic"),
            "p": p.assign_attrs(units="1", long_name="two-sided p value"),
        }
    )


def _diebold_mariano(series: np.ndarray, horizon: int) -> np.ndarray:
    """Return mean, statistic and p, (3, series), of series (series, time) without gaps."""
    steps = series.shape[-1]
    if steps < max(3, horizon + 1):
        return np.full((3, len(series)), np.nan)
    mean = series.mean(axis=-1)
    around = series - mean[:, None]
    variance = (around**2).mean(axis=-1)
    for lag in range(1, horizon):
        variance = variance + 2 * (around[:, lag:] * around[:, :-lag]).sum(axis=-1) / steps
    factor = (steps + 1 - 2 * horizon + horizon * (horizon - 1) / steps) / steps
    positive = np.where(variance > 0, variance, np.nan)
    statistic = mean / (positive / steps) ** 0.5 * factor**0.5
    return np.stack([mean, statistic, 2 * stats.t.sf(np.abs(statistic), steps - 1)])


def _by_series(
    scores: xr.DataArray, dim: str, judge: Callable[[np.ndarray], np.ndarray], count: int
) -> tuple[xr.DataArray, ...]:
    """Apply ``judge``, (series, time) to (count, series), after leaving out the NaN of each."""

    def judged(values: np.ndarray) -> tuple[np.ndarray, ...]:
        series = values.reshape(-1, values.shape[-1])
        known = ~np.isnan(series)
        sizes = known.sum(axis=-1)
        found = np.empty((count, len(series)))
        for size in np.unique(sizes):
            rows = sizes == size
            found[:, rows] = judge(series[rows][known[rows]].reshape(rows.sum(), size))
        return tuple(found.reshape(count, *values.shape[:-1]))

    found: tuple[xr.DataArray, ...] = xr.apply_ufunc(
        judged,
        scores.astype(float),
        input_core_dims=[[dim]],
        output_core_dims=[[]] * count,
        dask="parallelized",
        output_dtypes=[float] * count,
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    return found


def _check_whole(name: str, value: int, most: int | None = None, why: str = "") -> None:
    if isinstance(value, Integral) and 1 <= value <= (value if most is None else most):
        return
    limit = "at least 1" if most is None else f"between 1 and {most}, {why}"
    raise FlexclimError(f"{name}={value!r} must be a whole number, {limit}.")


def _difference(scores: xr.DataArray, other: xr.DataArray | None, dim: str) -> xr.DataArray:
    scores = as_numbers(scores, "array of scores")
    if dim not in scores.dims:
        raise FlexclimError(f"no dimension {dim!r} in the scores: choose from {scores.dims}.")
    if scores.sizes[dim] < 3:
        raise FlexclimError(
            f"{scores.sizes[dim]} values along {dim!r} are too few to resample: give at least 3."
        )
    if other is None:
        return scores
    other = as_numbers(other, "other array of scores")
    if dict(scores.sizes) != dict(other.sizes):
        raise AlignmentError(
            f"the scores have sizes {dict(scores.sizes)} and {dict(other.sizes)}. Score both "
            "forecasts at the same times."
        )
    other = same_units(
        check_coordinates(other, scores, "other scores"),
        scores,
        ("other scores", "scores"),
        difference=True,
    )
    return scores.astype(float) - other.astype(float)
