"""Tiles out of one field, and one field out of tiles.

Both work on numpy arrays and on torch tensors alike: they only index and add.
"""

from __future__ import annotations

from typing import Any

from flexclim.planning.tiles import TilePlan


def frame_field(field: Any, plan: TilePlan, frame: Any, *, vector: Any = False) -> Any:
    """Add the frame that windows reach into.

    Parameters
    ----------
    field
        (..., y, x) canonical field.
    frame
        ``plan.frame()``, as arrays of the field's kind.
    vector
        Whether the field is an eastward or northward component, which changes sign across a
        pole; (channels, 1, 1) of the field's kind where channels differ.

    The field itself where no window reaches beyond it.
    """
    if not any((plan.rows.before, plan.rows.after, plan.columns.before, plan.columns.after)):
        return field
    rows, columns, turned = frame
    framed = field[..., rows, columns]
    return framed if vector is False else framed * (1 - 2 * (turned & vector))


def window(framed: Any, plan: TilePlan, index: int) -> Any:
    """Return window ``index`` of a framed field, (..., h, w)."""
    row, column = plan.corner(index)
    height, width = plan.tile
    return framed[..., row : row + height, column : column + width]


def unframe(canvas: Any, plan: TilePlan) -> Any:
    """Cut the frame off a canvas on which weighted windows were added.

    What lies beyond the last column of a global field belongs to its first ones; a field narrower
    than a window may go around more than once.
    """
    height, width = plan.domain.shape
    top, left, right = plan.rows.before, plan.columns.before, plan.columns.after
    field = canvas[..., top : top + height, left : left + width]
    if plan.columns.wrap and right and len(plan.columns.starts) > 1:
        for lap in range(left + width, left + width + right, width):
            beyond = canvas[..., top : top + height, lap : lap + width]
            field[..., : beyond.shape[-1]] += beyond
    return field
