"""Which coordinates of a field hold valid times, reference times and forecast periods.

They are found by CF axis and standard name, then by the names that GRIB readers and archives of
forecasts use. All parts of the package that need the valid time ask here.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass

import xarray as xr

from flexclim.cf.times import has_duration_units, is_time, later_by
from flexclim.errors import FlexclimError

# Names in lower case, the most telling first.
VALID_NAMES = "valid_time", "time", "time_counter", "xtime", "datetime", "date", "valid", "times"
REFERENCE_NAMES = (
    *("forecast_reference_time", "reference_time", "reftime", "init_time", "initial_time"),
    *("initialization_time", "initialisation_time", "analysis_time", "base_time", "init"),
)
PERIOD_NAMES = (
    *("forecast_period", "step", "lead_time", "lead", "leadtime", "prediction_timedelta"),
    *("forecast_hour", "forecast_step", "lead_hours"),
)


@dataclass(frozen=True, kw_only=True)
class TimeCoordinates:
    """The coordinates of a field that say when it is valid; None where there is none.

    Parameters
    ----------
    valid
        Dates at which values are valid. Where it is None, they are ``reference`` plus ``period``
        if both are known.
    reference
        Dates at which forecasts start.
    period
        Durations from there to the valid times, as timedelta64 or as numbers with units.
    """

    valid: str | None = None
    reference: str | None = None
    period: str | None = None

    @property
    def dated(self) -> bool:
        """Whether valid times are known."""
        return self.valid is not None or self.computed

    @property
    def computed(self) -> bool:
        """Whether valid times are the sum of reference time and period."""
        return self.valid is None and None not in (self.reference, self.period)

    def valid_times(self, field: xr.DataArray | xr.Dataset) -> xr.Variable:
        """Return the valid times of a field, along the dimensions on which they depend."""
        if self.valid is not None:
            return field[self.valid].variable
        assert self.reference is not None
        assert self.period is not None
        return later_by(field[self.reference].variable, field[self.period].variable)


def find_times(
    field: xr.DataArray | xr.Dataset, dims: Collection[Hashable] | None = None
) -> TimeCoordinates:
    """Find the coordinates that say when values are valid.

    Parameters
    ----------
    field
        Its coordinates are searched; of dates in objects the first is read.
    dims
        Dimensions besides the grid's; dates that depend on others are left out. Default: all.

    Examples
    --------
    >>> import numpy as np
    >>> hours = np.arange(2) * np.timedelta64(6, "h")
    >>> start = np.datetime64("2018-09-14", "ns")
    >>> coords = {"time": start, "step": hours, "valid_time": ("step", start + hours)}
    >>> find_times(xr.Dataset(coords=coords))
    TimeCoordinates(valid='valid_time', reference='time', period='step')
    """
    inside = set(field.dims if dims is None else dims)
    known = {str(n): c.variable for n, c in field.coords.items() if set(c.dims) <= inside}
    dates = [name for name, variable in known.items() if is_time(variable)]
    spans = [name for name, variable in known.items() if _is_period(name, variable)]
    starts = [name for name in dates if _is_reference(name, known[name], dates)]
    reference = _first(starts, REFERENCE_NAMES, known, "forecast_reference_time")
    period = _first(spans, PERIOD_NAMES, known, "forecast_period")
    others = [name for name in dates if name not in starts]
    indexed = [name for name in others if known[name].dims == (name,)]
    valid = _first([*indexed, *others], VALID_NAMES, known, "time")
    if valid is None and period is None:
        valid, reference = reference, None
    elif valid is not None and reference is None and _starts_at(valid, period, known):
        valid, reference = None, valid
    return TimeCoordinates(valid=valid, reference=reference, period=period)


def check_no_time_zone(field: xr.DataArray | xr.Dataset) -> None:
    """Check that no times are in a time zone, which the numbers of dates do not have.

    Raises
    ------
    FlexclimError
        If some are.
    """
    for name, coordinate in field.coords.items():
        if zone := getattr(coordinate.dtype, "tz", None):
            raise FlexclimError(
                f"times of {name!r} are in the time zone {zone}. Convert them with "
                f".assign_coords({name}=ds.indexes[{name!r}].tz_convert(None))."
            )


def undecoded_times(field: xr.DataArray, dims: Collection[Hashable]) -> list[str]:
    """Return the coordinates along ``dims`` that hold times as numbers, which are no dates.

    Such numbers stand in files that were opened without decoding: days since a date, Julian days,
    20180914.

    >>> times = xr.DataArray([0, 6], attrs={"units": "hours since 1900-01-01"}, dims="t")
    >>> undecoded_times(xr.DataArray([1.0, 2.0], {"t": times}), ["t"])
    ['t']
    """
    inside = set(dims)
    return [
        str(name)
        for name, coordinate in field.coords.items()
        if set(coordinate.dims) <= inside and is_undecoded(str(name), coordinate.variable)
    ]


def is_undecoded(name: str, variable: xr.Variable) -> bool:
    """Return whether a coordinate holds times as numbers."""
    attributes = variable.attrs
    return variable.dtype.kind in "iuf" and (
        attributes.get("standard_name") == "time"
        or attributes.get("axis") == "T"
        or " since " in str(attributes.get("units", ""))
        or name.lower() in VALID_NAMES
    )


def _is_reference(name: str, variable: xr.Variable, dates: Collection[str]) -> bool:
    """Return whether dates are those at which forecasts start; of GRIB, ``time`` is."""
    said = variable.attrs.get("standard_name")
    if name == "time" and "valid_time" in dates:
        return True
    named = name.lower() in REFERENCE_NAMES and said != "time"
    return said == "forecast_reference_time" or named


def _is_period(name: str, variable: xr.Variable) -> bool:
    said = variable.attrs.get("standard_name") == "forecast_period"
    named = said or name.lower() in PERIOD_NAMES
    return named and (variable.dtype.kind == "m" or has_duration_units(variable))


def _starts_at(time: str, period: str | None, known: Mapping[str, xr.Variable]) -> bool:
    """Return whether dates beside a period, without any reference time, are when forecasts start.

    They are, unless the file calls them valid times or the period depends on them.
    """
    if period is None or known[time].attrs.get("standard_name") == "time":
        return False
    dims = set(known[period].dims)
    return not dims or not dims <= set(known[time].dims)


def _first(
    names: Iterable[str], usual: tuple[str, ...], known: Mapping[str, xr.Variable], said: str
) -> str | None:
    """Return the coordinate of the T axis, else with a standard or usual name, else the first."""

    def rank(name: str) -> tuple[bool, bool, int]:
        attributes = known[name].attrs
        lower = name.lower()
        place = usual.index(lower) if lower in usual else len(usual)
        return attributes.get("axis") != "T", attributes.get("standard_name") != said, place

    return min(names, key=rank, default=None)
