"""Mirror images of patches, in which components of vectors change sign.

Rolls need nothing here: a patch of a global field starts at any longitude.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from flexclim.cf.quantities import vector_component
from flexclim.errors import RecipeError
from flexclim.train.data.pairs import Pair
from flexclim.train.data.windows import Coarsened, Window
from flexclim.train.recipes.data_settings import Data, Input

EAST = r"(^|_)(eastward|x)_|zonal|\bu[- ](wind )?component"
NORTH = r"(^|_)(northward|y)_|meridional|\bv[- ](wind )?component"


def components(source: Coarsened | Pair, data: Data) -> dict[str, tuple[int, ...]]:
    """Return which inputs and targets change sign when rows or columns are mirrored.

    Returns
    -------
    dict
        Positions among them, by ``"inputs y"``, ``"inputs x"``, ``"targets y"``, ``"targets x"``;
        empty where variables are learnt one at a time: a mirrored field is as good.

    Raises
    ------
    RecipeError
        If a component's direction can't be told.
    """
    if not data.named or not data.flips:
        return {}
    fields = (source.coarse, source.fine) if isinstance(source, Pair) else (source.fields,) * 2
    found: dict[str, tuple[int, ...]] = {}
    for group, parts, holder in (
        ("inputs", data.inputs, fields[0]),
        ("targets", data.all_targets, fields[1]),
    ):
        directions = [direction(part, holder.named(part.name)) for part in parts]
        for axis in "yx":
            found[f"{group} {axis}"] = tuple(
                index for index, known in enumerate(directions) if known == axis
            )
    return found


def direction(part: Input, field: xr.DataArray) -> str | None:
    """Return "x" or "y" for an eastward or northward component, else None.

    >>> direction(Input(name="u10"), xr.DataArray(name="u10"))
    'x'
    """
    if part.component:
        return part.component
    text = " ".join(str(field.attrs.get(key, "")) for key in ("standard_name", "long_name")).lower()
    for axis, pattern in (("x", EAST), ("y", NORTH)):
        if re.search(pattern, text):
            return axis
    if not vector_component(field):
        return None
    letters = re.sub(r"[^a-z]", " ", part.name.lower()).split()
    for axis, letter in (("x", "u"), ("y", "v")):
        if any(word.startswith(letter) for word in letters):
            return axis
    raise RecipeError(
        f"{part.name!r} is a component of a vector, but of which direction? Give it "
        "component: x or component: y."
    )


def mirror(window: Window, axis: int, signs: Mapping[str, tuple[int, ...]]) -> Window:
    """Return the mirror image of a window along rows (0) or columns (1)."""
    turned = window.mirrored(axis)
    name = "yx"[axis]
    return replace(
        turned,
        inputs=_negated(turned.inputs, signs.get(f"inputs {name}", ())),
        targets=_negated(turned.targets, signs.get(f"targets {name}", ())),
    )


def _negated(values: np.ndarray, which: tuple[int, ...]) -> np.ndarray:
    if not which:
        return values
    result = np.array(values)
    result[list(which)] *= -1
    return result
