"""Errors and warnings of flexclim.

A message says what was found, with values, then what to do. All errors are subclasses of
:class:`ValueError`, so that general code can catch them.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from typing import TypeVar, cast

# Typed as the identity, so that mypy knows decorated functions across import cycles.
F = TypeVar("F", bound=Callable[..., object])


class FlexclimError(ValueError):
    """An input, file or setting can't be used."""


class GridError(FlexclimError):
    """No grid is found, it is irregular, or it does not fit the factor."""


class ModelError(FlexclimError):
    """A model is missing or damaged, or does not fit the fields."""


class RecipeError(FlexclimError):
    """A training recipe has an unknown setting, an invalid value or unusable data."""


class StoreError(FlexclimError):
    """An output store can't be written or continued, or is damaged."""


class AlignmentError(FlexclimError):
    """Fields that are used together differ in coordinates, times or units."""


class FlexclimWarning(UserWarning):
    """Values are not what attributes, or a model's training, suggest; or a run left its plan."""


def warn(message: str) -> None:
    """Give a :class:`FlexclimWarning`; on a dask.distributed worker it is sent to the client."""
    distributed = sys.modules.get("distributed")
    show = warnings.warn if distributed is None else distributed.warn
    show(message, FlexclimWarning)


def suggest_options(function: F) -> F:
    """Decorate a function to suggest the nearest option when a keyword argument is misspelt.

    Raises
    ------
    FlexclimError
        If the decorated function is called with an unknown keyword argument.

    >>> @suggest_options
    ... def coarsen(field, factor, *, grid=None): ...
    >>> coarsen(None, factr=2)
    Traceback (most recent call last):
    flexclim.errors.FlexclimError: coarsen() has no option 'factr'; did you mean 'factor'?
    """
    known = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def checked(*args: object, **kwargs: object) -> object:
        for name in kwargs:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                options = f"its options are {', '.join(known)}."
                hint = f"did you mean {near[0]!r}?" if near else options
                raise FlexclimError(f"{function.__name__}() has no option {name!r}; {hint}")
        return function(*args, **kwargs)

    return cast(F, checked)
