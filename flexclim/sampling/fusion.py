"""Cut tiles from a field, and assemble a field from tiles, in numpy arrays or torch tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from flexclim.planning.tiles import TilePlan

if TYPE_CHECKING:
    from torch import Tensor

A = TypeVar("A", np.ndarray, "Tensor")


def frame_field(
    field: A, plan: TilePlan, frame: tuple[A, A, A], *, vector: A | Literal[False] = False
) -> A:
    """Extend a field by the frame into which windows reach; unchanged if none does.

    Parameters
    ----------
    field
        (..., y, x) canonical field.
    frame
        ``plan.frame()``, as arrays of the field's type.
    vector
        Whether the field is an eastward or northward component, which changes sign across a
        pole: (channels, 1, 1), or False for none.
    """
    if not any((plan.rows.before, plan.rows.after, plan.columns.before, plan.columns.after)):
        return field
    rows, columns, turned = frame
    framed = field[..., rows, columns]
    return framed if vector is False else framed * (1 - 2 * (turned & vector))


def window(framed: A, plan: TilePlan, index: int) -> A:
    """Return window ``index`` of a framed field, (..., h, w)."""
    row, column = plan.corner(index)
    height, width = plan.tile
    return framed[..., row : row + height, column : column + width]


def unframe(canvas: A, plan: TilePlan) -> A:
    """Remove the frame from a canvas on which weighted windows were added.

    Pixels beyond the last column of a global field are added to its first columns; on a field
    narrower than a window they may wrap more than once.
    """
    height, width = plan.domain.shape
    top, left, right = plan.rows.before, plan.columns.before, plan.columns.after
    field = canvas[..., top : top + height, left : left + width]
    if plan.columns.wrap and right and len(plan.columns.starts) > 1:
        for lap in range(left + width, left + width + right, width):
            beyond = canvas[..., top : top + height, lap : lap + width]
            field[..., : beyond.shape[-1]] += beyond
    return field
