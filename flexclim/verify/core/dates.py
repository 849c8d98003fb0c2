"""Times of two fields as numbers that can be compared, in whatever calendar, type or unit."""

from __future__ import annotations

import numpy as np
import xarray as xr

from flexclim.cf.times import SECONDS, calendar_of, is_time, seconds_of

DAY = 86400
MONTH = 31 * DAY
STANDARD = ("standard", "gregorian", "proleptic_gregorian")
MIDDLE = 2 * DAY  # the middle of a month, or of a year, differs by less between calendars


def decoded(coordinate: xr.DataArray) -> xr.DataArray:
    """Return numbers with units such as ``hours since 1900-01-01`` as dates; others as they are.

    >>> decoded(xr.DataArray([1.0], attrs={"units": "days since 1999-12-31"})).values
    array(['2000-01-01T00:00:00.000000000'], dtype='datetime64[ns]')
    """
    if coordinate.dtype.kind not in "iuf" or " since " not in str(coordinate.attrs.get("units")):
        return coordinate
    coder = xr.coders.CFDatetimeCoder()
    try:
        dates = coder.decode(coordinate.variable.to_base_variable())
        return xr.DataArray(dates.values, dims=coordinate.dims, name=coordinate.name)
    except (ValueError, OverflowError):  # such as months since
        return coordinate


def differing_calendars(here: xr.DataArray, there: xr.DataArray) -> bool:
    """Return whether both hold dates, of calendars that are not the same."""
    if not (is_time(here) and is_time(there)):
        return False
    left, right = calendar_of(here), calendar_of(there)
    return left != right and not {left, right} <= set(STANDARD)


def time_numbers(here: xr.DataArray, there: xr.DataArray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the seconds of two coordinates of dates or of durations; None if they are neither.

    Dates are counted by :func:`date_numbers` unless both are datetime64, so that the same date has
    the same number in all calendars; NaT is NaN. Times in months of their own, such as monthly
    means, whose middles differ between calendars, are counted by month. Numbers with units of
    time are durations if the other coordinate holds durations.

    >>> steps = xr.DataArray(np.array([0, 6], "timedelta64[h]"))
    >>> time_numbers(steps, xr.DataArray([0, 360], attrs={"units": "minutes"}))
    (array([    0., 21600.]), array([    0., 21600.]))
    """
    if is_time(here) and is_time(there):
        if here.dtype.kind == there.dtype.kind == "M":
            return _seconds(here), _seconds(there)
        left, right = date_numbers(here), date_numbers(there)
        if differing_calendars(here, there) and monthly(left, right):
            left, right = left // MONTH, right // MONTH
        return left, right
    if "m" in (here.dtype.kind, there.dtype.kind):
        steps = _durations(here), _durations(there)
        return None if steps[0] is None or steps[1] is None else (steps[0], steps[1])
    return None


def date_numbers(times: xr.DataArray) -> np.ndarray:
    """Return seconds of dates as if each month had 31 days, whatever the calendar.

    They are rounded to milliseconds, since decoded times have rounding errors.

    >>> dates = xr.date_range("2001-02-28", periods=2, calendar="noleap", use_cftime=True)
    >>> np.diff(date_numbers(xr.DataArray(dates))) / DAY
    array([4.])
    """
    if not times.size:
        return np.zeros(0)
    parts = times.dt
    days = ((parts.year * 12 + parts.month) * 31 + parts.day - 1).values.astype(float)
    clock = (parts.hour * 3600 + parts.minute * 60 + parts.second).values
    numbers: np.ndarray = np.round(days * DAY + clock + parts.microsecond.values / 1e6, 3)
    return numbers


def monthly(left: np.ndarray, right: np.ndarray) -> bool:
    """Return whether dates lie in months of their own, at nearly the same day of these."""
    if min(left.size, right.size) < 2:
        return False
    alone = all((np.diff(one // MONTH) > 0).all() for one in (left, right))
    return alone and (left.size != right.size or bool((np.abs(left - right) < MIDDLE).all()))


def standard_dates(times: xr.DataArray) -> np.ndarray:
    """Return dates in any calendar as datetime64, for figures.

    Dates that the standard calendar lacks, such as 30 February, become the last of their month.

    >>> dates = xr.date_range("2001-02-28", periods=2, calendar="360_day", use_cftime=True)
    >>> standard_dates(xr.DataArray(dates)).astype("M8[D]")
    array(['2001-02-28', '2001-02-28'], dtype='datetime64[D]')
    """
    if times.dtype.kind == "M":
        return np.asarray(times.values)
    parts = times.dt
    months = (12 * (parts.year.values - 1970) + parts.month.values - 1).astype("M8[M]")
    first, following = months.astype("M8[D]"), (months + 1).astype("M8[D]")
    days = np.minimum(first + (parts.day.values - 1), following - 1)
    seconds = (parts.hour * 3600 + parts.minute * 60 + parts.second).values
    dates: np.ndarray = days.astype("M8[s]") + seconds
    return dates


def dates_of_both(here: xr.DataArray, there: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return which dates of two calendars to keep: all but those that the other calendar lacks."""
    numbers = time_numbers(here, there)
    assert numbers is not None
    left, right = numbers
    keep = [np.ones(one.size, bool) for one in numbers]
    for kept, own, other, times, calendar in (
        (keep[0], left, right, here, calendar_of(there)),
        (keep[1], right, left, there, calendar_of(here)),
    ):
        alone = ~np.isin(own, other)
        if alone.any():
            kept[alone] = _exist(times[alone], calendar)
    return keep[0], keep[1]


def _exist(times: xr.DataArray, calendar: str) -> list[bool]:
    """Return which dates a calendar has."""
    import cftime

    def exists(year: int, month: int, day: int) -> bool:
        try:
            cftime.datetime(year, month, day, calendar=calendar)
        except ValueError:
            return False
        return True

    parts = (times.dt.year, times.dt.month, times.dt.day)
    return [exists(*date) for date in zip(*(one.values.tolist() for one in parts), strict=True)]


def _seconds(times: xr.DataArray) -> np.ndarray:
    return np.where(np.isnat(times.values), np.nan, seconds_of(times.values))


def _durations(steps: xr.DataArray) -> np.ndarray | None:
    values = steps.values
    if values.dtype.kind == "m":
        return np.where(np.isnat(values), np.nan, values / np.timedelta64(1, "s"))
    scale = SECONDS.get(str(steps.attrs.get("units", "")).lower())
    return values * scale if scale and values.dtype.kind in "iuf" else None
