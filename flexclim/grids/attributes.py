"""Attributes that other code reads as text or numbers, whatever a file or a user made of them.

Files hold texts as bytes or arrays, and anything can be assigned in Python. What has a meaning is
turned into the type that CF asks for; what has none is left out, as if it were not there.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeVar, cast

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError

T = TypeVar("T", bound=xr.Dataset | xr.DataArray)

# CF: these hold text.
TEXTS = frozenset(
    (
        *("standard_name", "long_name", "units", "axis", "calendar", "positive", "cell_methods"),
        *("units_metadata", "bounds", "climatology", "coordinates", "grid_mapping", "geometry"),
        *("cell_measures", "ancillary_variables", "formula_terms", "node_coordinates"),
        *("flag_meanings", "grid_mapping_name", "grid_name"),
    )
)
NUMBERS = frozenset(("flag_values", "flag_masks"))
# Of the rows of a result: whether it holds cells or points, where coordinates do not tell.
GRID_KIND = "flexclim_grid"


def with_plain_attributes(obj: T) -> T:
    """Return an object whose attributes have the types of CF; the same one if all have.

    Quantities of pint become plain arrays with an attribute ``units``. Anything but a Dataset or
    DataArray is returned as it is.

    >>> field = xr.DataArray(0.0, attrs={"units": b"K", "standard_name": None, "note": [1, 2]})
    >>> with_plain_attributes(field).attrs
    {'units': 'K', 'note': [1, 2]}
    """
    if not isinstance(obj, xr.Dataset | xr.DataArray):
        return obj
    obj = _without_pint(obj)
    variables = obj.variables if isinstance(obj, xr.Dataset) else obj.coords
    changed = {n: v.attrs for n, v in variables.items() if not _is_plain(v.attrs)}
    if not changed and _is_plain(obj.attrs):
        return obj
    result = cast(T, obj.copy(deep=False))
    for name, attributes in changed.items():
        result[name].attrs = plain_attributes(attributes)
    result.attrs = plain_attributes(obj.attrs)
    return result


def _without_pint(obj: T) -> T:
    """Return an object whose units are attributes, in the notation of UDUNITS."""
    everything = obj.variables.values() if isinstance(obj, xr.Dataset) else [obj.variable]
    coordinates = [one.variable for one in obj.coords.values()]
    # The public `data` would load variables that are read on first use.
    kinds = {type(one._data).__module__.partition(".")[0] for one in (*everything, *coordinates)}
    if "pint" not in kinds:
        return obj
    import cf_xarray.units  # noqa: F401  registers the format "cf" with pint

    if not hasattr(obj, "pint"):
        raise FlexclimError(
            "there are quantities of pint. Install pint-xarray to convert them: pip install "
            "pint-xarray."
        )
    return cast(T, obj.pint.dequantify(format="cf"))


def kind_text(kind: str, spacing: float) -> str:
    """Return the value of ``GRID_KIND``; with other rows, such as means of several, it is void.

    >>> kind_text("point", -0.25)
    'point every 0.25'
    """
    return kind if np.isnan(spacing) else f"{kind} every {abs(spacing):.6g}"


def remembered_kind(attributes: Mapping[Any, object], spacing: float) -> str | None:
    """Return the kind that the rows of an earlier result remember; None if there is none."""
    said = attributes.get(GRID_KIND)
    return next((kind for kind in ("cell", "point") if said == kind_text(kind, spacing)), None)


def plain_attributes(attributes: Mapping[Any, object]) -> dict[str, object]:
    """Return attributes with the types of CF.

    >>> plain_attributes({"units": np.float32(1), "bounds": ["lat_bnds"], "axis": 3})
    {'units': '1', 'bounds': 'lat_bnds'}
    """
    plain = {str(key): _plain(str(key), value) for key, value in attributes.items()}
    return {key: value for key, value in plain.items() if value is not None}


def _is_plain(attributes: Mapping[Any, object]) -> bool:
    return all(
        isinstance(key, str)
        and value is not None
        and (key not in TEXTS or isinstance(value, str))
        and key not in NUMBERS
        for key, value in attributes.items()
    )


def _plain(key: Hashable, value: object) -> object:
    """Return a value in the type of its attribute; None: it means nothing."""
    if key in TEXTS:
        return _text(key, value)
    return _numbers(value) if key in NUMBERS else value


def _text(key: Hashable, value: object) -> str | None:
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list | tuple) else np.ravel(np.asarray(value)).tolist()
    words = [one.decode(errors="replace") if isinstance(one, bytes) else one for one in parts]
    if words and all(isinstance(word, str) for word in words):
        return " ".join(words)
    if key == "units" and len(words) == 1 and _is_number(words[0]):
        return f"{float(words[0]):g}"  # such as 1
    return None


def _numbers(value: object) -> object:
    """Return numbers, or a text that may hold some; None if there are none."""
    if isinstance(value, str):
        return value
    found = np.ravel(np.asarray(value))
    return value if found.size and found.dtype.kind in "iuf" and np.isfinite(found).all() else None


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float | np.number)
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )
