"""Checks of the options of scores: one line that names the value and the allowed ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError

T = TypeVar("T")
LARGEST = 1_000_000  # counts beyond it exhaust the memory


def check_choice(name: str, value: T, choices: Sequence[T]) -> T:
    """Return ``value`` if it is one of ``choices``.

    >>> check_choice("by", "powr", ["power", "coherence"])
    Traceback (most recent call last):
    flexclim.errors.FlexclimError: by='powr' is unknown: use 'power' or 'coherence'.
    """
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return value
    *most, last = (repr(choice) for choice in choices)
    listed = f"{', '.join(most)} or {last}" if most else last
    raise FlexclimError(f"{name}={show(value)} is unknown: use {listed}.")


def check_flag(name: str, value: object) -> bool:
    """Return a boolean option; other types raise an error, since most of them count as True."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise FlexclimError(f"{name}={show(value)} is neither True nor False.")


def check_number(
    name: str,
    value: object,
    low: float = -np.inf,
    high: float = np.inf,
    *,
    above: bool = False,
    infinite: bool = False,
) -> float:
    """Return a number from ``low`` to ``high``.

    Parameters
    ----------
    name
        Name of the option, for messages.
    value
        A number, or an array or DataArray that holds one.
    low, high
        Limits.
    above
        Whether the number must be above ``low``.
    infinite
        Whether it may be infinite.

    Raises
    ------
    FlexclimError
        If it is not a number, is NaN or infinite, or lies outside the limits.

    >>> check_number("probability", 2, 0, 1)
    Traceback (most recent call last):
    flexclim.errors.FlexclimError: probability=2 is not a number from 0 to 1.
    """
    number = _number(value)
    inside = number is not None and (low < number if above else low <= number) and number <= high
    if number is not None and inside and (infinite or np.isfinite(number)):
        return number
    raise FlexclimError(f"{name}={show(value)} is not {_range(low, high, above)}.")


def check_seed(value: object) -> int:
    """Return a random seed, a whole number of at least 0."""
    return check_count("seed", value, low=0, high=None)


def check_count(name: str, value: object, low: int = 1, high: int | None = LARGEST) -> int:
    """Return a whole number of at least ``low`` and at most ``high``.

    >>> check_count("patch", 2.5)
    Traceback (most recent call last):
    flexclim.errors.FlexclimError: patch=2.5 is not a whole number of at least 1.
    """
    number = _number(value)
    if number is None or not np.isfinite(number) or number != int(number) or number < low:
        raise FlexclimError(f"{name}={show(value)} is not a whole number of at least {low}.")
    if high is not None and number > high:
        raise FlexclimError(f"{name}={show(value)} is more than {high}, the largest allowed.")
    return int(number)


def check_numbers(name: str, values: object, low: float, high: float) -> np.ndarray:
    """Return a 1-D array of numbers from ``low`` to ``high``, at least one.

    >>> check_numbers("levels", 0.5, 0, 1)
    array([0.5])
    """
    listed = as_list(values)
    if not listed:
        raise FlexclimError(f"{name}={show(values)} holds no number.")
    return np.array([check_number(name, value, low, high) for value in listed])


def as_list(values: object) -> list[object]:
    """Return the items of a sequence or array; anything else as its only item."""
    if isinstance(values, (xr.DataArray, np.ndarray)):
        return list(np.ravel(np.asarray(values)))
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return [values]
    return list(values)


def _number(value: object) -> float | None:
    """Return ``value`` as a float, or None if it is not one real number."""
    if isinstance(value, (bool, np.bool_, str, bytes)) or value is None:
        return None
    try:
        array = np.asarray(value)
        if array.size != 1 or array.dtype.kind not in "iufO":
            return None
        return float(array.reshape(())[()])
    except (TypeError, ValueError):
        return None


def _range(low: float, high: float, above: bool) -> str:
    if np.isfinite(high):
        return f"a number {f'above {low:g}, up to' if above else f'from {low:g} to'} {high:g}"
    if np.isfinite(low):
        return f"a finite number {'above' if above else 'of at least'} {low:g}"
    return "a finite number"


def show(value: object) -> str:
    """Return a short text of a value for a message."""
    if isinstance(value, xr.Dataset):
        return f"Dataset of {dict(value.sizes)}"
    if isinstance(value, (xr.DataArray, np.ndarray)) and value.size != 1:
        return f"{type(value).__name__} of {dict(getattr(value, 'sizes', {})) or value.shape}"
    text = repr(
        np.asarray(value).item() if isinstance(value, (xr.DataArray, np.generic)) else value
    )
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."
