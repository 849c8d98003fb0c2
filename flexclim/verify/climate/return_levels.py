"""Return levels of yearly extremes, from a generalised extreme value distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import numpy as np
import xarray as xr
from scipy import special

from flexclim.cf.ensembles import REALIZATION
from flexclim.errors import FlexclimError, suggest_options, warn
from flexclim.verify.climate.samples import by_cell, sorted_quantiles
from flexclim.verify.climate.yearly_series import (
    COMPLETE,
    TIME,
    describe,
    each_variable,
    time_series,
)
from flexclim.verify.core.option_checks import (
    check_choice,
    check_count,
    check_number,
    check_numbers,
    check_seed,
)

Extreme = Literal["maximum", "minimum"]
PERIODS = (2.0, 5.0, 10.0, 20.0, 50.0)
LEAST = 10  # yearly extremes
TINY = 1e-7  # of a shape, where the distribution is Gumbel's to seven digits
BOUNDS = {
    "level": "return level",
    "low": "lower end of the interval of the return level",
    "high": "upper end of the interval of the return level",
}


@suggest_options
def return_levels(
    field: xr.DataArray | xr.Dataset,
    periods: Sequence[float] = PERIODS,
    *,
    extreme: Extreme = "maximum",
    interval: float = 0.9,
    resamples: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Values that are exceeded once in so many years on average, with confidence intervals.

    Parameters
    ----------
    field
        (realization, time, ...) in any calendar; a Dataset: each variable. The extremes of all
        members are pooled, as if they were further years.
    periods
        Return periods in years, above 1.
    extreme
        Whether yearly maxima or minima are of interest.
    interval
        Probability of the confidence interval.
    resamples, seed
        Number of resamples of the bootstrap, and its seed.

    Returns
    -------
    Dataset
        (period, ...) ``level`` and the ends of its interval, ``low`` and ``high``; lazy if the
        field is. A year counts where 95 per cent of its values are known; NaN where less than 10
        yearly extremes are left, or all are equal.

    Raises
    ------
    FlexclimError
        If there are no dates, or fewer than 10 years and members.

    Warns
    -----
    FlexclimWarning
        If a period is longer than twice the number of yearly extremes.

    Notes
    -----
    The distribution is fitted by L-moments (Hosking, Wallis and Wood, 1985, Technometrics 27,
    251-261; Hosking, 1990, J. R. Stat. Soc. B 52, 105-124), which suit few years better than
    maximum likelihood. Intervals are percentiles of a parametric bootstrap: the distribution is
    fitted again to as many values drawn from it. Drawing the years themselves again gives
    intervals that are too narrow (Kysely, 2008, J. Appl. Meteorol. Climatol. 47, 3236-3251).

    >>> days = xr.date_range("1991-01-01", "2020-12-31", freq="D")
    >>> rain = np.random.default_rng(0).gamma(0.5, 8, days.size)
    >>> found = return_levels(xr.DataArray(rain, {"time": days}, name="pr"), [10])
    >>> bool(found.low < found.level) and bool(found.level < found.high)
    True
    """
    options = (periods, extreme, interval, resamples, seed)
    return cast(xr.Dataset, each_variable(return_levels_of, field, *options))


def return_levels_of(
    field: xr.DataArray,
    periods: Sequence[float] = PERIODS,
    extreme: Extreme = "maximum",
    interval: float = 0.9,
    resamples: int = 200,
    seed: int = 0,
    role: str = "field",
) -> xr.Dataset:
    """Return the :func:`return_levels` of one variable."""
    sign = 1.0 if check_choice("extreme", extreme, ("maximum", "minimum")) == "maximum" else -1.0
    years_between = check_numbers("periods", periods, 1 + 1e-9, 1e6)
    interval = check_number("interval", interval, 0, 1, above=True)
    resamples, seed = check_count("resamples", resamples), check_seed(seed)
    series = time_series(field, role)
    years = series[TIME].dt.year.values
    labels = np.unique(years)
    members = series.sizes.get(REALIZATION, 1)
    if (count := labels.size * members) < LEAST:
        raise FlexclimError(
            f"the {role} has {labels.size} years and {members} members, {count} yearly extremes; "
            f"return levels need at least {LEAST}. Give a longer series."
        )
    if years_between.max() > 2 * count:
        warn(
            f"a return period of {years_between.max():g} years is far beyond the {count} yearly "
            f"extremes of the {role}; its level depends on the fitted distribution alone."
        )
    draws = np.random.default_rng(seed).random((resamples, members, labels.size))
    chance = 1 - 1 / years_between

    def levels(values: np.ndarray) -> np.ndarray:
        maxima = yearly_maxima(sign * values, years)
        fitted, known = _fit(maxima), np.isfinite(maxima)
        own = _quantiles(fitted, chance)
        spread = np.stack(
            [_quantiles(_fit(_drawn(fitted, known, one)), chance) for one in draws], -1
        )
        ends = sorted_quantiles(spread, [0.5 - interval / 2, 0.5 + interval / 2])
        low, high = np.moveaxis(np.sort(sign * ends, axis=-1), -1, 0)
        return np.concatenate([sign * own, low, high], axis=-1)

    flat = by_cell(series, levels, ("part", range(3 * chance.size)))
    found = {}
    for place, name in enumerate(BOUNDS):
        part = flat.isel(part=slice(place * chance.size, (place + 1) * chance.size))
        part = part.rename(part="period").assign_coords(period=years_between)
        attributes = describe(series, BOUNDS[name], values=True)
        found[name] = part.transpose("period", ...).assign_attrs(attributes)
        found[name]["period"].attrs["units"] = "year"
    return xr.Dataset(found)


def yearly_maxima(values: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Return the largest value of each year, (..., member, year), from (..., member, time)."""
    labels, sizes = np.unique(years, return_counts=True)
    found = np.full((*values.shape[:-1], labels.size), np.nan)
    for place, label in enumerate(labels):
        part = values[..., years == label]
        known = np.isfinite(part)
        most = np.where(known, part, -np.inf).max(axis=-1)
        full = known.sum(axis=-1) >= COMPLETE * sizes.max()
        found[..., place] = np.where(full, most, np.nan)
    return found


def gev_by_l_moments(maxima: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit a generalised extreme value distribution along the last axis.

    Parameters
    ----------
    maxima
        (..., n) with NaN where a value is missing.

    Returns
    -------
    location, scale, shape
        (...) in the convention of Hosking and of ``scipy.stats.genextreme``, whose ``c`` is the
        shape: below 0 for heavy tails. NaN where there are fewer than 10 values, or all are equal.

    Notes
    -----
    Hosking, Wallis and Wood (1985), eqs. 14 and 15: the shape solves an equation in the third
    L-moment ratio, here by Newton's method from their approximation.
    """
    ordered = np.sort(maxima, axis=-1)
    count = np.isfinite(maxima).sum(axis=-1)
    rank = np.arange(ordered.shape[-1])
    n = np.maximum(count, LEAST)[..., None].astype(float)
    known = rank < count[..., None]
    first = np.where(known, ordered, 0.0).sum(axis=-1, dtype=float) / n[..., 0]
    around = np.where(known, ordered - first[..., None], 0.0)
    # Unbiased probability weighted moments, about the mean.
    b1 = (around * rank).sum(axis=-1) / (n * (n - 1))[..., 0]
    b2 = (around * rank * (rank - 1)).sum(axis=-1) / (n * (n - 1) * (n - 2))[..., 0]
    second, third = 2 * b1, 6 * b2 - 6 * b1
    usable = (count >= LEAST) & (second > 1e-13 * np.abs(first))
    second = np.where(usable, second, 1.0)
    shape = _shape(np.where(usable, third / second, 0.0))
    scale = second * shape / (-np.expm1(-shape * np.log(2)) * special.gamma(1 + shape))
    location = first - scale * (1 - special.gamma(1 + shape)) / shape
    scale, location, shape = (np.where(usable, one, np.nan) for one in (scale, location, shape))
    return location, scale, shape


def _shape(skewness: np.ndarray) -> np.ndarray:
    """Return the shape at which the third L-moment ratio is ``skewness``; never 0, but near it."""
    skewness = np.clip(skewness, -0.9, 0.95)
    near = 2 / (3 + skewness) - np.log(2) / np.log(3)
    shape = 7.8590 * near + 2.9554 * near**2
    for _ in range(6):
        shape = np.where(np.abs(shape) < TINY, TINY, shape)
        two, three = (np.expm1(-shape * np.log(base)) for base in (2, 3))
        slopes = [-np.log(base) * base**-shape for base in (2.0, 3.0)]
        slope = (slopes[1] * two - three * slopes[0]) / two**2
        shape = shape - (2 * three / two - 3 - skewness) / (2 * slope)
    return np.where(np.abs(shape) < TINY, TINY, shape)


def _fit(maxima: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return location, scale and shape, (..., 1), of (..., member, year)."""
    fitted = gev_by_l_moments(maxima.reshape(*maxima.shape[:-2], -1))
    return tuple(part[..., None] for part in fitted)


def _quantiles(fitted: tuple[np.ndarray, ...], chance: np.ndarray) -> np.ndarray:
    """Return (..., n) quantiles of a distribution at (n,) probabilities."""
    location, scale, shape = fitted
    return np.asarray(location - scale * np.expm1(shape * np.log(-np.log(chance))) / shape)


def _drawn(fitted: tuple[np.ndarray, ...], known: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return random (..., member, year) from (member, year) probabilities, NaN where not known."""
    values = _quantiles(fitted, chance.reshape(-1)).reshape(known.shape)
    return np.where(known, values, np.nan)
