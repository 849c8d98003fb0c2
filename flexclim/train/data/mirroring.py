"""Mirror images of patches, in which vector components and what turns with the flow change sign.

No shift in longitude is needed: patches of global fields start at any column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import xarray as xr

from flexclim.cf.quantities import Direction, vector_component, vector_direction
from flexclim.errors import RecipeError
from flexclim.train.data.paired_source import PairedSource
from flexclim.train.data.windows import Coarsened, Window
from flexclim.train.recipes.channel_settings import Channel
from flexclim.train.recipes.data_settings import Data

AXES: tuple[Direction, Direction] = ("y", "x")  # of rows and columns
# Of quantities that change sign in every mirror image, as the sense of rotation does.
Sign: TypeAlias = Direction | Literal["rotation"]
ROTATION: Sign = "rotation"
ROTATING = re.compile(r"vorticity|stream_?function|coriolis_parameter|helicity|(^|_)curl(_|$)")
NOT_ROTATING = re.compile(
    r"absolute_value|magnitude|square|enstrophy|max|variance|derivat|gradient|vorticity_(surface|unit)"
)
# Short names that may mean other things as well: in s-1 they are vorticities.
ROTATING_SHORT = re.compile(r"vo|[ar]v|(abs|rel)v|zeta|f|\w*vort\w*")
PER_SECOND = "s-1", "s**-1", "s^-1", "1/s", "/s"


@dataclass(frozen=True)
class Components:
    """What changes the sign of inputs and targets in mirror images; None for scalars.

    Empty where each variable is trained on its own: a mirrored field is as valid as the original.
    """

    inputs: tuple[Sign | None, ...] = ()
    targets: tuple[Sign | None, ...] = ()


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


def direction(part: Channel, field: xr.DataArray) -> Sign | None:
    """Return "x" or "y" for a component of a vector, "rotation" for vorticity, None for a scalar.

    >>> direction(Channel(name="u10"), xr.DataArray(name="u10"))
    'x'
    >>> direction(Channel(name="vo"), xr.DataArray(name="vo", attrs={"units": "s**-1"}))
    'rotation'
    """
    if part.component:
        return None if part.component == "scalar" else part.component
    names = [str(field.attrs.get(key, "")) for key in ("standard_name", "long_name")]
    words = re.sub(r"[\W_]+", "_", " ".join([*names, part.name]).lower())
    short = ROTATING_SHORT.fullmatch(part.name.lower())
    if short and str(field.attrs.get("units", "")).replace(" ", "") in PER_SECOND:
        return ROTATION
    along = vector_direction(field)
    if not along and ROTATING.search(words) and not NOT_ROTATING.search(words):
        return ROTATION
    if along or not vector_component(field):
        return along
    raise RecipeError(
        f"{part.name!r} is a vector component, but its direction is unknown. Give it "
        "component: x, y or scalar."
    )


def check_statics(fields: xr.Dataset) -> None:
    """Check that mirroring leaves the sign of static fields, which it does not change.

    Raises
    ------
    RecipeError
        If a field changes sign in mirror images, as the Coriolis parameter does.
    """
    for name, field in fields.data_vars.items():
        try:
            signed = direction(Channel(name=str(name)), field)
        except RecipeError:  # a component whose direction is unknown
            signed = ROTATION
        if signed:
            raise RecipeError(
                f"static field {name!r} changes its sign in mirror images. Leave augment out, or "
                "leave out the field."
            )


def mirror(window: Window, axis: int, signs: Components) -> Window:
    """Return the mirror image of a window along rows (0) or columns (1)."""
    mirrored = window.mirrored(axis)
    return replace(
        mirrored,
        inputs=_negated(mirrored.inputs, along(signs.inputs, axis)),
        targets=_negated(mirrored.targets, along(signs.targets, axis)),
    )


def along(directions: Sequence[Sign | None], axis: int) -> list[int]:
    """Return the positions of what changes sign if rows (0) or columns (1) are reversed.

    >>> along(("x", None, "y", "rotation"), 1)
    [0, 3]
    """
    return [index for index, one in enumerate(directions) if one in (AXES[axis], ROTATION)]


def _negated(values: np.ndarray, which: list[int]) -> np.ndarray:
    if not which:
        return values
    result = np.array(values)
    result[which] *= -1
    return result
