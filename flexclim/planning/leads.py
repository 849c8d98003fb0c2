"""Time steps of a forecast: the spacing of past snapshots, and the lead times to return."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import TypeAlias, cast

import cftime
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from flexclim.errors import FlexclimError, ModelError
from flexclim.grids.arguments import is_whole, shown
from flexclim.models.settings import Forecasting

Leads = int | str | timedelta | Sequence[str | timedelta]
Time: TypeAlias = np.datetime64 | cftime.datetime
SAME = 1e-3  # hours


def step_hours(times: np.ndarray, forecast: Forecasting, model: str) -> float:
    """Return the time step in hours: the spacing of the last times, one of the model's leads.

    Parameters
    ----------
    times
        (n,) datetime64 or cftime; the last ``forecast.past`` of them count.
    model
        Its name, for messages.

    Raises
    ------
    FlexclimError
        If there are too few times, or they are missing (NaT), uneven or not increasing.
    ModelError
        If the model was not trained for the step.

    >>> six = Forecasting(past=2, leads=(6.0, 12.0), residual_scale=((1.0,), (1.0,)))
    >>> step_hours(np.array(["2018-09-14T00", "2018-09-14T06"], "datetime64[h]"), six, "toy")
    6.0
    """
    known = ", ".join(f"{lead:g}" for lead in forecast.leads)
    if forecast.past == 1 and len(forecast.leads) == len(times) == 1:
        return forecast.leads[0]
    count = max(forecast.past, 2)
    if len(times) < count:
        why = "reads" if forecast.past > 1 else "infers its time step from"
        raise FlexclimError(
            f"model {model!r} {why} {count} past times, and there "
            f"{'is 1' if len(times) == 1 else f'are {len(times)}'}. Give the last {count}, "
            f"{known} h apart."
        )
    last = times[-count:]
    if last.dtype.kind == "M" and np.isnat(last).any():
        raise FlexclimError(f"one of the last {count} times is missing (NaT). Give all of them.")
    apart = [hours_between(a, b) for a, b in pairwise(last)]
    spacings = ", ".join(f"{hours:g}" for hours in dict.fromkeys(apart))
    if min(apart) <= 0:
        raise FlexclimError(
            f"the last {count} times are not increasing: they lie {spacings} h apart. Sort them."
        )
    if max(apart) - min(apart) > SAME:
        raise FlexclimError(
            f"the last {count} times are uneven: they lie {spacings} h apart. Model {model!r} "
            f"reads times {known} h apart; select such times, or fill the gap."
        )
    for lead in forecast.leads:
        if abs(lead - apart[0]) <= SAME:
            return lead
    raise ModelError(
        f"the last {count} times are {spacings} h apart, and model {model!r} forecasts in steps of "
        f"{known} h. Select times with that spacing, or fill the gap."
    )


def kept_steps(leads: Leads, hours: float) -> tuple[int, ...]:
    """Return the numbers of the time steps to return, counted from 1.

    Parameters
    ----------
    leads
        The number of steps, to return each of them, or lead times to return.
    hours
        The time step in hours.

    Raises
    ------
    FlexclimError
        If a lead is neither, or not a multiple of the step.

    >>> kept_steps(3, 6.0), kept_steps(["6h", "1D"], 6.0)
    ((1, 2, 3), (1, 4))
    """
    if is_whole(leads):
        count = int(leads)  # type: ignore[arg-type]
        if count < 1:
            raise FlexclimError(f"leads={shown(count)} is not a number of steps of at least 1.")
        return tuple(range(1, count + 1))
    values = cast(ArrayLike, getattr(leads, "values", leads))  # of a DataArray or Index
    durations = cast(Iterable[object], values if np.ndim(values) else [values])
    steps = {_step(lead, hours) for lead in durations}
    if not steps:
        raise FlexclimError('leads is empty. Give a number of steps, or durations such as ["6h"].')
    return tuple(sorted(steps))


def _step(lead: object, hours: float) -> int:
    """Return the number of the time step at a lead time."""
    try:
        if isinstance(lead, int | float | np.number) and not isinstance(lead, np.timedelta64):
            raise ValueError("a number without a unit")
        lead_hours = pd.Timedelta(lead) / pd.Timedelta(hours=1)
    except (ValueError, TypeError):
        raise FlexclimError(
            f'lead {shown(lead)} is not a duration such as "6h". Give durations, or one number of '
            "steps."
        ) from None
    number = round(lead_hours / hours) if lead_hours > 0 else 0
    if number < 1 or abs(number * hours - lead_hours) > SAME:
        raise FlexclimError(
            f"lead {lead!r} is not a multiple of the time step of {hours:g} h. Give multiples, or "
            "a number of steps."
        )
    return number


def hours_between(first: Time, second: Time) -> float:
    """Return the hours from one time to another of the same calendar."""
    apart = second - first
    if isinstance(apart, np.timedelta64):
        return float(apart / np.timedelta64(1, "s")) / 3600
    return float(apart.total_seconds()) / 3600


def later(time: Time, hours: float) -> Time:
    """Return the time ``hours`` after ``time``, rounded to seconds.

    >>> later(np.datetime64("2018-12-31T18:00", "ns"), 6.0)
    np.datetime64('2019-01-01T00:00:00.000000000')
    """
    seconds = round(3600 * hours)
    if isinstance(time, np.datetime64):
        return time + np.timedelta64(seconds, "s")
    return time + timedelta(seconds=seconds)
