"""Tasks that failed at every try, and the one error that reports them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dask.typing import Key

from flexclim.errors import FlexclimError

# How often a task is tried.
TRIES = 3


@dataclass(frozen=True)
class Failure:
    """The task that failed at its last try, and its error."""

    key: Key
    error: BaseException


def failures_error(
    failures: Mapping[Key, Failure], total: int, label: Callable[[Key], str], noun: str
) -> FlexclimError:
    """Return an error that names, in one line, the first item that failed, where and why.

    Parameters
    ----------
    failures
        By the key of the item that can't be computed.
    total, noun
        How many items there are, and the plural that names them.
    label
        Returns the name of an item.
    """
    (first, failure), *others = failures.items()
    error = failure.error
    where = "; ".join(getattr(error, "__notes__", []))
    reason = " ".join(str(error).split())[:300]
    more = f"; and {len(others)} more" if others else ""
    return FlexclimError(
        f"{len(failures)} of {total} {noun} failed {TRIES} times: {label(first)}"
        f"{f' ({where})' if where else ''}: {type(error).__name__}: {reason}{more}. The others are "
        "complete; call again to retry these."
    )
