"""Daily precipitation in millimetres, whatever the units of a file."""

from __future__ import annotations

import xarray as xr

from flexclim.cf.conversion import conversion
from flexclim.cf.variable_names import is_quantity, quantity_named
from flexclim.errors import FlexclimError

WET_DAY = 1.0  # mm, as in the indices of ETCCDI
MILLIMETRES_A_DAY = "mm d-1"


def is_total_precipitation(field: xr.DataArray) -> bool:
    """Return whether a field holds all precipitation, rather than snow alone or the like.

    >>> [is_total_precipitation(xr.DataArray(name=name)) for name in ("pr", "tas", "prsn")]
    [True, False, False]
    """
    known = quantity_named("pr")
    assert known is not None
    return is_quantity(field, known)


def millimetres_a_day(field: xr.DataArray, role: str) -> xr.DataArray:
    """Return daily precipitation in mm d-1; amounts are those of each day.

    Raises
    ------
    FlexclimError
        If it is no precipitation, or has no units of it.

    >>> rain = xr.DataArray([1.0], name="pr", attrs={"units": "kg m-2 s-1"})
    >>> millimetres_a_day(rain, "field").values
    array([86400.])
    """
    if not is_total_precipitation(field):
        raise FlexclimError(
            f"the {role} is {field.name!r}, which is not known as precipitation. Name a threshold, "
            "or set its standard_name, for example to 'precipitation_flux'."
        )
    units = str(field.attrs.get("units", ""))
    change = conversion(units, MILLIMETRES_A_DAY, water=True) if units else None
    change = change or (conversion(units, "mm", water=True) if units else None)
    if change is None:
        raise FlexclimError(
            f"{field.name!r} of the {role} is in {units!r}, which is neither a rate nor a daily "
            "amount of precipitation. Correct its units attribute, for example to 'kg m-2 s-1'."
        )
    attributes = {**field.attrs, "units": MILLIMETRES_A_DAY}
    return (field if change.changes_nothing else change(field)).assign_attrs(attributes)
