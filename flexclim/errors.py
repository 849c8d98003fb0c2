"""What flexclim raises when an input can't be used.

Each error carries one message: what was found, in values, then what to do. All are
:class:`ValueError`, so that code that knows nothing of flexclim can still catch them.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import TypeVar, cast

# Typed as the identity, so that mypy knows decorated functions across import cycles.
F = TypeVar("F", bound=Callable[..., object])


class FlexclimError(ValueError):
    """Something in the input, a file or a setting can't be used."""


class GridError(FlexclimError):
    """The grid of a field can't be found, is irregular, or does not fit the factor."""


class ModelError(FlexclimError):
    """A model is missing, damaged, or does not fit the field."""


class RecipeError(FlexclimError):
    """A training recipe has an unknown setting, a wrong value or unusable data."""


class StoreError(FlexclimError):
    """An output store can't be written, continued or trusted."""


class AlignmentError(FlexclimError):
    """Two fields that belong together differ in coordinates, times or units."""


class FlexclimWarning(UserWarning):
    """A field is far from what a model was trained on; its members may be wrong."""


def suggest_options(function: F) -> F:
    """Make a misspelt keyword argument an error that names the nearest one.

    Raises
    ------
    FlexclimError
        When the decorated function gets a keyword argument that it does not take.

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
