"""The times of a source: those of one file, and of several that follow each other.

Times are dates (datetime64, or cftime in any calendar), else offsets (timedelta64), else numbers.
Whole numbers count times, one hour apart in forecasts; other numbers (float) only tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import cftime
import numpy as np
import xarray as xr

from flexclim.cf.time_coordinates import find_times
from flexclim.cf.times import SECONDS, calendar_of, seconds_of
from flexclim.errors import RecipeError

Time: TypeAlias = np.datetime64 | cftime.datetime | np.timedelta64 | np.integer | np.floating

NAMES = ("time", "valid_time")
# Calendars whose dates all exist in the standard calendar.
BY_DATE = ("standard", "gregorian", "proleptic_gregorian", "noleap", "365_day")


def has_dates(times: np.ndarray) -> bool:
    """Return whether times are dates."""
    return times.dtype.kind in "MO"


def in_seconds(times: np.ndarray) -> np.ndarray:
    """Return times in seconds: since 1970 of dates, as they are of offsets, 3600 times a count.

    >>> in_seconds(np.array([0, 90], "timedelta64[m]"))
    array([   0., 5400.])
    """
    if has_dates(times):
        return seconds_of(times)
    if times.dtype.kind == "m":
        return np.asarray(times / np.timedelta64(1, "s"), float)
    return times * 3600.0


def time_dimension(field: xr.DataArray, dims: Sequence[str]) -> str | None:
    """Return which of the dimensions is time: by name, by its dates, else the first of several."""
    known = [dim for dim in dims if dim in NAMES]
    dated = [dim for dim in dims if _dates(field, dim) is not None]
    longer = [dim for dim in dims if field.sizes[dim] > 1]
    return next(iter([*known, *dated, *longer, *dims]), None)


def times_of(field: xr.DataArray, dim: str | None, file: str) -> np.ndarray:
    """Return the (time,) times of a field, whose time may be a scalar coordinate (dim is None).

    Raises
    ------
    RecipeError
        If a date is missing, or two are the same.
    """
    dates = _dates(field, dim)
    if dates is not None:
        times = np.atleast_1d(dates.values)
        if times.dtype.kind == "M" and np.isnat(times).any():
            raise RecipeError(
                f"time {int(np.isnat(times).argmax())} of {times.size} in {file} is missing (NaT); "
                "drop the times without a date."
            )
    else:
        times = _offsets(field, dim)
    _check_different(times, file)
    return times


def join_times(times: Mapping[str, np.ndarray]) -> np.ndarray:
    """Join the times of files, by name, in their order.

    Dates of calendars that differ become those of the standard calendar, where each has a meaning
    in it.

    Raises
    ------
    RecipeError
        If two files hold the same time, only some have dates, or calendars can't be joined.
    """
    parts = list(times.values())
    if len(parts) == 1:
        return parts[0]
    by_kind = {has_dates(part): name for name, part in times.items()}
    if len(by_kind) > 1:
        raise RecipeError(
            f"{by_kind[True]} has dates and {by_kind[False]} has none; give both dates, or make "
            "them sources of their own."
        )
    if not has_dates(parts[0]) and any(part.dtype.kind != "m" for part in parts):
        counted = np.arange(sum(part.size for part in parts))
        return counted if all(part.dtype.kind == "i" for part in parts) else counted.astype(float)
    joined = np.concatenate(in_one_calendar(times) if has_dates(parts[0]) else parts)
    _check_disjoint(joined, {name: part.size for name, part in times.items()})
    return joined


def in_one_calendar(times: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return the dates of files, by name, in the calendar that they share, else the standard one.

    A day of a calendar without leap days is the day of that date; other calendars have dates that
    the standard one lacks.

    Raises
    ------
    RecipeError
        If they can't be converted.
    """
    calendars = {
        name: calendar_of(xr.Variable("time", part)) for name, part in times.items() if part.size
    }
    kinds = {part.dtype.kind for part in times.values()}
    if len(kinds) == 1 and (kinds == {"M"} or len(set(calendars.values())) < 2):
        return list(times.values())
    for name, calendar in calendars.items():
        if calendar not in BY_DATE:
            other = next(key for key, one in calendars.items() if one != calendar)
            raise RecipeError(
                f"{name} is in the calendar {calendar!r}, {other} in {calendars[other]!r}: some "
                "dates of one are none of the other. Convert one of them first, for example with "
                f"ds.convert_calendar({calendars[other]!r}, align_on='date')."
            )
    return [_standard(part) for part in times.values()]


def text_of(time: Time) -> str:
    """Format a time for messages.

    >>> text_of(np.datetime64("2018-10-01", "ns"))
    '2018-10-01T00:00:00'
    """
    return str(time).removesuffix(".000000000").removesuffix(".000000")


def _dates(field: xr.DataArray, dim: str | None) -> xr.DataArray | None:
    """Return the coordinate of a dimension, or scalar, that holds valid times; None: none does."""
    times = find_times(field, () if dim is None else (dim,))
    if not times.dated:
        return None
    dates = times.valid_times(field)
    start = _standard_name(field[times.valid]) if times.valid else ""
    if dates.dims != (() if dim is None else (dim,)) or start == "forecast_reference_time":
        return None
    return xr.DataArray(dates)


def _standard_name(coordinate: xr.DataArray) -> str:
    return str(coordinate.attrs.get("standard_name", ""))


def _offsets(field: xr.DataArray, dim: str | None) -> np.ndarray:
    """Return the times of a field without dates: offsets if units tell, else numbers."""
    if dim is None:
        return np.arange(1)
    counted = np.arange(field.sizes[dim])
    if dim not in field.coords:
        return counted if dim in NAMES else counted.astype(float)
    coordinate = field.coords[dim]
    values = coordinate.values
    if values.dtype.kind == "m":
        return np.asarray(values.astype("m8[us]"))
    units = str(coordinate.attrs.get("units", ""))
    seconds = SECONDS.get(units)
    if seconds and values.dtype.kind in "iuf":
        return np.asarray(np.round(values.astype(float) * seconds * 1e6).astype("m8[us]"))
    if (
        units in ("", "1")
        and values.dtype.kind in "iuf"
        and np.array_equal(values, counted + values[:1])
    ):
        return counted
    return counted.astype(float)


def _check_different(times: np.ndarray, file: str) -> None:
    """Check that no time appears twice."""
    if times.dtype.kind not in "MOm":
        return
    different, counts = np.unique(times, return_counts=True)
    repeated = different[counts > 1]
    if repeated.size:
        raise RecipeError(
            f"{file} has the time {text_of(repeated[0])} {counts[counts > 1][0]} times"
            f"{_others(repeated.size - 1)}; keep one of each, for example with "
            "ds.drop_duplicates('time')."
        )


def _check_disjoint(joined: np.ndarray, sizes: Mapping[str, int]) -> None:
    """Check that no two files hold the same time; each holds it once."""
    order = np.argsort(joined, kind="stable")
    same = np.flatnonzero(joined[order[1:]] == joined[order[:-1]])
    if not same.size:
        return
    ends = np.cumsum(list(sizes.values()))
    names = list(sizes)
    first, second = (
        names[int(np.searchsorted(ends, order[same[0] + n], side="right"))] for n in (0, 1)
    )
    raise RecipeError(
        f"{first} and {second} both have the time {text_of(joined[order[same[0]]])}"
        f"{_others(same.size - 1)}; list files that do not overlap in time, or cut one of them."
    )


def _others(count: int) -> str:
    return f", and so for {count} other times" if count else ""


def _standard(times: np.ndarray) -> np.ndarray:
    """Return dates as datetime64 of the same date and time."""
    if times.dtype.kind == "M":
        return np.asarray(times.astype("M8[us]"))
    return np.array([time.isoformat() for time in times], "M8[us]")
