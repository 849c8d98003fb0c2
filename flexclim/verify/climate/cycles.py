"""The cycles of the year and of the day."""

from __future__ import annotations

from typing import cast

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.climate.yearly_series import TIME, describe, each_variable, time_series
from flexclim.verify.core.scoring import Fields

MOST = 288  # times of the day: every five minutes


@suggest_options
def seasonal_cycle(field: Fields) -> Fields:
    """Mean of each calendar month over all years.

    Parameters
    ----------
    field
        (realization, time, ...) in any calendar and of any time step up to a month; a Dataset:
        each variable.

    Returns
    -------
    DataArray or Dataset
        (month, realization, ...) float64, months 1 to 12. Missing values are left out; NaN where
        a month has none. Lazy if the field is.

    Raises
    ------
    FlexclimError
        If there are no dates.

    >>> days = xr.date_range("2001-01-01", "2002-12-31", freq="D")
    >>> field = xr.DataArray(days.month.astype(float), {"time": days})
    >>> seasonal_cycle(field).values[:3]
    array([1., 2., 3.])
    """
    return cast(Fields, each_variable(seasonal_cycle_of, field))


@suggest_options
def diurnal_cycle(field: Fields) -> Fields:
    """Mean of each time of the day over all days.

    Parameters
    ----------
    field
        (realization, time, ...) with several times a day, which are the same every day; a
        Dataset: each variable.

    Returns
    -------
    DataArray or Dataset
        (hour, realization, ...) float64, hours of the times as they are, usually UTC. Missing
        values are left out. Lazy if the field is.

    Raises
    ------
    FlexclimError
        If there are no dates, or all of them have the same time of the day.

    >>> times = xr.date_range("2001-01-01", periods=8, freq="6h")
    >>> diurnal_cycle(xr.DataArray(np.arange(8.0), {"time": times})).values
    array([2., 3., 4., 5.])
    """
    return cast(Fields, each_variable(diurnal_cycle_of, field))


def seasonal_cycle_of(field: xr.DataArray, role: str = "field") -> xr.DataArray:
    """Return the :func:`seasonal_cycle` of one variable."""
    series = time_series(field, role)
    found = _means(series, series[TIME].dt.month.values, np.arange(1, 13), "month")
    return found.assign_attrs(describe(series, "seasonal cycle", values=True))


def diurnal_cycle_of(field: xr.DataArray, role: str = "field") -> xr.DataArray:
    """Return the :func:`diurnal_cycle` of one variable."""
    series = time_series(field, role)
    hours = hours_of(series[TIME])
    labels = np.unique(hours)
    if labels.size < 2:
        raise FlexclimError(
            f"all times of the {role} are at {labels[0]:g} h, where several a day are needed for "
            "a diurnal cycle."
        )
    if labels.size > MOST:
        raise FlexclimError(
            f"the {role} has {labels.size} different times of the day, more than {MOST}. Aggregate "
            "it first, for example with .resample(time='1h').mean()."
        )
    found = _means(series, hours, labels, "hour")
    found["hour"].attrs["units"] = "h"
    return found.assign_attrs(describe(series, "diurnal cycle", values=True))


def hours_of(times: xr.DataArray) -> np.ndarray:
    """Return the time of the day in hours, rounded to a second."""
    seconds = times.dt.hour * 3600 + times.dt.minute * 60 + times.dt.second
    return np.asarray(seconds.values / 3600)


def _means(series: xr.DataArray, group: np.ndarray, labels: np.ndarray, dim: str) -> xr.DataArray:
    """Average over the times of each group."""
    means = [
        series.isel({TIME: np.flatnonzero(group == label)}).mean(TIME, dtype=float)
        if (group == label).any()
        else series.isel({TIME: 0}, drop=True).astype(float) * np.nan
        for label in labels
    ]
    return xr.concat(means, xr.Variable(dim, labels), coords="minimal", compat="override")
