"""Times, as datetime64 or as cftime in any calendar, and durations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

if TYPE_CHECKING:
    import cftime

# Seconds of the units of durations; months and years have no fixed length.
SECONDS = {
    "nanoseconds": 1e-9,
    "microseconds": 1e-6,
    "milliseconds": 1e-3,
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}


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


def in_nanoseconds(values: np.ndarray) -> np.ndarray:
    """Return datetime64 or timedelta64 in nanoseconds, or in microseconds if they don't fit.

    Equal dates become equal bytes and equal text, whatever resolution they are stored in.

    >>> in_nanoseconds(np.array("2018-09-14", "datetime64[s]"))
    array('2018-09-14T00:00:00.000000000', dtype='datetime64[ns]')
    >>> in_nanoseconds(np.array(["1500-01-01"], "datetime64[D]")).dtype
    dtype('<M8[us]')
    """
    kind = values.dtype.kind
    fine = values.astype(f"{kind}8[us]")
    ticks = fine[~np.isnat(fine)].astype(np.int64)
    fits = ticks.size == 0 or np.abs(ticks).max() < np.iinfo(np.int64).max // 1000
    return values.astype(f"{kind}8[ns]") if fits else fine


def in_resolution(values: np.ndarray, unit: str) -> np.ndarray:
    """Return datetime64 or timedelta64 in another unit, or unchanged where that would round them.

    >>> in_resolution(np.array(["2018-09-14T00"], "datetime64[ns]"), "s").dtype
    dtype('<M8[s]')
    >>> in_resolution(np.array([1500], "timedelta64[ms]"), "s").dtype
    dtype('<m8[ms]')
    """
    found = values.astype(f"{values.dtype.kind}8[{unit}]")
    same = np.array_equal(found.astype(values.dtype).view(np.int64), values.view(np.int64))
    return found if same else values


def has_duration_units(values: xr.Variable) -> bool:
    """Return whether values are numbers with units of time such as hours."""
    return values.dtype.kind in "iuf" and str(values.attrs.get("units")).strip() in SECONDS


def durations_of(values: xr.Variable) -> xr.Variable:
    """Return durations as timedelta64[us]; numbers are read in their units.

    >>> durations_of(xr.Variable("lead", [6.0, 12.0], {"units": "hours"})).values
    array([21600000000, 43200000000], dtype='timedelta64[us]')
    """
    if values.dtype.kind == "m":
        return values.astype("timedelta64[us]")
    micros = values.values * (SECONDS[str(values.attrs["units"]).strip()] * 1e6)
    finite = np.isfinite(micros)
    whole = np.asarray(np.where(finite, micros, 0).round()).astype("timedelta64[us]")
    return xr.Variable(values.dims, np.where(finite, whole, np.timedelta64("NaT")))


def later_by(dates: xr.Variable, durations: xr.Variable) -> xr.Variable:
    """Return dates plus durations, along the dimensions of both."""
    ahead = durations_of(durations)
    if dates.dtype.kind == "M":
        return dates.astype("datetime64[us]") + ahead
    sizes = {**dates.sizes, **ahead.sizes}
    starts, spans = dates.set_dims(sizes).values, ahead.set_dims(sizes).values
    found = np.empty(starts.shape, object)
    for index in np.ndindex(found.shape):
        found[index] = starts[index] + spans[index].item()
    return xr.Variable(tuple(sizes), found)


def _first(values: xr.DataArray | xr.Variable) -> cftime.datetime:
    # A slice: scalars of some indexes, such as those of periods, are no NumPy values.
    return values[(slice(1),) * values.ndim].to_numpy().flat[0]
