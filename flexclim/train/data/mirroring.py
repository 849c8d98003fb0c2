"""Mirror images of patches, in which vector components change sign.

No shift in longitude is needed: patches of global fields start at any column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from flexclim.cf.quantities import Direction, vector_component, vector_direction
from flexclim.errors import RecipeError
from flexclim.train.data.paired_source import PairedSource
from flexclim.train.data.windows import Coarsened, Window
from flexclim.train.recipes.channel_settings import Channel
from flexclim.train.recipes.data_settings import Data

AXES: tuple[Direction, Direction] = ("y", "x")  # of rows and columns


@dataclass(frozen=True)
class Components:
    """Directions of the vector components among inputs and targets; None for scalars.

    Empty where each variable is trained on its own: a mirrored field is as valid as the original.
    """

    inputs: tuple[Direction | None, ...] = ()
    targets: tuple[Direction | None, ...] = ()


def components(source: Coarsened | PairedSource, data: Data) -> Components:
    """Find the vector components that mirroring negates.

    Raises
    ------
    RecipeError
        If the direction of a component cannot be determined.
    """
    if not data.named or not data.flips:
        return Components()
    groups = (data.inputs, source.input_fields), (data.all_targets, source.target_fields)
    inputs, targets = (
        tuple(direction(part, fields.named(part.name)) for part in parts)
        for parts, fields in groups
    )
    return Components(inputs, targets)


def direction(part: Channel, field: xr.DataArray) -> Direction | None:
    """Return "x" for an eastward component, "y" for a northward one, None for a scalar.

    >>> direction(Channel(name="u10"), xr.DataArray(name="u10"))
    'x'
    """
    if part.component:
        return part.component
    along = vector_direction(field)
    if along or not vector_component(field):
        return along
    raise RecipeError(
        f"{part.name!r} is a vector component, but its direction is unknown. Give it "
        "component: x or component: y."
    )


def mirror(window: Window, axis: int, signs: Components) -> Window:
    """Return the mirror image of a window along rows (0) or columns (1)."""
    mirrored = window.mirrored(axis)
    return replace(
        mirrored,
        inputs=_negated(mirrored.inputs, along(signs.inputs, axis)),
        targets=_negated(mirrored.targets, along(signs.targets, axis)),
    )


def along(directions: Sequence[Direction | None], axis: int) -> list[int]:
    """Return the positions of the components along rows (0) or columns (1).

    >>> along(("x", None, "y"), 1)
    [0]
    """
    return [index for index, known in enumerate(directions) if known == AXES[axis]]


def _negated(values: np.ndarray, which: list[int]) -> np.ndarray:
    if not which:
        return values
    result = np.array(values)
    result[which] *= -1
    return result
