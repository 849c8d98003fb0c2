"""Static predictors on the fine grid: fields that a user brings, what position and time give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from flexclim.grid import Grid

if TYPE_CHECKING:
    from flexclim.card import Static


def static_fields(
    static: xr.Dataset | None, grid: Grid, wanted: Sequence[Static]
) -> dict[str, np.ndarray]:
    """Bring the static fields that a model wants to its fine grid; time enters later.

    Parameters
    ----------
    static
        Fields on a grid of their own, of latitude and longitude or of the projection of ``grid``:
        averaged over the cells of ``grid`` where they are finer, interpolated bilinearly where
        they are coarser. NaN takes the nearest value.
    grid
        The fine grid.
    wanted
        In the order of the model's channels.

    Returns
    -------
    dict
        (Y, X) float32 in canonical order: each field by its name, the sine of latitude as
        ``"latitude"``, longitude in degrees as ``"solar_time"``; nothing for ``"day_of_year"``.

    Raises
    ------
    ModelError
        If a field is missing; the nearest names are listed.
    GridError
        If a field does not cover the grid, or positions are not known.
    """
    raise NotImplementedError


def static_channels(
    fields: Mapping[str, np.ndarray], wanted: Sequence[Static], shape: tuple[int, int], time: Any
) -> np.ndarray:
    """Return the channels that a network reads after its inputs.

    Parameters
    ----------
    fields
        From :func:`static_fields`, or windows of them.
    shape
        (Y, X) of the result.
    time
        datetime64 or cftime, UTC; None where no channel depends on it.

    Returns
    -------
    ndarray
        (S, Y, X) float32, normalised.
    """
    raise NotImplementedError
