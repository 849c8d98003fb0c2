"""Mirror images of patches, in which vector components change sign.

No shift in longitude is needed: patches of global fields start at any column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import xarray as xr

from flexclim.cf.quantities import vector_component
from flexclim.errors import RecipeError
from flexclim.train.data.paired_source import PairedSource
from flexclim.train.data.windows import Coarsened, Window
from flexclim.train.recipes.data_settings import Data, Input

Direction = Literal["x", "y"]
AXES: tuple[Direction, Direction] = ("y", "x")  # of rows and columns

EAST = r"(^|_)(eastward|x)_|zonal|\bu[- ](wind )?component"
NORTH = r"(^|_)(northward|y)_|meridional|\bv[- ](wind )?component"


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


def direction(part: Input, field: xr.DataArray) -> Direction | None:
    """Return "x" for an eastward component, "y" for a northward one, None for a scalar.

    >>> direction(Input(name="u10"), xr.DataArray(name="u10"))
    'x'
    """
    if part.component:
        return part.component
    text = " ".join(str(field.attrs.get(key, "")) for key in ("standard_name", "long_name")).lower()
    if re.search(EAST, text):
        return "x"
    if re.search(NORTH, text):
        return "y"
    if not vector_component(field):
        return None
    letters = re.sub(r"[^a-z]", " ", part.name.lower()).split()
    if any(word.startswith("u") for word in letters):
        return "x"
    if any(word.startswith("v") for word in letters):
        return "y"
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
