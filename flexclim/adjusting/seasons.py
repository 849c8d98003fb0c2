"""Where the days of a series lie in the year, in whatever calendar, and windows around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import xarray as xr

from flexclim.cf.times import calendar_of, seconds_of
from flexclim.errors import FlexclimError

AlignOn = Literal["date", "year"]

DAY_S = 86400
MONTHS = 12
LENGTHS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
STARTS = np.cumsum(LENGTHS) - LENGTHS
YEAR_DAYS = int(LENGTHS.sum())
DAYS_360 = 360


@dataclass(frozen=True, kw_only=True)
class Window:
    """Parts of the year, and the times that belong to the sample of each.

    Parameters
    ----------
    parts
        Number of parts: 12 months, or the days of a year.
    days
        Days around a day that are in its sample; 1 for months, which are samples of their own.
    align_on
        How days of a calendar with 360 days correspond to those of others: by month and day
        (``"date"``) or by the fraction of the year that has passed (``"year"``). None: there is
        only one kind of calendar.
    """

    parts: int
    days: int
    align_on: AlignOn | None = None

    def __str__(self) -> str:
        return "each month" if self.parts == MONTHS else f"{self.days} days around each day"


@dataclass(frozen=True, kw_only=True, eq=False)
class Seasons:
    """Times of a series, in order.

    Parameters
    ----------
    days
        (time,) numbers of days, in the calendar of the series.
    parts
        (time,) the part of the year that each lies in.
    years
        (time,) calendar years.
    """

    days: np.ndarray
    parts: np.ndarray
    years: np.ndarray

    @classmethod
    def of(cls, times: xr.DataArray, window: Window) -> Self:
        """Find the days of dates.

        >>> times = xr.DataArray(np.array(["2000-02-28", "2000-02-29"], "datetime64[ns]"))
        >>> Seasons.of(times, Window(parts=365, days=31)).parts
        array([58, 58])
        """
        return cls(
            days=np.floor(seconds_of(times.values) / DAY_S).astype(int),
            parts=parts_of_year(times, window),
            years=times.dt.year.values,
        )

    def within(self, chosen: np.ndarray) -> Seasons:
        """Return the chosen times."""
        return Seasons(days=self.days[chosen], parts=self.parts[chosen], years=self.years[chosen])

    def samples(self, window: Window) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield each part of the year that occurs, its positions, and those of its sample."""
        place = np.full(self.days[-1] - self.days[0] + 1, -1)
        place[self.days - self.days[0]] = np.arange(self.days.size)
        half = window.days // 2
        for part in np.unique(self.parts):
            inside = np.flatnonzero(self.parts == part)
            if window.days == 1:
                yield int(part), inside, inside
                continue
            near = self.days[inside, None] + np.arange(-half, half + 1) - self.days[0]
            found = place[near[(near >= 0) & (near < place.size)]]
            chosen = np.zeros(self.days.size, bool)
            chosen[found[found >= 0]] = True
            yield int(part), inside, np.flatnonzero(chosen)


def parts_of_year(times: xr.DataArray, window: Window) -> np.ndarray:
    """Return the part of the year of each date, from 0; 29 February counts as 28."""
    parts = times.dt
    month = parts.month.values - 1
    if window.parts == MONTHS:
        return np.asarray(month)
    day = parts.day.values - 1
    if window.align_on == "year":
        passed = (parts.dayofyear.values - 0.5) / parts.days_in_year.values
        return np.asarray((passed * window.parts).astype(int))
    if window.parts == DAYS_360:
        return np.asarray(month * 30 + day)
    return np.asarray(STARTS[month] + np.minimum(day, LENGTHS[month] - 1))


def window_for(series: Sequence[xr.DataArray], days: int | str, align_on: AlignOn | None) -> Window:
    """Return the window for the times of several series.

    Parameters
    ----------
    series
        Dates, those of the historical run first.
    days
        Days around each day of the year, or ``"month"``.
    align_on
        The rule for calendars of 360 days beside others; None: none was chosen.

    Raises
    ------
    FlexclimError
        If a rule is needed, or time steps differ.
    """
    steps = [time_step(times) for times in series]
    if len(set(steps)) > 1:
        raise FlexclimError(
            f"the historical run is {steps[0]}, the reference {steps[1]}, the model {steps[2]}. "
            "Average the daily ones over months, for example with .resample(time='1MS').mean()."
        )
    if isinstance(days, str) or steps[0] == "monthly":
        return Window(parts=MONTHS, days=1)
    calendar = calendar_of(series[0])
    count = DAYS_360 if calendar == "360_day" else YEAR_DAYS
    if align_on is None or all(_months_of_30(times) for times in series):
        window = Window(parts=count, days=days)
        for times in series[1:]:
            check_calendar(times, window, calendar)
        return window
    return Window(parts=YEAR_DAYS if align_on == "date" else count, days=days, align_on=align_on)


def check_calendar(times: xr.DataArray, window: Window, calendar: str) -> None:
    """Raise FlexclimError if dates need a rule beside those of a calendar, and there is none."""
    own = calendar_of(times)
    apart = _months_of_30(times) != (calendar == "360_day")
    if apart and window.align_on is None and window.parts != MONTHS:
        raise FlexclimError(
            f"calendars differ: {calendar} and {own}. Say how days correspond: align_on='year' "
            "(by the fraction of the year that has passed) or align_on='date' (by month and day), "
            "or take whole months, window='month'."
        )


def _months_of_30(times: xr.DataArray) -> bool:
    return calendar_of(times) == "360_day"


def time_step(times: xr.DataArray) -> Literal["daily", "monthly"]:
    """Return whether times are daily or monthly.

    Raises
    ------
    FlexclimError
        If they are neither, or not in order.
    """
    steps = np.diff(seconds_of(times.values)) / DAY_S
    if steps.size and steps.min() <= 0:
        at = int(np.argmax(steps <= 0))
        here, there = (iso(int(date)) for date in dates_of(times[at : at + 2]))
        raise FlexclimError(
            f"times do not increase: {there} follows {here}. Sort them with "
            f".sortby({str(times.name)!r}), and drop those that occur twice."
        )
    usual = float(np.median(steps)) if steps.size else 0.0
    if 28 <= usual <= 31:
        return "monthly"
    if abs(usual - 1) < 1e-3 and steps.min() > 0.99:
        return "daily"
    found = f"{usual * 24:g} hours" if usual < 1 else f"{usual:g} days"
    raise FlexclimError(
        f"times are {found} apart, where daily or monthly values are adjusted. Average them first, "
        f"for example with .resample({times.name}='1D').mean()."
    )


def dates_of(times: xr.DataArray) -> np.ndarray:
    """Return dates as numbers that can be compared in all calendars, such as 20180914."""
    parts = times.dt
    return np.asarray(parts.year * 10000 + parts.month * 100 + parts.day)


def iso(date: int) -> str:
    """Return a date of :func:`dates_of` as text.

    >>> iso(20180914)
    '2018-09-14'
    """
    return f"{date // 10000:04}-{date // 100 % 100:02}-{date % 100:02}"
