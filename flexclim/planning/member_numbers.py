"""Numbers of the members, which their noise depends on."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from flexclim.cf.ensembles import REALIZATION, numbers_of
from flexclim.errors import FlexclimError

MEMBERS = 8  # default ensemble size


def member_numbers(fields: Sequence[xr.DataArray], members: int | None) -> tuple[int, ...]:
    """Return the members' numbers: those of an input ensemble among the fields, else 0, 1, ...

    Raises
    ------
    FlexclimError
        If the ensemble has another number of members than was asked for, or its members have no
        distinct whole numbers.
    """
    field = next((one for one in fields if REALIZATION in one.dims), None)
    if field is None:
        return tuple(range(members or MEMBERS))
    count = field.sizes[REALIZATION]
    if members not in (None, count):
        raise FlexclimError(
            f"{field.name!r} has {count} members, and each gets one output member, so "
            f"members={members} is impossible. Leave members out, or select members first."
        )
    values = numbers_of(field)
    distinct = values.dtype.kind in "iu" and len(set(values.tolist())) == count
    if not distinct or values.min() < 0 or values.max() >= 2**31:
        raise FlexclimError(
            f"members of {field.name!r} must have distinct whole numbers from 0 to {2**31 - 1}; "
            f"they have {', '.join(map(str, values[:3]))}. Assign numbers along their dimension "
            f"with .assign_coords, such as range({count})."
        )
    return tuple(values.tolist())
