"""Fields over years: their times, seasons, members and variables, read in one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec

import numpy as np
import xarray as xr

from flexclim.cf.auxiliary_variables import auxiliary_variables
from flexclim.cf.ensembles import REALIZATION
from flexclim.cf.quantities import temperature_difference
from flexclim.cf.time_coordinates import check_no_time_zone, find_times
from flexclim.cf.times import calendar_of, is_time, seconds_of
from flexclim.cf.units import TEMPERATURES, cf_units
from flexclim.errors import FlexclimError
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.candidates import with_positions
from flexclim.verify.core.alignment import check_continuous, check_not_empty
from flexclim.verify.core.dimension_names import member_dimension
from flexclim.verify.core.numbers import as_numbers
from flexclim.verify.core.option_checks import show

P = ParamSpec("P")
TIME = "time"
DAY = 86400.0
SEASONS = ("DJF", "MAM", "JJA", "SON")
YEAR = "year"
COMPLETE = 0.95  # of the values of a year or season


def time_series(obj: object, role: str = "field") -> xr.DataArray:
    """Return a field with times along ``time``, in order, and members along ``realization``.

    Parameters
    ----------
    obj
        A DataArray of numbers with dates along one dimension, in any calendar.
    role
        What it is called in error messages.

    Returns
    -------
    DataArray
        float32 or float64, NaN where a value is missing; lazy if ``obj`` is.

    Raises
    ------
    FlexclimError
        If there are no dates along a dimension, a date is missing or occurs twice, or values are
        categories, directions or no numbers.
    """
    field = as_numbers(obj, role)  # type: ignore[arg-type]
    check_continuous(field)
    check_not_empty(field)
    check_no_time_zone(field)
    name = find_times(field).valid
    if name is None or field[name].ndim != 1 or not is_time(field[name]):
        raise FlexclimError(
            f"the {role} has no dates along one of its dimensions {tuple(field.dims)}. Decode the "
            "times with xr.decode_cf, or select one start of a forecast."
        )
    dim = str(field[name].dims[0])
    dates = field[name].variable
    if bool(field[name].isnull().any()):
        raise FlexclimError(f"{name!r} of the {role} lacks a date (NaT). Drop these times.")
    seconds = seconds_of(dates.values)
    field = _renamed(field, dim, TIME).assign_coords({TIME: (TIME, dates.values)})
    order = np.argsort(seconds, kind="stable")
    if (same := np.flatnonzero(np.diff(seconds[order]) == 0)).size:
        raise FlexclimError(
            f"{show(dates.values[order[same[0]]])} occurs twice along {dim!r} of the {role}. Drop "
            f"one, for example with .drop_duplicates({dim!r})."
        )
    field = field if (np.diff(order) == 1).all() else field.isel({TIME: order})
    member = member_dimension(field)
    if member is not None and member != REALIZATION:
        field = _renamed(field, member, REALIZATION)
    return field


def _renamed(field: xr.DataArray, dim: str, name: str) -> xr.DataArray:
    """Rename a dimension, without the coordinates along it and a scalar that has its name."""
    stray = [n for n, c in field.coords.items() if dim in c.dims or (n == name and not c.ndim)]
    return field.drop_vars(stray).rename({dim: name})


def each_variable(
    function: Callable[Concatenate[xr.DataArray, P], xr.DataArray | xr.Dataset],
    obj: xr.DataArray | xr.Dataset,
    *args: P.args,
    **kwargs: P.kwargs,
) -> xr.DataArray | xr.Dataset:
    """Apply a function of one field to a DataArray, or to each field of a Dataset.

    Parts of results of a Dataset are named ``part.variable``.
    """
    obj = with_plain_attributes(obj)
    if isinstance(obj, xr.DataArray):
        return function(obj, *args, **kwargs)
    found: dict[str, xr.DataArray] = {}
    for name in fields_of(obj):
        result = function(with_positions(obj, name), *args, **kwargs)
        if isinstance(result, xr.Dataset):
            found.update({f"{part}.{name}": result[part] for part in result.data_vars})
        else:
            found[name] = result
    return xr.Dataset(found)


def fields_of(obj: xr.DataArray | xr.Dataset, role: str = "dataset") -> list[str]:
    """Return the names of the fields of a Dataset: numbers with times, which describe no others.

    Raises
    ------
    FlexclimError
        If there are none, or it is no Dataset.
    """
    if not isinstance(obj, xr.Dataset):
        raise FlexclimError(
            f"the {role} is of type {type(obj).__name__}. Give a DataArray or Dataset."
        )
    others = auxiliary_variables(obj)
    names = []
    for name, field in obj.data_vars.items():
        valid = find_times(field).valid
        dated = valid is not None and set(field[valid].dims) & set(field.dims)
        if dated and name not in others and field.dtype.kind in "fiu":
            names.append(str(name))
    if not names:
        raise FlexclimError(
            f"no variable of the {role} has dates along a dimension, among {[*obj.data_vars]}. "
            "Decode the times with xr.decode_cf."
        )
    return names


def seasons_of(times: xr.DataArray) -> np.ndarray:
    """Return the number of the season of each date, in the order of ``SEASONS``.

    >>> dates = xr.date_range("2001-02-28", periods=3, calendar="360_day", use_cftime=True)
    >>> seasons_of(xr.DataArray(dates, dims=["time"])).tolist()
    [0, 0, 0]
    """
    return np.asarray(times.dt.month.values % 12 // 3)


def season_years(times: xr.DataArray) -> np.ndarray:
    """Return the year of the season of each date: December belongs to the next year's winter."""
    return np.asarray(times.dt.year.values + (times.dt.month.values == 12))


def step_seconds(field: xr.DataArray) -> float:
    """Return the usual time step of a series in seconds.

    Raises
    ------
    FlexclimError
        If there are fewer than two times.
    """
    if field.sizes[TIME] < 2:
        raise FlexclimError("there is one time only, where a series of years is needed.")
    return float(np.median(np.diff(seconds_of(field[TIME].values))))


def daily(field: xr.DataArray) -> xr.DataArray:
    """Return a daily series on all days from the first year's start to the last year's end.

    Days without a value, such as 29 February where a file lacks it, are NaN.

    Raises
    ------
    FlexclimError
        If the series is not daily.
    """
    if abs(step_seconds(field) - DAY) > 1:
        hours = step_seconds(field) / 3600
        raise FlexclimError(
            f"times of {field.name!r} are {hours:g} h apart, where days are needed. Aggregate them "
            "first, for example with .resample(time='1D').max()."
        )
    days = field.assign_coords({TIME: field[TIME].dt.floor("D")})
    if not days.get_index(TIME).is_unique:
        raise FlexclimError(
            f"{field.name!r} has several values on one day. Aggregate them to days first, for "
            "example with .resample(time='1D').max()."
        )
    dates = days[TIME]
    first, last = (int(dates.dt.year.values[place]) for place in (0, -1))
    begin, end = f"{first:04d}-01-01", f"{last + 1:04d}-01-01"
    if dates.dtype != object:  # in their own resolution, as nanoseconds end in 2262
        return days.reindex(
            {TIME: np.arange(begin, end, dtype="datetime64[D]").astype(dates.dtype)}
        )
    calendar = calendar_of(dates)
    whole = xr.date_range(
        begin, end, freq="D", calendar=calendar, use_cftime=True, inclusive="left"
    )
    return days.reindex({TIME: whole})


def describe(
    field: xr.DataArray, text: str, *, units: str | None = None, values: bool = False
) -> dict[str, object]:
    """Return the attributes of a statistic of a field: long name and units, by default its own.

    In units of temperature a statistic is a difference, unless it consists of ``values``.
    """
    name = field.attrs.get("long_name", field.name)
    attributes: dict[str, object] = {"long_name": f"{text} of {name}" if name else text}
    own = field.attrs.get("units")
    if units or own is not None:
        attributes["units"] = units or str(own)
    if not units and cf_units(str(own)) in TEMPERATURES:
        kind = "difference" if not values or temperature_difference(field) else "on_scale"
        attributes["units_metadata"] = f"temperature: {kind}"
    return attributes
