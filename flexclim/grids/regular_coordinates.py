"""Regular 1-D coordinates: checking, cell bounds, refining and coarsening."""

from __future__ import annotations

import numpy as np

from flexclim.errors import GridError
from flexclim.grids.lattice import is_single, of_single_precision, snap, was_rounded

REGULAR = 1e-3  # largest deviation from equal spacing, as a fraction of the spacing


def regular_values(
    name: str, values: np.ndarray, *, longitude: bool = False
) -> tuple[np.ndarray, float]:
    """Check that a coordinate is evenly spaced, and remove rounding from its values.

    Parameters
    ----------
    name
        Name of the coordinate, for error messages.
    values
        (n,) increasing or decreasing; longitudes may jump by 360 degrees once.
    longitude
        Whether values are longitudes in degrees.

    Returns
    -------
    values, step
        (n,) float64 without the rounding of float32 or of a few decimals, and their spacing. An
        axis of at least 8 values with so few decimals that they look uneven is regular if
        rounding explains them.

    Raises
    ------
    GridError
        If there are fewer than two values, or some are missing, repeated, unsorted or uneven.
    """
    exact, straight = sorted_values(name, values, longitude=longitude)
    found = _evenly(np.asarray(values), exact, straight)
    if found is None:
        steps = np.abs(np.diff(straight))
        raise GridError(
            f"{name!r} is not regular: its spacing runs from {steps.min():.6g} to "
            f"{steps.max():.6g}. Regrid to a regular grid first."
        )
    line, step = found
    turns = np.rint((exact - straight) / 360) * 360
    return snap(line + turns, step), step


def sorted_values(
    name: str, values: np.ndarray, *, longitude: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Check that a coordinate is complete and sorted, evenly spaced or not.

    Returns
    -------
    exact, straight
        (n,) float64 without the rounding of float32, and the same without a jump of 360 degrees.

    Raises
    ------
    GridError
        As for :func:`regular_values`.
    """
    exact = decimal_values(name, values)
    _check_finite(name, exact)
    straight = unwrap_longitudes(exact) if longitude else exact
    _check_order(name, exact, np.diff(straight))
    if longitude:
        span = abs(straight[-1] - straight[0])
        _check_turn(name, exact, span, span / (exact.size - 1))
    return exact, straight


def _evenly(
    given: np.ndarray, exact: np.ndarray, straight: np.ndarray
) -> tuple[np.ndarray, float] | None:
    """Return the evenly spaced values and the spacing that sorted values mean, or None."""
    step = float((straight[-1] - straight[0]) / (exact.size - 1))
    line = straight[0] + step * np.arange(exact.size)
    rounding = np.finfo(np.float32).eps * np.abs(exact).max()
    allowed = max(REGULAR * abs(step), min(rounding, 0.05 * abs(step)))
    even = np.abs(line - straight).max() <= allowed
    if even and not is_single(given):
        return line, step
    # Decimals are exact for values of float32, but these themselves tell where they were rounded.
    single = straight + (given.astype(float) - exact)
    found = of_single_precision(single) if even else was_rounded(straight, step)
    if found:
        return found.values(exact.size), float(found.step)
    return (line, step) if even else None


def is_uneven(values: np.ndarray, *, longitude: bool = False) -> bool:
    """Return whether a coordinate is sorted and complete, but not evenly spaced.

    >>> is_uneven(np.array([1.0, 2.0, 4.0])), is_uneven(np.array([1.0, 3.0, 2.0]))
    (True, False)
    """
    try:
        both = sorted_values("", values, longitude=longitude)
        return _evenly(np.asarray(values), *both) is None
    except GridError:
        return False


def unwrap_longitudes(values: np.ndarray) -> np.ndarray:
    """Remove one jump of 360 degrees from longitudes, if there is one.

    >>> unwrap_longitudes(np.array([358.0, 359.0, 0.0, 1.0]))
    array([358., 359., 360., 361.])
    """
    steps = np.diff(values)
    jumps = np.abs(steps) > 180
    if (steps > 0).all() or (steps < 0).all() or jumps.sum() != 1:
        return values
    steps = np.where(jumps, steps - np.copysign(360, steps), steps)
    straight: np.ndarray = values[0] + np.concatenate([[0.0], np.cumsum(steps)])
    return straight


def spans_globe(columns: int, step: float) -> bool:
    """Return whether ``columns`` of ``step`` degrees span 360 degrees of longitude."""
    return abs(columns * abs(step) - 360) < 0.01 * abs(step)


def decimal_values(name: str, values: np.ndarray) -> np.ndarray:
    """Convert to float64; float32 values become the decimal numbers they are printed as."""
    values = np.asarray(values)
    if values.dtype.kind not in "iuf":
        raise GridError(f"{name!r} holds {values.dtype}, not numbers: it can't be a coordinate.")
    if values.size < 2:
        raise GridError(
            f"{name!r} has {values.size} value: a grid needs at least 2 rows and 2 columns."
        )
    return values.astype(str).astype(float) if values.dtype == np.float32 else values.astype(float)


def _check_finite(name: str, values: np.ndarray) -> None:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise GridError(
            f"{bad} of {values.size} values of {name!r} are NaN or infinite. "
            f"Set its coordinate values with .assign_coords, or drop those cells with .isel."
        )


def _check_order(name: str, values: np.ndarray, steps: np.ndarray) -> None:
    if (steps == 0).any():
        value = values[:-1][steps == 0][0]
        raise GridError(
            f"{name!r} has the value {value:g} twice. Keep one with .drop_duplicates({name!r})."
        )
    if not ((steps > 0).all() or (steps < 0).all()):
        at = int(np.flatnonzero(np.sign(steps) != np.sign(steps[0]))[0])
        raise GridError(
            f"{name!r} is not sorted: it goes {values[at - 1]:g}, {values[at]:g}, "
            f"{values[at + 1]:g}. Sort it with .sortby({name!r})."
        )


def _check_turn(name: str, values: np.ndarray, span: float, step: float) -> None:
    if abs(span - 360) < 0.01 * step:
        raise GridError(
            f"{name!r} repeats its first column: {values[0]:g} and {values[-1]:g} degrees are the "
            f"same place. Drop the last one with .isel({name}=slice(None, -1))."
        )
    if span > 360:
        raise GridError(
            f"{name!r} spans {span:g} degrees, more than once around the globe. Crop it to 360."
        )


def cell_bounds(values: np.ndarray, step: float) -> np.ndarray:
    """Return (n, 2) cell edges, in the order of the values.

    >>> cell_bounds(np.array([2.0, 1.0]), -1.0)
    array([[2.5, 1.5],
           [1.5, 0.5]])
    """
    return snap(np.stack([values - step / 2, values + step / 2], axis=-1), step)


def refine_values(
    values: np.ndarray, step: float, factor: int, *, point: bool, last: bool = True
) -> np.ndarray:
    """Return coordinate values of a ``factor`` times finer axis.

    Cells are split. Points are kept and others are added between them; also beyond the last one
    unless the axis ends there (``last``).

    >>> refine_values(np.array([0.0, 4.0]), 4.0, 2, point=False)
    array([-1.,  1.,  3.,  5.])
    >>> refine_values(np.array([0.0, 4.0]), 4.0, 2, point=True)
    array([0., 2., 4.])
    """
    offsets = np.arange(factor) if point else np.arange(factor) - (factor - 1) / 2
    fine = snap(values[:, None] + offsets * step / factor, step / factor).ravel()
    return fine[: fine.size - factor + 1] if point and last else fine


def coarsen_values(
    values: np.ndarray, step: float, factor: int, *, point: bool, first: int = 0
) -> np.ndarray:
    """Return coordinate values of a ``factor`` times coarser axis; blocks begin at ``first``.

    >>> coarsen_values(np.arange(4.0), 1.0, 2, point=False)
    array([0.5, 2.5])
    """
    starts = values[first::factor]
    return starts.copy() if point else snap(starts + (factor - 1) / 2 * step, step)
