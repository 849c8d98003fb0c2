"""Weights of points that a user gives."""

from __future__ import annotations

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError
from flexclim.verify.core.numbers import as_numbers


def check_weights(weights: object) -> xr.DataArray:
    """Return weights as floating-point numbers; lazy ones are checked when they are computed.

    Raises
    ------
    FlexclimError
        If they are not a DataArray of finite numbers of at least 0.

    >>> check_weights(xr.DataArray([1.0, -1.0]))
    Traceback (most recent call last):
    flexclim.errors.FlexclimError: 1 of 2 weights is negative, such as -1. ...
    """
    if not isinstance(weights, xr.DataArray):
        raise FlexclimError(
            f"weights of type {type(weights).__name__} have no dimensions to match: use 'area', "
            "None or a DataArray with dimensions of the fields."
        )
    checked: xr.DataArray = xr.apply_ufunc(
        _check_block,
        as_numbers(weights, "array of weights"),
        dask="parallelized",
        output_dtypes=[float],
        keep_attrs=True,
    )
    return checked


def _check_block(block: np.ndarray) -> np.ndarray:
    for bad, what in ((block < 0, "negative"), (~np.isfinite(block), "NaN or infinite")):
        if count := int(np.count_nonzero(bad)):
            raise FlexclimError(
                f"{count} of {block.size} weights {'is' if count == 1 else 'are'} {what}, such as "
                f"{block[bad][0]:g}. Weights are finite and at least 0: use 0 for points that do "
                "not count."
            )
    return np.asarray(block, float)
