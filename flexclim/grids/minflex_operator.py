"""Interpolation as in minFLEX's training, for imported models only.

minFLEX takes every n-th point and interpolates as if these were the centres of n x n blocks, which
shifts fields by (n - 1) / 2 cells. Other models use :mod:`flexclim.grids.operators`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flexclim.grids.domain import Domain
from flexclim.grids.operators import interpolator


def minflex_interpolator(coarse: np.ndarray, factor: int) -> Callable[[slice], np.ndarray]:
    """Return a function for rows of a bilinear interpolation, as if points were block centres.

    Edges are clamped, as in
    ``torch.nn.functional.interpolate(..., mode="bilinear", align_corners=False)``.

    Parameters
    ----------
    coarse
        (..., y, x); fine cells next to a NaN are NaN.

    Returns
    -------
    callable
        Takes a slice of fine rows; returns (..., rows, x factor) in the field's float type.

    >>> minflex_interpolator(np.array([[0.0, 4.0]]), 2)(slice(None))
    array([[0., 1., 3., 4.],
           [0., 1., 3., 4.]])
    """
    # Mirroring at the outer edges repeats the last value, as clamping does.
    domain = Domain(shape=(coarse.shape[-2], coarse.shape[-1]))
    return interpolator(coarse, domain, factor, "bilinear")
