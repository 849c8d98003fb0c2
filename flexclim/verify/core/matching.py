"""The points of two fields in one order, after checking that they are the same points.

The same points may have other names, another order, longitudes that begin elsewhere, other units
or calendars, and coordinates that were rounded.
"""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from flexclim.cf.times import calendar_of
from flexclim.errors import AlignmentError, FlexclimWarning
from flexclim.grids.cell_corners import unit_vectors
from flexclim.verify.core.curvilinear import (
    distance,
    find_positions,
    median_spacing,
)
from flexclim.verify.core.dates import dates_of_both, differing_calendars, time_numbers
from flexclim.verify.core.dimension_names import SharedDimension, meaning_of, shared_dimensions
from flexclim.verify.core.geometry import is_angle
from flexclim.verify.core.rounding import tolerance, typical_step

# Degrees: longitudes shifted from 0..360 to -180..180 were rounded at values this large.
TURN = 540.0
# Of a spacing: positions of fine cells that were interpolated from coarse ones differ by less from
# those of a curvilinear grid, apart from its folds.
NEAR = 0.25
# Units of lengths in metres and of pressures in pascal.
UNITS = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), ("length", 1.0)),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), ("length", 1e3)),
    **dict.fromkeys(("Pa", "pascal", "pascals"), ("pressure", 1.0)),
    **dict.fromkeys(("hPa", "mbar", "mb", "millibar", "millibars"), ("pressure", 100.0)),
}


def match_points(
    field: xr.DataArray, truth: xr.DataArray, name: str = "forecast"
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return two fields at the same points, with the names, order and values of ``truth``.

    Parameters
    ----------
    field
        Any dimensions; its coordinates along other dimensions are kept.
    truth
        The field whose coordinates are used.
    name
        What ``field`` is called in error messages.

    Returns
    -------
    field, truth
        Without the dates that the calendar of the other lacks, such as 29 February.

    Raises
    ------
    AlignmentError
        If coordinates differ by more than :func:`tolerance` allows.

    Warns
    -----
    FlexclimWarning
        If dates are left out.
    """
    for both in shared_dimensions(field, truth):
        field, truth = _common_dates(both, field, truth, name)
    renamed, known = {}, []
    for both in shared_dimensions(field, truth):
        _check_size(both, field, truth, name)
        order: np.ndarray | slice | None = None
        for here, there in both.coordinates:
            here = here if order is None else here.isel({both.own: order})
            moved = _order(here, there, truth, name, movable=here is both.coordinates[0][0])
            order = order if moved is None else moved
        field = field if order is None else field.isel({both.own: order})
        if both.own != both.name:
            renamed[both.own] = both.name
        if both.coordinates and both.name in truth.coords:
            known.append(both.name)
    _check_positions(field, truth, renamed, name)
    levels = {d for c in field.xindexes if c not in field.dims for d in field[c].dims}
    stray = [c for c in field.coords if c not in field.dims or c in renamed or c in levels]
    field = field.drop_vars(stray).rename(renamed)
    return field.assign_coords({dim: truth[dim] for dim in known}), truth


def check_coordinates(
    field: xr.DataArray, truth: xr.DataArray, name: str = "forecast"
) -> xr.DataArray:
    """Return ``field`` at all points of ``truth``, as :func:`match_points` does.

    Raises
    ------
    AlignmentError
        If coordinates differ, or the calendar of ``field`` lacks dates of the truth.
    """
    field, common = match_points(field, truth, name)
    for dim, size in truth.sizes.items():
        if common.sizes[dim] < size:
            raise AlignmentError(
                f"the calendar of the {name} lacks {size - common.sizes[dim]} of {size} dates "
                f"along {dim!r} of the truth. Convert it with .convert_calendar first."
            )
    return field


def _common_dates(
    both: SharedDimension, field: xr.DataArray, truth: xr.DataArray, name: str
) -> tuple[xr.DataArray, xr.DataArray]:
    """Leave out the dates of each field that the calendar of the other lacks."""
    for here, there in both.coordinates:
        if differing_calendars(here, there):
            mine, theirs = dates_of_both(here, there)
            _warn_of_dates(here, mine, name, calendar_of(there))
            _warn_of_dates(there, theirs, "truth", calendar_of(here))
            return field.isel({both.own: mine}), truth.isel({both.name: theirs})
    return field, truth


def _warn_of_dates(times: xr.DataArray, kept: np.ndarray, role: str, calendar: str) -> None:
    if not kept.all():
        warnings.warn(
            f"{int((~kept).sum())} of {kept.size} times of the {role} are left out, first "
            f"{_show(times.values[~kept][0])}: the calendar {calendar!r} of the other field lacks "
            "these dates.",
            FlexclimWarning,
            stacklevel=2,
        )


def _check_size(both: SharedDimension, field: xr.DataArray, truth: xr.DataArray, name: str) -> None:
    mine, theirs = field.sizes[both.own], truth.sizes[both.name]
    if mine == theirs:
        return
    message = f"{both.name!r} has {mine} values in the {name} but {theirs} in the truth"
    for here, there in both.coordinates[:1]:
        message += _unmatched(here, there, name)
    raise AlignmentError(f"{message}. Select the part that both have.")


def _unmatched(here: xr.DataArray, there: xr.DataArray, name: str) -> str:
    """Name the first value that only one of two coordinates has."""
    left, right = _numbers(here, there)
    for mine, other, own, side in ((left, right, here, name), (right, left, there, "truth")):
        alone = np.flatnonzero(~np.isin(mine, other))
        if alone.size:
            return f"; {_show(own.values[alone[0]])} is only in the {side}"
    return ""


def _order(
    here: xr.DataArray, there: xr.DataArray, truth: xr.DataArray, name: str, *, movable: bool
) -> np.ndarray | slice | None:
    """Return the indices that bring a coordinate into the truth's order; None if it is in it."""
    left, right = _numbers(here, there)
    angle = is_angle(truth, str(there.name))
    allowed = 0.0
    if there.dtype.kind not in "OUS":
        allowed = tolerance(left, right, TURN if angle else 0.0, angle=angle)
    distance = left.astype(float) - right.astype(float)
    different = ~(np.abs(distance) <= allowed)  # a NaN matches nothing
    if not different.any():
        return None
    if movable:
        columns = angle and meaning_of(there) == "X"
        order = _permutation(left.astype(float), right.astype(float), allowed, columns)
        if order is not None:
            return order
    first = int(np.argmax(different))
    message = (
        f"{there.name!r} differs in {int(different.sum())} of {here.size} values, first at index "
        f"{first}: {_show(here.values[first])} in the {name}, {_show(there.values[first])} in the "
        "truth"
    )
    raise AlignmentError(
        f"{message}{_largest(here, there, distance, right)}. Regrid or select until they match."
    )


def _check_positions(
    field: xr.DataArray, truth: xr.DataArray, renamed: dict[str, str], name: str
) -> None:
    """Check that cells with 2-D latitudes and longitudes lie at the same places."""
    mine, theirs = find_positions(field), find_positions(truth)
    if mine is None or theirs is None:
        return
    names = {own: new for own, new in renamed.items() if own in mine[0].dims}
    if {names.get(str(d), d) for d in mine[0].dims} != set(theirs[0].dims):
        return
    latitude, longitude = (one.rename(names).transpose(*theirs[0].dims).values for one in mine)
    here, there = (latitude, longitude), (theirs[0].values, theirs[1].values)
    if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(here, there, strict=True)):
        return
    apart, step = distance(unit_vectors(*here), unit_vectors(*there)), median_spacing(*there)
    middle = np.nanmedian(apart) if np.isfinite(apart).any() else 0.0
    if middle > NEAR * step:
        place = np.unravel_index(int(np.nanargmax(apart)), apart.shape)
        raise AlignmentError(
            f"the cells of the {name} lie elsewhere than those of the truth: half of them by more "
            f"than {middle:.4g} degrees, {middle / step:.3g} of a spacing; the farthest at "
            f"{theirs[0].name!r} {here[0][place]:g} and {there[0][place]:g}, {theirs[1].name!r} "
            f"{here[1][place]:g} and {there[1][place]:g}. Regrid, select or flip until they match."
        )


def _permutation(
    left: np.ndarray, right: np.ndarray, allowed: float, columns: bool
) -> np.ndarray | slice | None:
    """Return the indices that bring ``left`` into the order of ``right``; columns wrap around."""
    if columns:
        cut = np.nanmin(right) - typical_step(right) / 2
        left, right = (left - cut) % 360, (right - cut) % 360
    mine, theirs = np.argsort(left, kind="stable"), np.argsort(right, kind="stable")
    same = (np.abs(left[mine] - right[theirs]) <= allowed).all()
    if not same or (np.diff(right[theirs]) <= allowed).any():  # repeated values have no order
        return None
    order = np.empty_like(mine)
    order[theirs] = mine
    if np.array_equal(order, np.arange(order.size)[::-1]):
        return slice(None, None, -1)  # dask keeps its chunks
    return order


def _numbers(here: xr.DataArray, there: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of two coordinates as numbers with one unit; of text, numbers of words."""
    times = time_numbers(here, there)
    if times is not None:
        return times
    left, right = here.values, there.values
    if left.dtype.kind in "fiu" and right.dtype.kind in "fiu":
        (kind, size), (other, unit) = (
            UNITS.get(str(one.attrs.get("units")), ("", 1.0)) for one in (here, there)
        )
        return (left * (size / unit) if kind == other and size != unit else left), right
    words = [str(value) for value in (*left, *right)]
    codes = np.unique(np.array(words, str), return_inverse=True)[1]
    return codes[: left.size], codes[left.size :]


def _largest(
    here: xr.DataArray, there: xr.DataArray, distance: np.ndarray, right: np.ndarray
) -> str:
    """Say how large the largest difference is, of times and numbers."""
    most = np.abs(distance).max()
    if time_numbers(here, there) is not None:
        text = f"{most / 86400:g} days" if most >= 172800 else f"{most / 3600:g} h"
        return f"; the largest difference is {text}"
    if here.dtype.kind in "fiu" and there.dtype.kind in "fiu":
        step = most / typical_step(right)
        return f"; the largest difference is {most:.6g}, {step:.3g} of a spacing"
    return ""


def _show(value: object) -> str:
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[s]"))
    if isinstance(value, np.timedelta64):
        return f"{value / np.timedelta64(1, 'h'):g} h"
    return f"{value:.6g}" if isinstance(value, np.number) else str(value)
