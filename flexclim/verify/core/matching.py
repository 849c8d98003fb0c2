"""Whether the coordinates of two fields name the same points, within rounding."""

from __future__ import annotations

import numpy as np
import xarray as xr

from flexclim.errors import AlignmentError
from flexclim.verify.core.geometry import is_angle

SNAP = 1e-4  # of a spacing
# Degrees: longitudes shifted from 0..360 to -180..180 were rounded at values this large.
TURN = 540.0


def check_coordinates(
    field: xr.DataArray, truth: xr.DataArray, name: str = "forecast"
) -> xr.DataArray:
    """Return ``field`` with the truth's coordinates along the dimensions that both have.

    Parameters
    ----------
    field
        Any dimensions; its coordinates along other dimensions are kept.
    truth
        The field whose coordinates are used.
    name
        What ``field`` is called in error messages.

    Raises
    ------
    AlignmentError
        If coordinates differ by more than :func:`tolerance` allows.
    """
    shared = [dim for dim in field.dims if dim in truth.dims]
    for dim in shared:
        _check_size(str(dim), field, truth, name)
        _check_values(str(dim), field, truth, name)
    field = field.drop_vars([c for c in field.coords if c not in field.dims])
    both = [dim for dim in shared if dim in truth.coords and dim in field.coords]
    return field.assign_coords({dim: truth[dim] for dim in both})


def _check_size(dim: str, field: xr.DataArray, truth: xr.DataArray, name: str) -> None:
    if field.sizes[dim] == truth.sizes[dim]:
        return
    message = (
        f"{dim!r} has {field.sizes[dim]} values in the {name} but {truth.sizes[dim]} in the truth"
    )
    if dim in field.coords and dim in truth.coords:
        message += _unmatched(field[dim].values, truth[dim].values, name)
    raise AlignmentError(f"{message}. Select the part that both have.")


def _check_values(dim: str, field: xr.DataArray, truth: xr.DataArray, name: str) -> None:
    if dim not in field.coords or dim not in truth.coords or field.sizes[dim] == 0:
        return
    here, there = field[dim].values, truth[dim].values
    distance: np.ndarray | None = None
    if here.dtype.kind in "fiu" and there.dtype.kind in "fiu":
        distance = here.astype(float) - there.astype(float)
        turn = TURN if is_angle(truth, dim) else 0.0
        different = ~(np.abs(distance) <= tolerance(here, there, turn))  # a NaN matches nothing
    else:
        different = np.asarray(here != there)
        if here.dtype.kind in "mM":
            distance = here - there
    if not different.any():
        return
    first = int(np.argmax(different))
    message = (
        f"{dim!r} differs in {int(different.sum())} of {here.size} values, first at index "
        f"{first}: {_show(here[first])} in the {name}, {_show(there[first])} in the truth"
    )
    if distance is not None:
        message += f"; the largest difference is {_show(np.abs(distance).max())}"
        if distance.dtype.kind == "f":
            message += f", {np.abs(distance).max() / _typical_step(there):.3g} of a spacing"
    hint = "Regrid or select until they match"
    if np.array_equal(np.sort(here), np.sort(there)):
        hint = f"Both have the same values in different order: use .sortby({dim!r}) on both"
    raise AlignmentError(f"{message}. {hint}.")


def _unmatched(here: np.ndarray, there: np.ndarray, name: str) -> str:
    """Name the first value that only one of two coordinates has."""
    for mine, other, side in ((here, there, name), (there, here, "truth")):
        alone = mine[~np.isin(mine, other)]
        if alone.size:
            return f"; {_show(alone[0])} is only in the {side}"
    return ""


def tolerance(here: np.ndarray, there: np.ndarray, turn: float = 0.0) -> float:
    """Return the largest difference between two coordinates that count as equal.

    1e-4 of a spacing; if their float type is coarser than that, one unit in the last place of each
    at its largest value or at ``turn``, but never more than a tenth of a spacing.

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


def _show(value: object) -> str:
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[s]"))
    if isinstance(value, np.timedelta64):
        return f"{value / np.timedelta64(1, 'h'):g} h"
    return f"{value:.6g}" if isinstance(value, np.number) else str(value)
