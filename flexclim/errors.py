"""Errors and warnings of flexclim.

A message says what was found, with values, then what to do. All errors are subclasses of
:class:`ValueError`, so that general code can catch them.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import numbers
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

# Typed as the identity, so that mypy knows decorated functions across import cycles.
F = TypeVar("F", bound=Callable[..., object])
# What Python and libraries raise for arguments that they can't use.
RAW = (TypeError, AttributeError, ValueError, LookupError, ArithmeticError, AssertionError)
NUMBERS: dict[object, type] = {int: numbers.Integral, float: numbers.Real}
SHOWN = 80


class FlexclimError(ValueError):
    """An input, file or setting can't be used; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(str(message).split()))


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


def without_torch(error: ModuleNotFoundError, what: str) -> Exception:
    """Return an error that says that torch is missing, or the given one if another module is.

    >>> print(without_torch(ModuleNotFoundError(name="torch"), "downscale()"))
    downscale() needs PyTorch, which is not installed. Install it: pip install torch.
    """
    if (error.name or "").partition(".")[0] != "torch":
        return error
    return FlexclimError(
        f"{what} needs PyTorch, which is not installed. Install it: pip install torch."
    )


def warn(message: str) -> None:
    """Give a :class:`FlexclimWarning`; on a dask.distributed worker it is sent to the client."""
    distributed = sys.modules.get("distributed")
    show = warnings.warn if distributed is None else distributed.warn
    show(message, FlexclimWarning)


def suggest_options(function: F) -> F:
    """Decorate a public function to explain misspelt options and arguments of a wrong type.

    Types are compared with the annotations only when the function fails with another error than
    ours, so that its own messages come first.

    Raises
    ------
    FlexclimError
        If the decorated function is called with an unknown keyword argument, without a required
        one or with too many, or fails with an argument of a wrong type.

    >>> @suggest_options
    ... def coarsen(field, factor: int, *, grid: str | None = None):
    ...     return field // factor
    >>> coarsen(None, factr=2)
    Traceback (most recent call last):
    flexclim.errors.FlexclimError: coarsen() has no option 'factr'; did you mean 'factor'?
    >>> coarsen(8)
    Traceback (most recent call last):
    flexclim.errors.FlexclimError: coarsen(): missing a required argument: 'factor'. Its arguments
    are field, factor, grid.
    >>> coarsen(8, "two")
    Traceback (most recent call last):
    flexclim.errors.FlexclimError: factor='two' is of type str. Give int.
    """

    @functools.wraps(function)
    def checked(*args: object, **kwargs: object) -> object:
        signature = inspect.signature(checked)
        known = list(signature.parameters)
        for name in kwargs:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                options = f"its options are {', '.join(known)}."
                hint = f"did you mean {near[0]!r}?" if near else options
                raise FlexclimError(f"{function.__name__}() has no option {name!r}; {hint}")
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise FlexclimError(
                f"{function.__name__}(): {error}. Its arguments are {', '.join(known)}."
            ) from None
        try:
            return function(*args, **kwargs)
        except FlexclimError:
            raise
        except ModuleNotFoundError as error:
            raise without_torch(error, f"{function.__name__}()") from None
        except RAW as error:
            if found := _wrong_type(function, signature, args, kwargs):
                raise FlexclimError(found) from error
            raise

    return cast(F, checked)


def with_options_of(function: Callable[..., object], other: Callable[..., object]) -> None:
    """Give a function that passes options on the signature of the other one.

    >>> def coarsen(field, factor: int, *, grid: str | None = None) -> float: ...
    >>> def cost(field, factor, *, currency: str = "s", **options) -> int: ...
    >>> with_options_of(cost, coarsen)
    >>> list(inspect.signature(cost).parameters)
    ['field', 'factor', 'currency', 'grid']
    """
    own = inspect.signature(function)
    named = {n: p for n, p in own.parameters.items() if p.kind is not p.VAR_KEYWORD}
    theirs = inspect.signature(other).parameters
    more = [parameter for name, parameter in theirs.items() if name not in named]
    changed = own.replace(parameters=[*named.values(), *more])
    vars(function)["__signature__"] = changed


def _wrong_type(
    function: Callable[..., object],
    signature: inspect.Signature,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> str | None:
    """Describe the first argument that is not of its annotated type; None: there is none."""
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        annotation = signature.parameters[name].annotation
        try:
            hint = eval(annotation, function.__globals__) if annotation else object
        except (NameError, TypeError, AttributeError):  # imported for type checkers alone
            continue
        if not _fits(value, hint):
            shown = " ".join(repr(value).split())
            shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
            return f"{name}={shown} is of type {type(value).__name__}. Give {_named(hint)}."
    return None


def _fits(value: object, hint: object) -> bool:
    """Return whether a value is of a type; what can't be told fits."""
    origin, parts = get_origin(hint), get_args(hint)
    if isinstance(hint, TypeVar):
        choices = hint.__constraints__ or (hint.__bound__ or object,)
        return any(_fits(value, one) for one in choices)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in parts)
    if origin is Literal:
        return isinstance(value, str | int) and value in parts
    if hint is None or hint is Any:
        return value is None or hint is Any
    if hint in NUMBERS:
        return isinstance(value, NUMBERS[hint]) and not isinstance(value, bool)
    kind = origin or hint
    if not isinstance(kind, type):
        return True
    if issubclass(kind, Iterable) and parts and not issubclass(kind, Mapping):
        if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
            return False
        return getattr(value, "ndim", 1) > 0 and all(_fits(item, parts[0]) for item in value)
    return isinstance(value, kind)


def _named(hint: object) -> str:
    """Return a type in words.

    >>> _named(int | None), _named(Literal["cell", "point"])
    ('int or None', "'cell' or 'point'")
    """
    if isinstance(hint, TypeVar):
        return " or ".join(map(_named, hint.__constraints__))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_named, get_args(hint)))
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if hint in (None, type(None)):
        return "None"
    return getattr(hint, "__name__", str(hint)) if not get_args(hint) else str(hint)
