"""Correlation time: how long the anomalies of a field persist."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from scipy.optimize import least_squares

from flexclim.cf.time_coordinates import find_times
from flexclim.cf.times import is_time, seconds_of
from flexclim.errors import FlexclimError, suggest_options

FEWEST_TIMES = 6
LONGEST = 0.5  # longest lag, as a share of the series
LAGS = 16


@suggest_options
def correlation_time(field: xr.DataArray, time: str | None = None) -> float:
    """Return the e-folding time of the autocorrelation of a field.

    D(lag) = 2 s^2 (1 - exp(-lag / T)) is fitted to the mean squared difference D between pairs of
    times. A constant pattern, such as that of coasts, cancels in differences, so it needs no
    removal and does not bias short series.

    Parameters
    ----------
    field
        (time, ...), such as interpolation errors; NaN is ignored. Times need not be equally
        spaced.
    time
        The time dimension; None: the one along which the valid time varies.

    Returns
    -------
    float
        T in hours; NaN with fewer than 6 times, or if T is too short or too long to be resolved,
        as for white noise.

    Raises
    ------
    FlexclimError
        If the field has no such time dimension.

    >>> steps = np.random.default_rng(0).normal(size=(40, 500))
    >>> values = [steps[0]]
    >>> for step in steps[1:]:  # an AR(1) process of 6 h
    ...     values.append(np.exp(-3 / 6) * values[-1] + np.sqrt(1 - np.exp(-1)) * step)
    >>> hours = np.arange(40) * np.timedelta64(3, "h") + np.datetime64("2018-10-01", "ns")
    >>> round(correlation_time(xr.DataArray(values, {"time": hours}, ["time", "point"])), 1)
    6.0
    """
    time = time or _time_dimension(field)
    hours = _hours(field, time)
    if hours.size < FEWEST_TIMES:
        return math.nan
    values = field.transpose(time, ...).values.reshape(hours.size, -1)
    lags, differences, pairs = structure(np.asarray(values, float), hours)
    return decay(lags, differences, pairs)


def structure(values: np.ndarray, hours: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lags in hours, mean squared differences (units squared), and numbers of pairs.

    Parameters
    ----------
    values
        (time, point); NaN is ignored.
    hours
        (time,), in any order.
    """
    order = np.argsort(hours, kind="stable")
    values, hours = values[order], hours[order]
    longest = LONGEST * (hours[-1] - hours[0])
    sums: dict[float, np.ndarray] = {}
    for late in range(1, hours.size):
        for early in range(late - 1, -1, -1):
            lag = round(float(hours[late] - hours[early]), 4)
            if lag > longest:
                break
            if lag == 0 or (lag not in sums and len(sums) >= 4 * LAGS):
                continue
            square = np.square(values[late] - values[early])
            known = np.isfinite(square)
            part = np.array([square[known].sum(), known.sum(), 1.0])
            sums[lag] = sums.get(lag, 0) + part
    found = [(lag, *sums[lag]) for lag in sorted(sums) if sums[lag][1] > 0][:LAGS]
    lags, squares, points, pairs = np.array(found).reshape(-1, 4).T
    return lags, squares / np.maximum(points, 1), pairs


def decay(lags: np.ndarray, differences: np.ndarray, pairs: np.ndarray) -> float:
    """Fit 2 s^2 (1 - exp(-lag / T)) to mean squared differences and return T, or NaN."""
    if lags.size < 3 or not differences.max() > 0:
        return math.nan
    scaled, weights = differences / differences.max(), np.sqrt(pairs)

    def misfit(numbers: np.ndarray) -> np.ndarray:
        level, log_time = numbers
        curve: np.ndarray = level * (1 - np.exp(-lags / np.exp(log_time)))
        return np.asarray((curve - scaled) * weights)

    log_time = least_squares(misfit, (1.0, np.log(lags[0]))).x[1]
    hours = float(np.exp(log_time))
    # Outside these limits the lags do not sample the bend of the curve.
    return hours if lags[0] / 8 < hours < 4 * lags[-1] else math.nan


def _time_dimension(field: xr.DataArray) -> str:
    times = find_times(field)
    dims = times.valid_times(field).dims if times.dated else ()
    return str(dims[0]) if len(dims) == 1 else "time"


def _hours(field: xr.DataArray, time: str) -> np.ndarray:
    if time not in field.dims or field[time].size == 0:
        raise FlexclimError(
            f"{field.name!r} has no time dimension {time!r}; it has {field.dims}. Name it with "
            "time=."
        )
    times = find_times(field, [time])
    if times.dated and times.valid_times(field).dims == (time,):
        return seconds_of(times.valid_times(field).values) / 3600
    values = field[time].values
    if not is_time(field[time]):
        raise FlexclimError(
            f"{time!r} of {field.name!r} holds {values[0]!r}, which is no date. Decode times "
            "first, for example with xr.decode_cf."
        )
    return seconds_of(values) / 3600
