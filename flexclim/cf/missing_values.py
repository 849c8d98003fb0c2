"""Missing values: decoded where attributes declare them, refused where nothing does.

xarray decodes ``_FillValue`` and ``missing_value`` when it opens a file, unless it is told not to;
it never applies ``valid_range``. NaN means missing everywhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr

from flexclim.cf.units import cf_units
from flexclim.errors import FlexclimError, warn

LARGEST = 1e30  # larger numbers are undeclared fill values, such as 9.97e36
# Numbers with which files mark missing values, wherever they occur, and where they lie apart from
# all other values: of NetCDF, CMIP, GRIB, MERRA-2, GrADS and packed types.
FILLS = 1e20, 9.969209968386869e36, 9.999e20
ISOLATED_FILLS = (
    *(1e15, 9.99e8, 99.9, 999.0, 999.9, 9999.0, 9999.9, 99999.0, 999999.0, 32767.0, 32768.0),
    *(65535.0, 99.0, 999.99, 9999.99, 2147483647.0, 2147483648.0),
)
POSITIVE_FILLS = frozenset((1e15, 9999.0, 99999.0, 999999.0, 32767.0, 65535.0))
CLOSE = 1e-7  # relative distance within which float types and files round a fill value
DECLARATIONS = "_FillValue", "missing_value", "valid_range", "valid_min", "valid_max"
# Absolute values that no field of the atmosphere or the ocean has, by units.
IMPOSSIBLE = dict.fromkeys(("K", "kelvin", "degC", "degrees_Celsius", "m s-1", "m/s"), 5000.0)
# Rounding leaves values as far outside a valid range, relative to its largest number.
ROUNDING = 1e-3
EVERYTHING = -math.inf, math.inf


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What a field's attributes declare as missing.

    Parameters
    ----------
    codes
        Numbers that mark missing values.
    valid
        Lowest and highest valid value; infinite where there is none.
    largest
        Absolute value that no field in these units exceeds.
    """

    codes: tuple[float, ...] = ()
    valid: tuple[float, float] = EVERYTHING
    largest: float = LARGEST


NOTHING = Declared()


def declared(field: xr.DataArray, units: str = "") -> Declared:
    """Read what a field's attributes declare as missing.

    >>> field = xr.DataArray(attrs={"missing_value": -9999.0, "valid_min": 0.0})
    >>> found = declared(field)
    >>> found.codes, found.valid
    ((-9999.0,), (0.0, inf))
    """
    codes = [
        code
        for key in ("_FillValue", "missing_value")
        for code in numbers_in(field.attrs.get(key))
        if not math.isnan(code)
    ]
    return Declared(
        codes=tuple(dict.fromkeys(codes)),
        valid=_valid_range(field),
        largest=IMPOSSIBLE.get(units, LARGEST),
    )


def decoded(values: np.ndarray, known: Declared, name: str, where: str = "") -> np.ndarray:
    """Set declared missing values to NaN, and check that no others are left.

    Parameters
    ----------
    values
        Of any shape, in memory; not changed. Integers become floats where some are missing.
    known
        From :func:`declared`.
    name, where
        As for :func:`check_values`.

    Raises
    ------
    FlexclimError
        If all values lie outside the valid range, or undeclared fill values are left.

    Warns
    -----
    FlexclimWarning
        If some values lie outside the valid range.
    """
    values = masked(values, known, name, where)
    check_values(values, name, where, known.largest)
    return values


def masked(values: np.ndarray, known: Declared, name: str, where: str = "") -> np.ndarray:
    """Set declared missing values to NaN; like :func:`decoded`, but others are not looked for."""
    if not known.codes and known.valid == EVERYTHING:
        return values
    missing = np.zeros(values.shape, bool)
    for code in known.codes:
        missing |= np.isclose(values, code, rtol=CLOSE, atol=0)
    if known.valid != EVERYTHING:
        missing |= _invalid(np.where(missing, np.nan, values), *known.valid, name, where)
    if not missing.any():
        return values
    dtype = np.result_type(values.dtype, np.float32)
    return np.where(missing, dtype.type(np.nan), values.astype(dtype))


def decoded_field(field: xr.DataArray, plane: Sequence[str] = ()) -> xr.DataArray:
    """Return a field with :func:`decoded` values, lazily if it is lazy.

    Needed before values are changed, since its attributes hold for the values in the file; those
    that declare missing values are dropped.

    Parameters
    ----------
    plane
        Dimensions of its rows and columns. Default: the last two.
    """
    known = declared(field, cf_units(str(field.attrs.get("units", ""))))
    kept = {key: value for key, value in field.attrs.items() if key not in DECLARATIONS}
    rows_columns = list(plane or field.dims[-2:])
    whole = field if field.chunks is None else field.chunk(dict.fromkeys(rows_columns, -1))
    result: xr.DataArray = xr.apply_ufunc(
        partial(decoded, known=known, name=str(field.name)),
        whole,
        input_core_dims=[rows_columns],
        output_core_dims=[rows_columns],
        dask="parallelized",
        output_dtypes=[np.result_type(field.dtype, np.float32)],
        keep_attrs=False,
    )
    return result.transpose(*field.dims).assign_attrs(kept)


def check_values(array: np.ndarray, name: str, where: str, largest: float = LARGEST) -> None:
    """Check that there are no infinite values or undeclared fill values; NaN means missing.

    Parameters
    ----------
    array
        Values (..., y, x), in memory.
    name
        Name of the variable, for the message.
    where
        Part of the variable, such as ``"time 2018-09-14T18"``; may be empty.
    largest
        Absolute value that none exceeds.

    Raises
    ------
    FlexclimError
        If there are some.
    """
    if array.size == 0:
        return
    # Two reductions need no temporary array; fmin and fmax ignore NaN.
    ends = [float(f.reduce(array, axis=None)) for f in (np.fmin, np.fmax)]
    place = f" at {where}" if where else ""
    if max(map(abs, ends)) > LARGEST:
        bad = np.abs(array.astype(np.float64)) > LARGEST
        raise FlexclimError(
            f"{name!r} has {int(bad.sum())} infinite or fill values{place}, such as "
            f"{array[bad][0]:.4g}. Mask them with .where(abs({name}) < 1e30)."
        )
    for end in dict.fromkeys(ends):
        if fill := _fill_value(end, array):
            count = int(np.isclose(array, fill, rtol=CLOSE, atol=0).sum())
            raise FlexclimError(
                f"{name!r} has {count} values of {fill:.10g}{place}, far from all others: a fill "
                f"value that no attribute declares. Mask them with .where({name} != {end!r})."
            )
        if abs(end) > largest:
            raise FlexclimError(
                f"{name!r} reaches {end:.4g}{place}, which is impossible in its units. Mask such "
                f"values with .where(abs({name}) < {largest:g}), or correct the units."
            )


def _fill_value(end: float, array: np.ndarray) -> float | None:
    """Return the fill value that a lowest or highest value is; None if it is an ordinary one."""
    for size in FILLS:
        if math.isclose(abs(end), size, rel_tol=CLOSE):
            return math.copysign(size, end)
    for size in ISOLATED_FILLS:
        if math.isclose(abs(end), size, rel_tol=CLOSE) and (end < 0 or size in POSITIVE_FILLS):
            planes = array.reshape(-1, *array.shape[-2:]) if array.ndim > 2 else [array]
            if any(_isolated(plane, end) for plane in planes):
                return math.copysign(size, end)
    return None


def _isolated(plane: np.ndarray, fill: float) -> bool:
    """Return whether a value occurs that lies further from the others than they from another."""
    there = np.isclose(plane, fill, rtol=CLOSE, atol=0)
    others = plane[~there & ~np.isnan(plane)].astype(float)
    if not there.any() or others.size == 0:
        return False
    return bool(np.abs(others - fill).min() > np.ptp(others))


def _invalid(values: np.ndarray, low: float, high: float, name: str, where: str) -> np.ndarray:
    slack = ROUNDING * max((abs(end) for end in (low, high) if math.isfinite(end)), default=0.0)
    invalid: np.ndarray = ((values < low - slack) | (values > high + slack)) & np.isfinite(values)
    if not invalid.any():
        return invalid
    span = f"{low:g} to {high:g}".replace("-inf to", "up to").replace(" to inf", " or more")
    place = f" at {where}" if where else ""
    axes = tuple(range(values.ndim))[-2:]
    if ((invalid | np.isnan(values)).all(axes) & invalid.any(axes)).any():
        raise FlexclimError(
            f"all values of a plane of {name!r}{place} lie outside its valid range ({span}), such "
            f"as {values[invalid][0]:.4g}. Drop valid_range, valid_min and valid_max from its "
            "attributes where they are those of other values."
        )
    warn(
        f"values of {name!r} outside its valid range ({span}) are taken as missing. Drop "
        "valid_range, valid_min and valid_max from its attributes to keep them."
    )
    return invalid


def _valid_range(field: xr.DataArray) -> tuple[float, float]:
    """Return the valid range in the units of unpacked values."""
    attributes = field.attrs
    stated = [attributes.get("valid_range")] * 2
    if len(numbers_in(stated[0])) != 2:
        stated = [attributes.get("valid_min"), attributes.get("valid_max")]
    low = _unpacked(stated[0], 0, -math.inf, field)
    high = _unpacked(stated[1], -1, math.inf, field)
    return min(low, high), max(low, high)  # a negative scale factor turns them


def _unpacked(stated: object, position: int, default: float, field: xr.DataArray) -> float:
    """Return one end of a valid range.

    One of an integer type is packed, as the values in the file were, and unsigned where these were
    (netCDF's ``_Unsigned``). Where their packing is unknown, a short integer says nothing.
    """
    numbers = numbers_in(stated)
    if not numbers or math.isnan(numbers[position]):
        return default
    kind = np.asarray(stated).dtype
    if kind.kind not in "iu" or field.dtype.kind != "f":
        return numbers[position]
    number = numbers[position]
    unsigned = str(field.encoding.get("_Unsigned", "")).lower()
    if unsigned == "true" and number < 0:
        number += 2 ** (8 * kind.itemsize)
    elif unsigned == "false" and kind.kind == "u" and number >= 2 ** (8 * kind.itemsize - 1):
        number -= 2 ** (8 * kind.itemsize)
    packing = [numbers_in(field.encoding.get(key)) for key in ("scale_factor", "add_offset")]
    if any(packing):
        scale, offset = (*packing[0], 1.0)[0], (*packing[1], 0.0)[0]
        unpacked = number * scale + offset
        return default if math.isnan(unpacked) else unpacked
    return default if kind.itemsize <= 2 else number


def numbers_in(stated: object) -> tuple[float, ...]:
    """Return the numbers of an attribute, which may be a text."""
    if stated is None:
        return ()
    if isinstance(stated, str):
        words = re.split(r"[,\s]+", stated.strip(" ,[]()").rstrip("fFdD"))
    else:
        words = np.asarray(stated).ravel().tolist()
    try:
        return tuple(float(word) for word in words if word != "")
    except (TypeError, ValueError):
        return ()
