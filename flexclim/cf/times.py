"""Times, as datetime64 or as cftime in any calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

if TYPE_CHECKING:
    import cftime


def is_time(values: xr.DataArray | xr.Variable) -> bool:
    """Return whether values are dates; only the first is read."""
    if values.dtype.kind == "M":
        return True
    return values.dtype == object and values.size > 0 and hasattr(_first(values), "calendar")


def calendar_of(times: xr.DataArray | xr.Variable) -> str:
    """Return the CF calendar of dates."""
    return "proleptic_gregorian" if times.dtype.kind == "M" else str(_first(times).calendar)


def seconds_of(times: npt.ArrayLike) -> np.ndarray:
    """Return float64 seconds since 1970-01-01 of one or several dates, in their calendar.

    >>> seconds_of(np.array(["1970-01-01", "1970-01-02T12"], "datetime64[h]"))
    array([     0., 129600.])
    """
    values = np.asarray(times)
    if values.dtype.kind == "M":
        return np.asarray(values.astype("datetime64[us]").astype(np.int64) / 1e6)
    import cftime

    calendar = values.flat[0].calendar
    found = cftime.date2num(values, "seconds since 1970-01-01", calendar=calendar)
    return np.asarray(found, float)


def _first(values: xr.DataArray | xr.Variable) -> cftime.datetime:
    return values[(0,) * values.ndim].to_numpy().item()
