"""Local scaling of fields, with which one model serves any variable.

A field is represented by its deviation from a smooth local mean, in units of a smooth local
amplitude of its finest resolved scales. Both are computed from a small neighbourhood on the coarse
grid, independent of tiles and chunks; the residual that the network predicts scales with the field.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from flexclim.grids.domain import Domain
from flexclim.grids.operators import extend, interpolator
from flexclim.models.settings import SCALING_REACH

BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
MEAN_WIDTH, SCALE_WIDTH = 3.0, 2.0
# Amplitudes below this fraction of the local mean are rounding errors.
SMALLEST = 1e-6


@dataclass(frozen=True)
class Scaled:
    """A coarse field interpolated to the fine grid, with its network inputs and amplitude.

    ``base`` (..., y, x) is the interpolated field in its own units, ``inputs`` are the network's
    inputs, ``amplitude`` is the local amplitude in the field's units (0 where the field is
    constant). A residual r of the field is r / amplitude in the network's units.
    """

    base: np.ndarray
    inputs: np.ndarray
    amplitude: np.ndarray

    def as_planes(self) -> Scaled:
        """Return the same field as the only one of several, (1, ..., y, x)."""
        return Scaled(self.base[None], self.inputs[None], self.amplitude[None])


# Computes a slice of rows of the fine grid.
Rows = Callable[[slice], Scaled]


def local_scaling(
    coarse: np.ndarray, domain: Domain, *, vector: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smooth local mean and amplitude of a coarse field.

    Parameters
    ----------
    coarse
        (..., y, x) on ``domain``, without NaN; any units.

    Returns
    -------
    mean, amplitude
        Float64, same shape and units: a Gaussian mean of ``MEAN_WIDTH`` cells, and the root mean
        square, over a Gaussian window of ``SCALE_WIDTH`` cells, of the field minus its 5 x 5
        binomial mean.
    """
    field = extend(np.asarray(coarse, float), domain, SCALING_REACH, vector=vector)
    detail = field
    for axis in (-2, -1):
        detail = ndimage.correlate1d(detail, BINOMIAL, axis=axis, mode="nearest")
    variance = _smooth((field - detail) ** 2, SCALE_WIDTH)
    mean = _smooth(field, MEAN_WIDTH)
    inner = (..., slice(SCALING_REACH, -SCALING_REACH), slice(SCALING_REACH, -SCALING_REACH))
    mean, amplitude = mean[inner], np.sqrt(variance[inner])
    return mean, np.where(amplitude > SMALLEST * np.abs(mean), amplitude, 0.0)


def scale_locally(coarse: np.ndarray, domain: Domain, factor: int, *, vector: bool = False) -> Rows:
    """Return a function that interpolates and scales a coarse field, for a slice of fine rows.

    Parameters
    ----------
    coarse
        (..., y, x) on ``domain``, without NaN.
    factor
        Fine cells along one side of a coarse cell.
    vector
        Whether the field is an eastward or northward component.
    """
    coarse = np.asarray(coarse, float)
    mean, amplitude = local_scaling(coarse, domain, vector=vector)
    fine_base = interpolator(coarse, domain, factor, "bicubic", vector=vector)
    fine_mean = interpolator(mean, domain, factor, "bilinear", vector=vector)
    fine_amplitude = interpolator(amplitude, domain, factor, "bilinear")

    def scaled_rows(rows: slice) -> Scaled:
        base, departure, unit = fine_base(rows), fine_mean(rows), fine_amplitude(rows)
        inputs = np.zeros(base.shape, np.float32)
        np.subtract(base, departure, out=departure)
        np.divide(departure, unit, out=inputs, where=unit > 0, casting="same_kind")
        return Scaled(base, inputs, unit)

    return scaled_rows


def fill_missing(field: np.ndarray) -> np.ndarray:
    """Fill NaN with the value of the nearest cell that has one, plane by plane.

    A plane without any value becomes 0. (..., y, x); the input is not changed.
    """
    missing = np.isnan(field)
    if not missing.any():
        return field
    filled = np.array(field)
    for index in np.ndindex(field.shape[:-2]):
        hole = missing[index]
        if hole.all():
            filled[index] = 0
        elif hole.any():
            rows, columns = ndimage.distance_transform_edt(
                hole, return_distances=False, return_indices=True
            )
            filled[index] = field[index][rows, columns]
    return filled


def nearest_known(field: np.ndarray) -> np.ndarray:
    """Return where :func:`fill_missing` takes each value from, as indices into planes.

    >>> nearest_known(np.array([[1.0, np.nan, np.nan]]))
    array([[0, 0, 0]])
    """
    missing, plane = np.isnan(field), field.shape[-2:]
    places = np.broadcast_to(np.arange(math.prod(plane)).reshape(plane), field.shape)
    known = fill_missing(np.where(missing, np.nan, places))
    # In a plane without any value, each cell stays as it is.
    return np.where(missing.all((-2, -1), keepdims=True), places, known).astype(np.int64)


def _smooth(field: np.ndarray, width: float) -> np.ndarray:
    radius = int(3 * width + 0.5)
    for axis in (-2, -1):
        field = ndimage.gaussian_filter1d(field, width, axis=axis, mode="nearest", radius=radius)
    return field
