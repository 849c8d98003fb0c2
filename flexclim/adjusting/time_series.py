"""Fields as series in time, with what is done to their values when these are read."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from flexclim.adjusting.seasons import MONTHS, Window, dates_of, iso
from flexclim.cf.conversion import Conversion, conversion
from flexclim.cf.missing_values import NOTHING, Declared, declared, decoded
from flexclim.cf.quantities import FieldProperties
from flexclim.cf.time_coordinates import check_no_time_zone, find_times, undecoded_times
from flexclim.cf.units import cf_units, text_of
from flexclim.cf.variable_names import is_precipitation
from flexclim.errors import AlignmentError, FlexclimError

FEWEST_YEARS = 10
YEAR_DAYS = 365.25
SAME = Conversion()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is done to values when they are read.

    Parameters
    ----------
    label
        What they are called in messages.
    missing
        What marks missing values.
    conversion
        Into the units in which they are adjusted.
    """

    label: str
    missing: Declared = NOTHING
    conversion: Conversion = SAME

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return values with missing ones as NaN, converted."""
        known = decoded(values, self.missing, self.label)
        if self.conversion.changes_nothing:
            return known
        scale, offset = self.conversion.scale, self.conversion.offset
        return np.asarray((known.astype(float) * scale + offset).astype(known.dtype))


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """A field as series in time, lazy or in memory.

    Parameters
    ----------
    field
        (..., time) without coordinates.
    times
        Its dates.
    role
        What it is called in messages.
    reading
        How its values are read.
    """

    field: xr.DataArray
    times: xr.DataArray
    role: str
    reading: Reading

    @property
    def time(self) -> Hashable:
        """The dimension of times."""
        return self.times.dims[0]

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last date, such as 19810101 and 20101231."""
        first, last = dates_of(self.times[[0, -1]]).tolist()
        return first, last

    def between(self, first: int, last: int) -> Series:
        """Return the part between two dates, such as 19810101 and 20101231."""
        dates = dates_of(self.times)
        chosen = slice(*np.searchsorted(dates, [first, last + 1]).tolist())
        return replace(
            self,
            field=self.field.isel({self.time: chosen}),
            times=self.times.isel({self.time: chosen}),
        )


def series_of(ds: xr.Dataset, name: str, dims: Sequence[str], role: str) -> Series:
    """Return a field of a Dataset as series.

    Parameters
    ----------
    dims
        Dimensions of its cells.

    Raises
    ------
    FlexclimError
        If it has no times, or not along one dimension of their own.
    """
    field = ds[name]
    check_no_time_zone(field)
    valid = find_times(field, [dim for dim in field.dims if dim not in dims]).valid
    if valid is None or field[valid].ndim != 1:
        numbers = undecoded_times(field, set(field.dims) - set(dims))
        found = f"{numbers[0]!r} holds numbers" if numbers else "there are none along a dimension"
        raise FlexclimError(
            f"{name!r} of {role} needs dates, but {found}. Pass the dataset through "
            "xarray.decode_cf, or assign dates."
        )
    times = field[valid].variable
    if times.size == 0:
        raise FlexclimError(
            f"{name!r} of {role} has no times: its dimension {valid!r} has size 0. Select others."
        )
    if times.dtype.kind == "M" and np.isnat(times.values).any():
        raise FlexclimError(f"times of {role} have missing values. Drop them with .dropna.")
    own = np.result_type(field.dtype, np.float32)
    return Series(
        field=xr.DataArray(field.variable, name=name)
        .transpose(..., times.dims[0])
        .astype(own, copy=False),
        times=xr.DataArray(times, name=valid),
        role=role,
        reading=Reading(
            label=f"{name} of {role}",
            missing=declared(field, cf_units(text_of(field.attrs, "units"))),
        ),
    )


def in_units_of(series: Series, field: xr.DataArray) -> Series:
    """Return a series that is read in the units of a field.

    Raises
    ------
    AlignmentError
        If there is no conversion.
    """
    have, want = (text_of(one.attrs, "units") for one in (series.field, field))
    if cf_units(have) == cf_units(want):
        return series
    difference = FieldProperties.of(field).difference
    found = conversion(have, want, difference=difference, water=is_precipitation(field))
    if not have or not want or found is None:
        raise AlignmentError(
            f"{field.name!r} is in {want!r}, that of {series.role} in {have!r}, and neither "
            "converts into the other. Convert one of them, or correct the units attribute."
        )
    return replace(series, reading=replace(series.reading, conversion=found))


def training_period(reference: Series, historical: Series) -> tuple[Series, Series]:
    """Return the parts of two series of the years that they share.

    Raises
    ------
    AlignmentError
        If there are none.
    """
    dates = [dates_of(one.times) for one in (reference, historical)]
    first, last = (int(f(own[at] for own in dates)) for f, at in ((max, 0), (min, -1)))
    if first > last:
        raise AlignmentError(
            f"the reference covers {' to '.join(map(iso, reference.span))}, the historical run "
            f"{' to '.join(map(iso, historical.span))}: they share no day. Pass fields that do."
        )
    return reference.between(first, last), historical.between(first, last)


def check_length(series: Series, window: Window) -> None:
    """Raise FlexclimError if a series is too short for quantiles."""
    count, span = series.times.size, np.subtract(*series.span[::-1]) / 10000
    monthly = count < 2 * MONTHS * max(span, 1)
    dates = series.times.dt
    there = dates.month if monthly else dates.month * 100 + dates.day  # perhaps a season alone
    in_a_year = min(np.unique(there).size, YEAR_DAYS)
    years = count / in_a_year
    if round(years, 1) >= FEWEST_YEARS:
        return
    days = window.days if window.days > 1 else 30
    first, last = map(iso, series.span)
    raise FlexclimError(
        f"the {years:.1f} years of {series.role} ({first} to {last}) hold "
        f"{round(years * (1 if monthly else days))} values in a window, too few for quantiles. "
        f"Pass at least {FEWEST_YEARS} years, better 30, and select shorter periods of the result."
    )
