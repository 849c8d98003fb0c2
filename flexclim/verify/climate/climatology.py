"""The climate of each cell by season: mean, quantiles, variability, persistence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import xarray as xr

from flexclim.cf.times import seconds_of
from flexclim.errors import suggest_options, warn
from flexclim.verify.climate.samples import by_cell, sorted_quantiles
from flexclim.verify.climate.yearly_series import (
    COMPLETE,
    SEASONS,
    TIME,
    YEAR,
    describe,
    each_variable,
    season_years,
    seasons_of,
    step_seconds,
    time_series,
)
from flexclim.verify.core.correlation import correlation
from flexclim.verify.core.option_checks import check_numbers

QUANTILES = (0.01, 0.5, 0.99)
KNOWN = 0.5  # share of the values of a season
EVEN = 0.75  # least share of values of a calendar month, of those of the most frequent one
TEXTS = {
    "mean": "mean",
    "deviation": "standard deviation",
    "interannual": "standard deviation of yearly means",
    "autocorrelation": "correlation with the next time",
}


@suggest_options
def climatology(
    field: xr.DataArray | xr.Dataset, quantiles: Sequence[float] = QUANTILES
) -> xr.Dataset:
    """Mean, quantiles, variability and persistence of each cell, by season.

    Parameters
    ----------
    field
        (realization, time, ...) in any calendar, of any time step; a Dataset: each variable.
        Members are pooled.
    quantiles
        Probabilities from 0 to 1.

    Returns
    -------
    Dataset
        (season, ...), of the whole year and of DJF, MAM, JJA and SON: ``mean``; ``quantiles``
        (interpolated linearly); ``deviation``, the standard deviation of all values;
        ``interannual``, that of yearly means, divided by the number of years minus 1, in which
        a December counts to the next winter; ``autocorrelation`` of values one time step apart.
        The last two are those of each member, averaged (the first as variances). Lazy if the
        field is.

        Missing values are left out. A season is NaN where less than half of its values are known;
        a year counts where 95 per cent of its values are.

    Raises
    ------
    FlexclimError
        If there are no dates, or fewer than two, or quantiles are no probabilities.

    Warns
    -----
    FlexclimWarning
        If some calendar months occur much less often than others, as in 1.5 years.

    Notes
    -----
    They are indices of CORDEX ML-Bench: mean, quantile, interannual variability, lag-1
    autocorrelation.

    >>> days = xr.date_range("2001-01-01", periods=730, freq="D")
    >>> field = xr.DataArray(np.r_[np.zeros(365), np.ones(365)], {"time": days}, name="tas")
    >>> found = climatology(field, quantiles=[0.5])
    >>> found["mean"].sel(season="year").item(), found.interannual.sel(season="JJA").item()
    (0.5, 0.7071067811865476)
    """
    return cast(xr.Dataset, each_variable(climatology_of, field, quantiles))


def climatology_of(
    field: xr.DataArray, quantiles: Sequence[float] = QUANTILES, role: str = "field"
) -> xr.Dataset:
    """Return the :func:`climatology` of one variable."""
    levels = check_numbers("quantiles", quantiles, 0, 1)
    series = time_series(field, role)
    times, step = series[TIME], step_seconds(series)
    _warn_of_parts(times, role)
    # Months have 28 to 31 days.
    neighbours = np.abs(np.diff(seconds_of(times.values)) - step) < 0.1 * step
    seasons, years = seasons_of(times), season_years(times)
    chosen = [(np.ones(times.size, bool), times.dt.year.values)]
    chosen += [(seasons == number, years) for number in range(4)]

    def statistics(values: np.ndarray) -> np.ndarray:
        parts = [
            np.stack([*_moments(values, inside, year, neighbours, levels)], axis=-1)
            for inside, year in chosen
        ]
        return np.concatenate(parts, axis=-1)

    count = len(TEXTS) + levels.size
    flat = by_cell(series, statistics, ("statistic", range(5 * count)))
    shaped = (
        flat.drop_vars("statistic").coarsen(statistic=count).construct(statistic=("season", "part"))
    )
    shaped = shaped.assign_coords(season=np.array([YEAR, *SEASONS], object))
    shaped = shaped.transpose("season", ..., "part")
    found = {name: shaped.isel(part=place) for place, name in enumerate(TEXTS)}
    quantile = shaped.isel(part=slice(len(TEXTS), None)).rename(part="quantile")
    quantile = quantile.assign_coords(quantile=levels).transpose("season", "quantile", ...)
    result = xr.Dataset({"mean": found.pop("mean"), "quantiles": quantile, **found})
    for name, part in result.data_vars.items():
        units = "1" if name == "autocorrelation" else None
        values = name in ("mean", "quantiles")
        text = TEXTS.get(str(name), "quantiles")
        part.attrs = describe(series, text, units=units, values=values)
    return result


def _warn_of_parts(times: xr.DataArray, role: str) -> None:
    """Warn of series that do not consist of whole years, whose mean is no mean of the year."""
    months, counts = np.unique(times.dt.month.values, return_counts=True)
    if counts.min() < EVEN * counts.max():
        few, many = counts.argmin(), counts.argmax()
        warn(
            f"the {role} has {counts[few]} values in month {months[few]}, {counts[many]} in month "
            f"{months[many]}: statistics of the year lean to the latter. Select whole years."
        )


def _moments(
    values: np.ndarray,
    inside: np.ndarray,
    years: np.ndarray,
    neighbours: np.ndarray,
    levels: np.ndarray,
) -> Iterator[np.ndarray]:
    """Yield (...) statistics of the times ``inside``, from values (..., member, time)."""
    part = values[..., inside]
    flat = part.reshape(*part.shape[:-2], -1)
    known = np.isfinite(flat)
    count = known.sum(axis=-1)
    enough = (count > 0) & (count >= KNOWN * flat.shape[-1])

    def mean_of(numbers: np.ndarray) -> np.ndarray:
        total = np.where(known, numbers, 0.0).sum(axis=-1, dtype=float)
        return np.where(enough, total / np.maximum(count, 1), np.nan)

    mean = mean_of(flat)
    yield mean
    yield np.sqrt(mean_of((flat - mean[..., None]) ** 2))
    yield np.where(enough, _interannual(part, years[inside]), np.nan)
    pairs = np.flatnonzero(inside[:-1] & inside[1:] & neighbours)
    left, right = values[..., pairs], values[..., pairs + 1]
    follows = correlation(left, right, np.isfinite(left) & np.isfinite(right))
    yield np.where(enough, follows.mean(axis=-1), np.nan)
    quantiles = sorted_quantiles(flat, levels) if flat.shape[-1] else mean[..., None] + 0 * levels
    yield from np.moveaxis(np.where(enough[..., None], quantiles, np.nan), -1, 0)


def _interannual(values: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Return the standard deviation of yearly means of (..., member, time), over members."""
    labels, sizes = np.unique(years, return_counts=True)
    if not labels.size:
        return np.full(values.shape[:-2], np.nan)
    means = []
    for label in labels:
        part = values[..., years == label]
        count = np.isfinite(part).sum(axis=-1)
        total = np.nansum(part, axis=-1, dtype=float)
        full = count >= COMPLETE * sizes.max()
        means.append(np.where(full, total / np.maximum(count, 1), np.nan))
    each = np.stack(means, axis=-1)
    count = np.isfinite(each).sum(axis=-1)
    around = each - np.nansum(each, axis=-1, keepdims=True) / np.maximum(count, 1)[..., None]
    squares = np.nansum(around**2, axis=-1)
    variance = np.where(count > 1, squares / np.maximum(count - 1, 1), np.nan)
    return np.asarray(np.sqrt(variance.mean(axis=-1)))
