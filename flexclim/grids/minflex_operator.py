"""The coarse operator that minFLEX was trained with, for its imported models only.

It takes every n-th point and brings them back as if they were centres of n x n blocks, which
shifts the field by (n - 1) / 2 cells. New models use :mod:`flexclim.grids.operators`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flexclim.errors import GridError
from flexclim.grids.domain import Domain
from flexclim.grids.operators import interpolator


def minflex_coarsen(field: np.ndarray, factor: int) -> np.ndarray:
    """Take every ``factor``-th row and column, the first among them.

    Parameters
    ----------
    field
        (..., y, x).

    Raises
    ------
    GridError
        If ``factor`` does not divide the field.

    >>> minflex_coarsen(np.arange(16).reshape(4, 4), 2)
    array([[ 0,  2],
           [ 8, 10]])
    """
    height, width = field.shape[-2:]
    if height % factor or width % factor:
        raise GridError(
            f"factor {factor} does not divide {height} x {width}; the nearest crop that it divides "
            f"is {height - height % factor} x {width - width % factor}."
        )
    return field[..., ::factor, ::factor]


def minflex_interpolator(coarse: np.ndarray, factor: int) -> Callable[[slice], np.ndarray]:
    """Return what interpolates bilinearly as if points were centres of blocks, edges clamped.

    The same as ``torch.nn.functional.interpolate(..., mode="bilinear", align_corners=False)``.

    Parameters
    ----------
    coarse
        (..., y, x); NaN spreads to the fine cells between it and its neighbours.

    Returns
    -------
    callable
        Of a slice, these fine rows of (..., y factor, x factor), in the field's float type.

    >>> minflex_interpolator(np.array([[0.0, 4.0]]), 2)(slice(None))
    array([[0., 1., 3., 4.],
           [0., 1., 3., 4.]])
    """
    # A border that mirrors half cells repeats the last value: it clamps.
    domain = Domain(shape=(coarse.shape[-2], coarse.shape[-1]))
    return interpolator(coarse, domain, factor, "bilinear")
