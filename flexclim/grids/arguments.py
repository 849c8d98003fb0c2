"""Arguments of public functions, checked where they enter."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from textwrap import shorten

import xarray as xr

from flexclim.errors import FlexclimError


def shown(value: object) -> str:
    """Return a value in one short line, for an error.

    >>> shown("6h"), shown(xr.DataArray([1.0, 2.0]))
    ("'6h'", '<DataArray>')
    """
    if isinstance(value, str | int | float | None):
        return shorten(repr(value), 60, placeholder=" ...")
    if isinstance(value, xr.DataArray | xr.Dataset):
        return f"<{type(value).__name__}>"
    return shorten(" ".join(repr(value).split()), 60, placeholder=" ...")


def is_whole(value: object) -> bool:
    """Return whether a value is an integer, Python's or numpy's; booleans are none.

    >>> is_whole(3), is_whole(3.0), is_whole(True), is_whole(int)
    (True, False, False, False)
    """
    if isinstance(value, bool):
        return False
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def is_one_of(value: object, known: Iterable[object]) -> bool:
    """Return whether a value is one of some texts or None; arrays are none of them.

    >>> is_one_of("cell", ("cell", "point")), is_one_of(["cell"], ("cell", "point"))
    (True, False)
    """
    return any(value is one or (isinstance(value, str) and value == one) for one in known)


def names_of(variables: object) -> list[str] | None:
    """Return names of variables, given as one or as several; None stays None.

    Raises
    ------
    FlexclimError
        If it is neither a name nor names.

    >>> names_of("u10"), names_of(("u10", "v10"))
    (['u10'], ['u10', 'v10'])
    """
    if variables is None:
        return None
    if isinstance(variables, str):
        return [variables]
    try:
        names = list(variables)  # type: ignore[call-overload]
    except TypeError:
        names = [variables]
    for name in names:
        if not isinstance(name, str):
            raise FlexclimError(
                f"variables={shown(variables)} are no names. Give a list of them, such as "
                '["u10", "v10"].'
            )
    return [str(name) for name in names]


def check_fields(obj: object) -> None:
    """Raise FlexclimError unless an object is a Dataset, or a DataArray that could be in one."""
    if isinstance(obj, xr.Dataset):
        return
    if isinstance(obj, xr.DataArray):
        for dim in obj.dims:
            if dim in obj.coords and dim not in obj.coords.variables[dim].dims:
                raise FlexclimError(
                    f"{dim!r} is a dimension and a scalar coordinate. Drop the latter with "
                    f".drop_vars({dim!r})."
                )
        return
    raise FlexclimError(
        f"{shown(obj)} is neither an xarray Dataset nor a DataArray. Open a file with "
        "xarray.open_dataset first; give an array coordinates, as xarray.DataArray does."
    )
