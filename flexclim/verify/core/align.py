"""Bring a forecast and its truth together, or say why they don't belong together.

The rule for missing values, the same for every score: a point counts only where the truth and all
members are there; a NaN in any of them takes the point out of the score.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import xarray as xr

from flexclim.cf.units import cf_units as spelled
from flexclim.errors import AlignmentError, FlexclimError
from flexclim.verify.core import kernel
from flexclim.verify.core.geometry import is_angle

MEMBER_NAMES = ("realization", "member", "number", "ensemble")
SNAP = 1e-4
# Degrees: longitudes that were moved from 0..360 to -180..180 were as large as this on the way.
TURN = 540.0


NO_POINT = (
    "no point has a truth and all members: every one holds a NaN, or the weights are zero. Check "
    "masks and units of both fields."
)


def find_member(obj: xr.DataArray | xr.Dataset) -> str | None:
    """Return the ensemble's dimension: by standard_name ``realization``, then by usual names.

    >>> find_member(xr.DataArray(np.zeros((2, 3)), dims=["number", "time"]))
    'number'
    """
    names = [str(name) for name in obj.dims]
    for name in names:
        if name in obj.coords and obj[name].attrs.get("standard_name") == "realization":
            return name
    return next((name for known in MEMBER_NAMES for name in names if name == known), None)


def need_member(obj: xr.DataArray | xr.Dataset, least: int = 1) -> str:
    """Return the ensemble's dimension, which must have ``least`` members.

    Raises
    ------
    FlexclimError
        If there is no such dimension, or too few members.
    """
    name = find_member(obj)
    if name is None:
        raise FlexclimError(
            f"no ensemble dimension among {tuple(obj.dims)}. Name it 'realization', or use a "
            "score of single fields such as verify.mae or verify.rmse."
        )
    if obj.sizes[name] < least:
        raise FlexclimError(
            f"{obj.sizes[name]} member along {name!r}, but this score needs at least {least}. "
            "Give a larger ensemble; verify.crps with estimator='ecdf' takes a single member."
        )
    return name


def align(forecast: xr.DataArray, truth: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return both with the same units, coordinates and order of dimensions, members first.

    Coordinates that differ by less than 1e-4 of a spacing, or by what their type rounds off,
    become the truth's. Truth is converted to the forecast's units.

    Raises
    ------
    AlignmentError
        If dimensions, sizes, coordinates or units differ: which, where and by how much.
    FlexclimError
        If a dimension is empty, or (of fields in memory) no point has a truth and all members.
    """
    member = find_member(forecast)
    others = [name for name in forecast.dims if name != member]
    if (extra := find_member(truth)) is not None:
        raise AlignmentError(
            f"the truth has an ensemble dimension, {extra!r} of {truth.sizes[extra]}. "
            "Choose one member with .isel, or swap forecast and truth."
        )
    if set(others) != set(truth.dims):
        raise AlignmentError(
            f"the forecast has dimensions {tuple(others)} beside its members, the truth "
            f"{tuple(truth.dims)}. Rename, expand or select until they are the same."
        )
    empty = [name for name in forecast.dims if forecast.sizes[name] == 0]
    if empty:
        raise FlexclimError(f"{empty[0]!r} is empty: the selection holds no values to compare.")
    forecast = check_coordinates(forecast, truth)
    order = truth.dims if member is None else (member, *truth.dims)
    forecast = forecast.transpose(*order)
    if forecast.chunks is None and truth.chunks is None:
        members = forecast.values if member is not None else forecast.values[None]
        _need_points(members, truth.values)
    return forecast, same_units(truth, forecast)


def check_coordinates(
    field: xr.DataArray, truth: xr.DataArray, name: str = "forecast"
) -> xr.DataArray:
    """Return ``field`` with the truth's coordinates along the dimensions that both have.

    ``name`` says in an error what ``field`` is.

    Raises
    ------
    AlignmentError
        If they differ.
    """
    shared = [dim for dim in field.dims if dim in truth.dims]
    for dim in shared:
        _compare_coordinate(str(dim), field, truth, name)
    field = field.drop_vars([c for c in field.coords if c not in field.dims])
    both = [dim for dim in shared if dim in truth.coords and dim in field.coords]
    return field.assign_coords({dim: truth[dim] for dim in both})


def same_units(truth: xr.DataArray, forecast: xr.DataArray) -> xr.DataArray:
    """Return ``truth`` in the units of ``forecast``; units that nobody states are taken as equal.

    Raises
    ------
    AlignmentError
        If the units can't be converted.
    """
    have, want = (spelled(str(field.attrs.get("units", ""))) for field in (truth, forecast))
    if have == want or not have or not want:
        return truth
    try:
        import cf_units  # type: ignore[import-untyped]
    except ImportError:  # udunits is optional: without it only equal units pass
        raise AlignmentError(
            f"the forecast is in {want!r}, the truth in {have!r}. Install cf-units to have them "
            "converted, or convert one of them."
        ) from None
    try:
        source, target = cf_units.Unit(have), cf_units.Unit(want)
        if source == target:
            return truth
        offset, one = source.convert(np.array([0.0, 1.0]), target)
    except ValueError:
        raise AlignmentError(
            f"the forecast is in {want!r}, the truth in {have!r}, which can't be converted into "
            "each other. Compare the same quantity, or correct the units attribute."
        ) from None
    converted = truth * (one - offset) + offset
    return converted.assign_attrs({**truth.attrs, "units": want})


def _compare_coordinate(name: str, field: xr.DataArray, truth: xr.DataArray, what: str) -> None:
    here, there = (f[name].values if name in f.coords else None for f in (field, truth))
    if field.sizes[name] != truth.sizes[name]:
        message = (
            f"{name!r} has {field.sizes[name]} values in the {what} but "
            f"{truth.sizes[name]} in the truth"
        )
        if here is not None and there is not None:
            message += _first_stranger(here, there, what)
        raise AlignmentError(f"{message}. Select the part that both have.")
    if here is None or there is None or here.size == 0:
        return
    if here.dtype.kind not in "fiu" or there.dtype.kind not in "fiu":
        different = here != there
        distance = here - there if here.dtype.kind in "mM" else None
    else:
        distance = here.astype(float) - there.astype(float)
        turn = TURN if is_angle(truth, name) else 0.0
        different = ~(np.abs(distance) <= tolerance(here, there, turn))  # NaN is no place
    if not np.any(different):
        return
    first = int(np.argmax(different))
    message = (
        f"{name!r} differs in {int(np.sum(different))} of {here.size} values, first at index "
        f"{first}: {_show(here[first])} in the {what}, {_show(there[first])} in the truth"
    )
    if distance is not None:
        message += f"; {_show(np.abs(distance).max())} apart at most"
        if distance.dtype.kind == "f":
            message += f", {np.abs(distance).max() / _typical_step(there):.3g} of a spacing"
    hint = "Regrid or select until they match"
    if np.array_equal(np.sort(here), np.sort(there)):
        hint = f"The same values stand in another order: use .sortby({name!r}) on both"
    raise AlignmentError(f"{message}. {hint}.")


def _need_points(members: np.ndarray, truth: np.ndarray) -> None:
    """Refuse fields without a single point that counts; most pass with their first block."""
    for slab in kernel.slabs(truth.shape):
        known = ~np.isnan(truth[slab])
        for member in members:
            known &= ~np.isnan(member[slab])
        if known.any():
            return
    raise FlexclimError(NO_POINT)


def tolerance(here: np.ndarray, there: np.ndarray, turn: float = 0.0) -> float:
    """Return how far two coordinates of one grid may lie apart.

    1e-4 of a spacing; where floats are coarser than that, one unit in the last place of each, at
    its largest value or at ``turn``, and never more than a tenth of a spacing.

    >>> fine = np.arange(0, 360, 0.01)
    >>> round(tolerance(fine, fine), 9), round(tolerance(fine.astype("float32"), fine), 9)
    (1e-06, 3.0518e-05)
    """
    step = _typical_step(there)
    return min(max(SNAP * step, _rounding(here, turn) + _rounding(there, turn)), 0.1 * step)


def _rounding(values: np.ndarray, turn: float) -> float:
    """Return one unit in the last place of the largest value, or of ``turn``; 0 for integers."""
    if values.dtype.kind != "f" or values.size == 0:
        return 0.0
    return float(np.spacing(np.maximum(np.abs(values).max(), values.dtype.type(turn))))


def _typical_step(values: np.ndarray) -> float:
    if values.size < 2:
        return 1.0
    return float(np.abs(np.diff(values.astype(float))).min()) or 1.0


def _first_stranger(here: np.ndarray, there: np.ndarray, what: str) -> str:
    for mine, other, side in ((here, there, what), (there, here, "truth")):
        strangers = mine[~np.isin(mine, other)]
        if strangers.size:
            return f"; {_show(strangers[0])} is only in the {side}"
    return ""


def _show(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[s]"))
    if isinstance(value, np.timedelta64):
        return f"{value / np.timedelta64(1, 'h'):g} h"
    return f"{value:.6g}" if np.issubdtype(type(value), np.number) else str(value)


def each_variable(score: Callable[..., Any]) -> Callable[..., Any]:
    """Let a score of two DataArrays take two Datasets: each variable that both have.

    A score that returns a Dataset gives names such as ``skill.u10``.
    """

    @wraps(score)
    def scored(forecast: Any, truth: Any, *args: Any, **options: Any) -> Any:
        if isinstance(forecast, xr.DataArray) and isinstance(truth, xr.DataArray):
            return own_attributes(score(forecast, truth, *args, **options), forecast, truth)
        names = common_variables(forecast, truth)
        found = {name: score(forecast[name], truth[name], *args, **options) for name in names}
        return join_variables(found)

    return scored


def own_attributes(result: Any, *fields: xr.DataArray) -> Any:
    """Take off what a score has from its fields: it has no standard_name and no valid range."""
    inherited = {key for field in fields for key in field.attrs} - {"units", "long_name"}
    for part in result.data_vars.values() if isinstance(result, xr.Dataset) else [result]:
        part.attrs = {k: v for k, v in part.attrs.items() if k not in inherited}
    return result


def common_variables(forecast: Any, truth: Any) -> list[str]:
    """Return the names of the variables that both Datasets have.

    Raises
    ------
    AlignmentError
        If there are none, or one of the two is not a Dataset.
    """
    if not (isinstance(forecast, xr.Dataset) and isinstance(truth, xr.Dataset)):
        kinds = (type(forecast).__name__, type(truth).__name__)
        raise AlignmentError(
            f"the forecast is a {kinds[0]}, the truth a {kinds[1]}. Give two DataArrays or two "
            "Datasets."
        )
    names = [
        str(name)
        for name in forecast.data_vars
        if name in truth.data_vars and forecast[name].ndim and truth[name].dtype.kind in "fiub"
    ]
    if not names:
        raise AlignmentError(
            f"no variable in common: the forecast has {list(forecast.data_vars)}, the truth "
            f"{list(truth.data_vars)}. Rename the variables."
        )
    return names


def join_variables(found: dict[str, Any]) -> xr.Dataset:
    """Join results by variable into one Dataset; parts of a result get ``part.variable``."""
    joined = {}
    for name, result in found.items():
        if isinstance(result, xr.Dataset):
            joined.update({f"{part}.{name}": result[part] for part in result.data_vars})
        else:
            joined[name] = result
    return xr.Dataset(joined)
