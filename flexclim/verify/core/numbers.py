"""Values of fields as floating-point numbers that are safe to subtract."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from flexclim.cf.missing_values import DECLARATIONS, Declared, decoded
from flexclim.cf.quantities import FieldProperties
from flexclim.errors import AlignmentError, FlexclimError
from flexclim.grids.attributes import with_plain_attributes

REMEDIES = {
    "m": "Divide by a unit first, for example field / np.timedelta64(1, 'h').",
    "M": "Score the number of days or hours since a date instead.",
    "c": "Score its real part, its imaginary part or its absolute value.",
}


def as_numbers(field: xr.DataArray, role: str) -> xr.DataArray:
    """Return ``field`` in native float32 or float64; lazy if it is.

    Integers and booleans wrap around or fail when they are subtracted, float16 overflows in sums,
    and compiled functions take neither long doubles nor foreign byte orders. float32 holds small
    integers, booleans and float16 exactly; all else becomes float64. Values that attributes
    declare as missing become NaN.

    Parameters
    ----------
    field
        Any dimensions; numbers, booleans, or objects that hold numbers or None.
    role
        What the field is called in error messages, such as ``"forecast"``.

    Raises
    ------
    AlignmentError
        If ``field`` is no DataArray.
    FlexclimError
        If its values are no real numbers, or are packed, infinite or fill values.
    """
    if not isinstance(field, xr.DataArray):
        raise AlignmentError(
            f"the {role} is of type {type(field).__name__}, where a DataArray is needed. Wrap an "
            "array as xr.DataArray(values, coords, dims), or select one variable of a Dataset."
        )
    field = with_plain_attributes(field)
    target, known = _target(field, role), FieldProperties.of(field).missing
    if field.chunks is None and field.dtype == target and field.dtype.isnative:
        values = field.values
        found = decoded(values, known, role)
        return _without_declarations(field if found is values else field.copy(data=found))
    result: xr.DataArray = xr.apply_ufunc(
        partial(_convert, role=role, target=target, known=known),
        field,
        dask="parallelized",
        output_dtypes=[target],
        keep_attrs=True,
    )
    return _without_declarations(result)


def _without_declarations(field: xr.DataArray) -> xr.DataArray:
    """Drop what declares missing values, which does not hold once values change."""
    if not set(DECLARATIONS) & field.attrs.keys():
        return field
    kept = {key: value for key, value in field.attrs.items() if key not in DECLARATIONS}
    return field.drop_attrs(deep=False).assign_attrs(kept)


def _target(field: xr.DataArray, role: str) -> np.dtype:
    """Return the type in which values of ``field`` are scored."""
    dtype = field.dtype
    kind = getattr(dtype, "kind", "O")
    if kind not in "biufO":
        remedy = REMEDIES.get(kind, "Convert them with .astype(float).")
        raise FlexclimError(f"the {role} holds values of type {dtype}, not real numbers. {remedy}")
    packing = [key for key in ("scale_factor", "add_offset") if key in field.attrs]
    if packing and kind in "iu":
        raise FlexclimError(
            f"the {role} holds packed values, with {' and '.join(packing)} unapplied. Pass it "
            "through xr.decode_cf, or open it with mask_and_scale=True."
        )
    narrow = kind != "O" and np.can_cast(dtype, np.float32, "safe")
    return np.dtype(np.float32 if narrow else np.float64)


def _convert(values: object, role: str, target: np.dtype, known: Declared) -> np.ndarray:
    try:
        numbers = np.asarray(values).astype(target, copy=False)
    except (TypeError, ValueError) as error:
        raise FlexclimError(
            f"the {role} holds objects that are not numbers: {error}. Convert them to "
            "numbers first."
        ) from error
    return decoded(numbers, known, role)
