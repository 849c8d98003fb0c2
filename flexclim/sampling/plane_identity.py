"""The identity of a plane: the coordinate values that its noise and label depend on.

It is read from all coordinates that have one value for the plane, whether they are dimensions of
the field or not, so a plane that is selected keeps the identity that it has within the whole.
``docs/explanation/noise-and-time.md`` tells which coordinates count.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.cf.time_coordinates import PERIOD_NAMES, REFERENCE_NAMES, VALID_NAMES
from flexclim.cf.times import seconds_of
from flexclim.errors import FlexclimError
from flexclim.planning.leads import Time
from flexclim.planning.plan import SamplingPlan
from flexclim.sampling.coordinate_roles import is_part_of, roles_of, value_text

TIME_NAMES = (*VALID_NAMES, *REFERENCE_NAMES, *PERIOD_NAMES)


@dataclass(frozen=True)
class PlaneIdentity:
    """The identity of a plane: values of coordinates, so that a sub-period keeps its noise.

    Parameters
    ----------
    time, moments
        The time as text, and further coordinates of time, such as the lead time of a forecast.
    seconds, when
        Valid time in seconds since 1970 of its own calendar, and as it is stored.
    rest
        Coordinates that are no times, as text.
    known
        Scalar coordinates that the model's label holds.
    member
        Of a field that was selected from an ensemble: its number, as text and as it is.
    """

    time: str = ""
    seconds: float = 0.0
    rest: tuple[str, ...] = ()
    when: Time | None = None
    known: tuple[tuple[str, float], ...] = ()
    moments: tuple[str, ...] = ()
    member: tuple[str, int] | None = None

    def __str__(self) -> str:
        return self.place()

    def place(self, *, timed: bool = True, number: int | None = None) -> str:
        """Return the text by which noise differs between planes.

        Parameters
        ----------
        timed
            Whether it differs between times.
        number
            The output member. That of the input's own number has the noise that it has where the
            whole ensemble is downscaled.
        """
        parts = [*self.rest, *(self.moments if timed else ())]
        if self.member is not None and number != self.member[1]:
            parts.append(self.member[0])
        return " ".join(filter(None, (self.time if timed else "", *sorted(parts))))


@dataclass(frozen=True)
class Values:
    """The values of a coordinate along some dimensions."""

    dims: tuple[str, ...]
    values: np.ndarray

    @classmethod
    def of(cls, coordinate: xr.Variable) -> Values:
        """Read a coordinate."""
        return cls(tuple(map(str, coordinate.dims)), coordinate.values)

    def at(self, index: Mapping[str, int]) -> Any:
        """Return the value at a position of each dimension."""
        return self.values[tuple(index[dim] for dim in self.dims)]

    def part(self, where: Mapping[str, slice]) -> Values:
        """Return the values in a slice of each dimension."""
        # An index of no dimension would turn an array into a scalar.
        index: tuple[Any, ...] = (*(where[dim] for dim in self.dims), ...)
        return Values(self.dims, self.values[index])


class PlaneIdentities:
    """The identities of the planes of a field, each made when it is asked for.

    Parameters
    ----------
    field
        (..., y, x).
    plan
        Names its dimensions, and the coordinates that hold times and labels.
    """

    def __init__(self, field: xr.DataArray, plan: SamplingPlan) -> None:
        self.name, self.lead, self.labels = str(field.name), plan.dims[:-2], plan.labels
        self.times = plan.times
        self.valid = Values.of(plan.times.valid_times(field)) if plan.times.dated else None
        self.roles = roles_of(field, self.lead, plan.times)
        starts = (plan.times.reference, plan.times.period)
        names = dict.fromkeys((*filter(None, starts), *self.roles, *plan.labels))
        self.values = {name: Values.of(field[name].variable) for name in names}
        dated = {*field.coords, *(self.valid.dims if self.valid else ())}
        self.unnamed = [dim for dim in self.lead if dim not in dated]
        self.where = {dim: slice(0, field.sizes[dim]) for dim in self.lead}
        self._check_values()
        if plan.noise == "ar1":
            self._check_times(field)

    def part(self, where: Mapping[str, slice]) -> PlaneIdentities:
        """Return those of some planes, by a slice of each dimension; it holds no others."""
        some = copy(self)
        some.where = dict(where)
        some.values = {name: values.part(where) for name, values in self.values.items()}
        some.valid = None if self.valid is None else self.valid.part(where)
        return some

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the dimensions before (y, x)."""
        return tuple(self.where[dim].stop - self.where[dim].start for dim in self.lead)

    def every(self) -> list[PlaneIdentity]:
        """Return the identities of all planes in order."""
        indices = itertools.product(*map(range, self.sizes))
        return [self.at(dict(zip(self.lead, index, strict=True))) for index in indices]

    def at(self, index: Mapping[str, int]) -> PlaneIdentity:
        """Identify the plane at ``index``, a position of each dimension before (y, x)."""
        here = {name: values.at(index) for name, values in self.values.items()}
        when = self._valid_time(index)
        time, moments = self._moment(here, when)
        rest: list[str] = []
        member = None
        for dim in self.unnamed:
            number = f"{dim}#{self.where[dim].start + index[dim]}"
            (moments if dim in self._times_unnamed else rest).append(number)
        for name, role in self.roles.items():
            value, text = here[name], f"{name}={value_text(here[name])}"
            if role == "member" and member is None:
                member = (text, int(value)) if np.isfinite(value) and value != 0 else None
            elif role == "time" or (role == "part" and not is_part_of(value, name, when)):
                moments.append(text)
            elif role in ("member", "other") or (role == "surface" and value != 0):
                rest.append(text)
        return PlaneIdentity(
            time=time,
            seconds=0.0 if when is None else float(seconds_of(when)),
            rest=tuple(sorted(rest)),
            when=when,
            known=tuple((name, _number(name, here[name])) for name in self.labels),
            moments=tuple(sorted(moments)),
            member=member,
        )

    def _check_values(self) -> None:
        """Raise if a time is missing, or a coordinate that the label holds is no number."""
        for name in self.labels:
            for value in self.values[name].values.flat:
                _number(name, value)
        if self.valid is None:
            return
        missing = np.argwhere(pd.isna(self.valid.values))
        if len(missing):
            index = zip(self.valid.dims, missing[0], strict=True)
            place = ", ".join(f"{dim}={position}" for dim, position in index)
            raise FlexclimError(
                f"the time of {self.name!r}{f' at position {place}' * bool(place)} is missing "
                "(NaT). Give it a date, or leave it out."
            )

    def _check_times(self, field: xr.DataArray) -> None:
        """Raise if fields at different times would count as simultaneous."""
        for dim in self.lead:
            several = field.sizes[dim] > 1
            if several and (self.roles.get(dim) in ("time", "part") or dim in self._times_unnamed):
                raise FlexclimError(
                    f'noise="ar1" needs the valid time of each field, and {dim!r} of {self.name!r} '
                    "is a time without dates or units. Assign dates as a coordinate valid_time "
                    f"along it, or units such as hours to {dim!r}."
                )

    @property
    def _times_unnamed(self) -> list[str]:
        return [dim for dim in self.unnamed if dim.lower() in TIME_NAMES]

    def _valid_time(self, index: Mapping[str, int]) -> Time | None:
        if self.valid is None:
            return None
        when: Time = self.valid.at(index)
        return when

    def _moment(self, here: Mapping[str, Any], when: Time | None) -> tuple[str, list[str]]:
        """Return the time as text, and the lead time where that tells planes apart too."""
        time, name = when, self.times.period or "lead"
        lead = here[name] if self._has_lead else None
        if self._by_start:
            assert when is not None
            time = here[str(self.times.reference)]
            lead = here[name] if self.times.period else when - time
        named = lead is not None and (lead or time is None)
        moments = [f"{name}={value_text(lead)}"] if named else []
        return "" if time is None else time_text(time)[0], moments

    @property
    def _by_start(self) -> bool:
        """Whether forecasts are told apart by start and lead time.

        They are where valid times follow from these, as in GRIB, but not in a series of valid
        times that also says when its forecast started.
        """
        times = self.times
        derived = times.valid is None or "valid" in times.valid.lower()
        along = {times.reference, times.period} & {*self.lead}
        return times.reference is not None and (derived or bool(along))

    @property
    def _has_lead(self) -> bool:
        """Whether a lead time without a start is more than another form of the valid time."""
        if self.times.period is None or self.times.reference is not None:
            return False
        dims = set(self.values[self.times.period].dims)
        return not dims or self.valid is None or not dims <= set(self.valid.dims)


def time_text(value: Time) -> tuple[str, float]:
    """Return a time as text, and in seconds since 1970 in its calendar."""
    if isinstance(value, np.datetime64):
        text = str(value.astype("datetime64[us]"))
    else:
        value = value.item() if isinstance(value, np.ndarray) else value
        text = str(value.isoformat(timespec="microseconds"))
    return text, float(seconds_of(value))


@contextmanager
def planes_named_in_errors(identities: Sequence[PlaneIdentity], part: str = "") -> Iterator[None]:
    """Add the times and the part of planes to an error as a note."""
    try:
        yield
    except Exception as error:
        first, *others = map(str, identities)
        times = f"times {first} to {others[-1]}" if others else f"time {first}"
        error.add_note(f"{times}{part}")
        raise


def _number(name: str, value: object) -> float:
    """Return the value of a coordinate that the model's label holds."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise FlexclimError(
            f"{name} = {value} is not a number, and the model is conditioned on it. Assign one "
            "with .assign_coords."
        ) from None
