"""How fields of each kind are resampled, and what their Dataset says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import xarray as xr

from flexclim.cf.directions_and_categories import average_directions
from flexclim.cf.quantities import FieldProperties
from flexclim.errors import warn
from flexclim.grids.regridding.targets import Target

ALL = slice(None)


class Change(Protocol):
    """Changes canonical planes (..., y, x)."""

    def __call__(self, values: np.ndarray, *, vector: bool = False) -> np.ndarray:
        """Return other planes; ``vector``: they change sign at a pole."""


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How fields are resampled.

    Parameters
    ----------
    mean
        Changes the planes of most fields.
    categories
        Changes canonical planes of flags and categories.
    action
        For the history.
    cell_methods
        Of most fields, and of categories.
    word
        What is done with categories, for a warning; empty: what was asked for.
    """

    mean: Change
    categories: Callable[[np.ndarray], np.ndarray]
    action: str
    cell_methods: tuple[str, str] = ("", "")
    word: str = ""


def change_of(properties: FieldProperties, how: Resampling) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that changes canonical planes of a field."""
    if properties.category:
        return how.categories
    if (period := properties.period) is not None:
        # Its unit vectors have eastward and northward components.
        return lambda values: average_directions(values, period, partial(how.mean, vector=True))
    return partial(how.mean, vector=properties.vector)


def record_method(field: xr.DataArray, properties: FieldProperties, how: Resampling) -> None:
    """State in a field's attributes how it was resampled; warn of categories."""
    comment = str(field.attrs.get("comment", ""))
    if properties.category:
        if how.word:
            comment = f"{comment} Of its categories, {how.word}.".strip()
            warn(f"{field.name!r} holds flags or categories: {how.word}.")
        for key in ("flag_values", "flag_masks"):
            if key in field.attrs and not isinstance(field.attrs[key], str):
                field.attrs[key] = np.asarray(field.attrs[key]).astype(field.dtype)
    elif properties.period is not None:
        comment = f"{comment} Directions are averaged as unit vectors.".strip()
    if comment:
        field.attrs["comment"] = comment
    field.attrs = with_cell_method(field.attrs, how.cell_methods[properties.category])


def with_cell_method(attributes: dict[Any, Any], method: str) -> dict[Any, Any]:
    """Return attributes whose cell methods end with ``method``, if it is not among them.

    >>> with_cell_method({"cell_methods": "time: mean"}, "area: mean")
    {'cell_methods': 'time: mean area: mean'}
    """
    known = str(attributes.get("cell_methods", ""))
    return (
        attributes
        if method in known
        else {**attributes, "cell_methods": f"{known} {method}".strip()}
    )


def empty_text(empty: np.ndarray, target: Target, name: str, among: slice = ALL) -> str:
    """Return a warning of points or polygons over missing cells.

    Parameters
    ----------
    empty
        (m,) whether all values of a target are missing, of those that ``among`` selects.
    name
        Of the field.
    """
    at = int(np.flatnonzero(empty)[0])
    return (
        f"{int(empty.sum())} of {empty.size} {target.kind} lie on missing cells of {name!r} and "
        f"are NaN, the first at {target.name(np.arange(target.latitude.size)[among][at])}. Move "
        "them, or fill the field first."
    )


def variables_elsewhere(
    obj: xr.Dataset, described: xr.Dataset, dims: Iterable[str], *, stale: bool = False
) -> dict[Any, xr.Variable]:
    """Return the variables that don't lie on the grid of ``obj``; ``stale`` grid mappings do."""
    return {
        name: variable.variable
        for name, variable in obj.data_vars.items()
        if name not in described.variables
        and not set(dims) & set(variable.dims)
        and not (stale and "grid_mapping_name" in variable.attrs)
    }
