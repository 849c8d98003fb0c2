"""The user's options that downscaling and forecasting share, and checks of their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from flexclim.cf.physical_bounds import Bounds
from flexclim.errors import FlexclimError
from flexclim.execution.precision import PRECISIONS
from flexclim.grids.arguments import is_one_of, is_whole, shown

LARGEST = 1_000_000  # a plan lists members and steps


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Options of the user that downscaling and forecasting share; None where flexclim chooses.

    ``breaks`` are members at which a new task starts, so that members that a store already holds
    are not recomputed with new ones; ``held`` is the same for positions along a dimension.
    ``numbers`` are those of the members of all variables; empty: those of each one's inputs.
    ``entire`` states that all of the output will be computed,
    not just slices. ``known_bounds`` are those of the variables of an existing store, and
    ``known_precisions`` those that its models, by SHA-256, compute in.
    """

    members: int | None = None
    steps: int | None = None
    seed: int = 0
    non_negative: bool | None = None
    overlap: int | None = None
    batch: int | None = None
    compile: bool | None = None
    device: str | None = None
    precision: str | None = None
    breaks: tuple[int, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    numbers: tuple[int, ...] = ()
    entire: bool = False
    known_bounds: Mapping[str, Bounds] = field(default_factory=dict)
    known_precisions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("members", "steps", "batch", "overlap"):
            value = getattr(self, name)
            if value is not None and (not is_whole(value) or value < 1):
                raise FlexclimError(f"{name}={shown(value)} is not a whole number of at least 1.")
            if value is not None and value > LARGEST:
                raise FlexclimError(f"{name}={value} is more than {LARGEST}, the largest allowed.")
        if not is_whole(self.seed):
            raise FlexclimError(f"seed={shown(self.seed)} is not a whole number.")
        for name in ("non_negative", "compile"):
            check_switch(name, getattr(self, name))
        if not is_one_of(self.precision, (None, *PRECISIONS)):
            raise FlexclimError(
                f"precision={shown(self.precision)} is not one of {', '.join(PRECISIONS)}."
            )


def check_switch(name: str, value: object) -> None:
    """Raise FlexclimError if an option is not a bool or None, such as a non-empty string."""
    if not isinstance(value, bool | np.bool_ | None):
        raise FlexclimError(f"{name}={shown(value)} is neither True nor False.")
