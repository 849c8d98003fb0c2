"""Power by degree of spherical harmonics, of fields and winds on regular global grids.

Rows are interpolated to Gauss-Legendre nodes by their cosine and sine series, which is exact, and
Gauss-Legendre sums at the nodes are exact for every degree that the rows resolve.
"""

# F fields, N rows, J nodes of the northern half, L largest degree, m order, l degree

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import xarray as xr
from scipy import fft
from scipy.special import roots_legendre

from flexclim.errors import FlexclimError, GridError
from flexclim.verify.core.geometry import EARTH_RADIUS, Plane, whole_planes
from flexclim.verify.core.transforms import Fill, fill_gaps

Rows = Literal["poles", "cells", "north"]
# Beyond this degree the seeds of the recurrence underflow in float64.
LARGEST_DEGREE = 1900
ORDERS = 16
BATCH_BYTES = 128 * 2**20


def power(
    first: xr.DataArray,
    second: xr.DataArray,
    plane: Plane,
    fill: Fill = None,
    known: xr.DataArray | None = None,
) -> xr.DataArray:
    """Return the common power of two global fields by degree; it sums to their covariance.

    Only values that are ``known`` count; the power of a plane without any is NaN.
    """

    def transform(left: np.ndarray, right: np.ndarray, sphere: Sphere) -> np.ndarray:
        return sphere.power(left, None if first is second else right)

    return _apply(transform, [first, second], plane, fill, known)


def vector_power(
    eastward: xr.DataArray, northward: xr.DataArray, plane: Plane, fill: Fill = None
) -> xr.DataArray:
    """Return the power of a global wind by degree; it sums to its mean squared speed."""

    def transform(u: np.ndarray, v: np.ndarray, sphere: Sphere) -> np.ndarray:
        return sphere.vector_power(u, v)

    return _apply(transform, [eastward, northward], plane, fill, None)


@lru_cache(maxsize=4)
def make_sphere(rows: int, columns: int, where: Rows) -> Sphere:
    """Return a global grid, cached for the next field on it."""
    return Sphere(rows, columns, where)


def find_rows(field: xr.DataArray, plane: Plane) -> tuple[Rows, bool]:
    """Return where the rows of a global grid lie, and whether they start in the south.

    Raises
    ------
    GridError
        If the grid is not global, or too fine.
    """
    latitude = field[plane.y].values.astype(float)
    step = abs(latitude[1] - latitude[0])
    north, south = latitude.max(), latitude.min()
    known: dict[Rows, tuple[float, float]] = {
        "poles": (90.0, -90.0),
        "cells": (90 - step / 2, step / 2 - 90),
        "north": (90.0, step - 90),
    }
    found = [n for n, (a, b) in known.items() if abs(north - a) + abs(south - b) < 0.01 * step]
    if not found or not plane.wrap:
        raise GridError(
            f"latitudes from {south:g} to {north:g} in {latitude.size} rows are not a regular "
            "global grid, which spherical harmonics need. Use kind='radial' or 'zonal'."
        )
    if latitude.size - 1 > LARGEST_DEGREE:
        raise GridError(
            f"{latitude.size} rows: spherical harmonics are accurate up to degree "
            f"{LARGEST_DEGREE}. Coarsen the field first, or use kind='radial' or 'zonal'."
        )
    return found[0], bool(latitude[0] < latitude[-1])


def _apply(
    transform: Callable[[np.ndarray, np.ndarray, Sphere], np.ndarray],
    fields: Sequence[xr.DataArray],
    plane: Plane,
    fill: Fill,
    known: xr.DataArray | None,
) -> xr.DataArray:
    """Apply a function of fields (F, N, columns) that returns powers by degree, (F, L)."""
    where, reverse = find_rows(fields[0], plane)
    sphere = make_sphere(fields[0].sizes[plane.y], fields[0].sizes[plane.x], where)

    def each(first: np.ndarray, second: np.ndarray, *known: np.ndarray) -> np.ndarray:
        maps, empty = zip(*(fill_gaps(one, fill, *known) for one in (first, second)), strict=True)
        flat = [one.reshape(-1, *one.shape[-2:]) for one in maps]
        flat = [one[:, ::-1] if reverse else one for one in flat]
        if gaps := int(max(np.isnan(one).sum() for one in flat)):
            raise FlexclimError(
                f"{gaps} NaN in the field: spherical harmonics need all values. Pass fill='mean' "
                "to replace them by each plane's mean, or use kind='radial' on a part without gaps."
            )
        found = transform(flat[0], flat[1], sphere).reshape(*maps[0].shape[:-2], sphere.degrees)
        found[empty[0] | empty[1]] = np.nan
        return found

    given = fields if known is None else [*fields, known]
    result: xr.DataArray = xr.apply_ufunc(
        each,
        *(whole_planes(field, plane) for field in given),
        input_core_dims=[[plane.y, plane.x]] * len(given),
        output_core_dims=[["degree"]],
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"degree": sphere.degrees}},
    )
    degree = np.arange(1, sphere.degrees + 1)
    length = 2 * np.pi * EARTH_RADIUS / np.sqrt(degree * (degree + 1.0))
    return result.assign_coords(
        degree=("degree", degree, {"long_name": "degree of spherical harmonics", "units": "1"}),
        wavelength=("degree", length, {"units": "m", "long_name": "wavelength"}),
    )


class Sphere:
    """A regular global grid.

    Parameters
    ----------
    rows, columns
        Numbers of rows, from north to south, and of columns.
    where
        ``"poles"``: rows on both poles; ``"cells"``: the first row is half a spacing from the
        pole; ``"north"``: a row on the north pole but none on the south pole, whose value is
        taken to be the mean of the last row.
    """

    def __init__(self, rows: int, columns: int, where: Rows) -> None:
        self.where = where
        count = rows + 1 if where == "north" else rows
        self.degrees = min(count - 1 if where == "cells" else count - 2, (columns - 1) // 2)
        # Gauss-Legendre sums of n nodes are exact to degree 2n - 1: that of a row's wave times a
        # Legendre function.
        half = (count + self.degrees) // 4 + 1
        nodes, weights = roots_legendre(2 * half)
        self.nodes, self.weights = nodes[half:], weights[half:]
        angle = np.arccos(self.nodes)
        north, south = (_resampling(a, count, where != "cells") for a in (angle, np.pi - angle))
        self.even, self.odd = (np.stack([a + b, a - b]) for a, b in zip(north, south, strict=True))

    def power(self, first: np.ndarray, second: np.ndarray | None = None) -> np.ndarray:
        """Return the common power of two fields (F, N, columns): (F, L) for degrees 1 to L."""
        total = np.zeros((len(first), self.degrees + 1))
        for batch in self._batches(len(first)):
            left = self._at_nodes(first[batch], self.even, self.odd)
            right = left if second is None else self._at_nodes(second[batch], self.even, self.odd)
            for orders, functions in legendre(self.nodes, self.degrees):
                waves = _project(functions, left[:, orders])
                other = waves if second is None else _project(functions, right[:, orders])
                total[batch, orders.start :] += _by_degree(waves * other.conj(), orders)
        return total[:, 1:]

    def vector_power(self, eastward: np.ndarray, northward: np.ndarray) -> np.ndarray:
        """Return the power of winds (F, N, columns), (F, L): sum of gradient and curl parts.

        Components change sign across a pole, so their even orders are odd functions there.
        """
        total = np.zeros((len(eastward), self.degrees + 1))
        degree = np.arange(self.degrees + 1.0)
        scale = np.sqrt(np.maximum(degree * (degree + 1), 1))
        for batch in self._batches(2 * len(eastward)):
            east = self._at_nodes(eastward[batch], self.odd, self.even)
            south = self._at_nodes(-northward[batch], self.odd, self.even)
            for orders, functions in legendre(self.nodes, self.degrees):
                slope, turn = _derivatives(functions, self.nodes, orders)
                # The derivative of an even function is odd.
                gradient = _project(slope, south[::-1, orders])
                gradient -= 1j * _project(turn, east[:, orders])
                curl = _project(slope, east[::-1, orders])
                curl += 1j * _project(turn, south[:, orders])
                power = np.abs(gradient) ** 2 + np.abs(curl) ** 2
                power /= scale[None, orders.start :, None] ** 2
                total[batch, orders.start :] += _by_degree(power, orders)
        return total[:, 1:]

    def _batches(self, fields: int) -> Iterator[slice]:
        step = max(1, BATCH_BYTES // (32 * self.nodes.size * (self.degrees + 1)))
        return (slice(start, start + step) for start in range(0, fields, step))

    def _at_nodes(self, maps: np.ndarray, even: np.ndarray, odd: np.ndarray) -> np.ndarray:
        """Return weighted zonal waves of ``maps`` (F, N, columns) at the nodes.

        (2, m, J, F): sums of each northern node and its southern mirror image, and differences.
        """
        maps = np.asarray(maps, float)
        if self.where == "north":
            pole = maps[:, -1:].mean(axis=-1, keepdims=True)
            maps = np.concatenate([maps, np.broadcast_to(pole, maps[:, :1].shape)], axis=1)
        waves = fft.rfft(maps, axis=-1, norm="forward")[..., : self.degrees + 1]
        waves = np.ascontiguousarray(waves.transpose(2, 1, 0))
        result = np.empty((2, waves.shape[0], self.nodes.size, waves.shape[2]), complex)
        for start, matrices in ((0, even), (1, odd)):
            for side, matrix in enumerate(matrices):
                result[side, start::2] = matrix @ waves[start::2]
        result *= self.weights[:, None]
        return result


def legendre(nodes: np.ndarray, degrees: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield batches of orders and their associated Legendre functions, (m, l, J).

    l starts at the first order of a batch. Orders are all even or all odd, so that the functions of
    every other degree are symmetric about the equator. Squares of the functions integrate to 1
    over -1 to 1; they are computed by the recurrence in degree.

    >>> orders, functions = next(legendre(np.array([0.5]), 1))
    >>> functions[0, :, 0].round(4)
    array([0.7071, 0.6124])
    """
    sine = np.sqrt((1 - nodes) * (1 + nodes))
    every = np.arange(1, degrees + 1)
    start = np.concatenate([[0.0], np.cumsum(np.log((2 * every - 1) / (2 * every)))])
    firsts = [f for parity in (0, 1) for f in range(parity, degrees + 1, 2 * ORDERS)]
    for first in firsts:
        orders = np.arange(first, min(first + 2 * ORDERS, degrees + 1), 2)
        functions = np.zeros((orders.size, degrees + 1 - first, nodes.size))
        with np.errstate(under="ignore"):
            seed = np.exp((np.log(orders + 0.5) + start[orders]) / 2)[:, None]
            functions[np.arange(orders.size), orders - first] = seed * sine ** orders[:, None]
        for degree in range(first + 1, degrees + 1):
            at = degree - first
            order = orders[: (at + 1) // 2, None]  # those below the degree
            new = nodes * functions[: order.size, at - 1]
            if at > 1:
                back = ((degree - 1) ** 2 - order**2) / (4 * (degree - 1) ** 2 - 1)
                new -= np.sqrt(back) * functions[: order.size, at - 2]
            factor = np.sqrt((4 * degree**2 - 1) / (degree**2 - order**2))
            functions[: order.size, at] = factor * new
        yield slice(first, int(orders[-1]) + 1, 2), functions


def _derivatives(
    functions: np.ndarray, nodes: np.ndarray, orders: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Return derivatives by colatitude, and order times function over sine of colatitude."""
    order = np.arange(orders.start, orders.stop, 2)[:, None, None]
    degree = (orders.start + np.arange(functions.shape[1]))[None, :, None]
    sine = np.sqrt((1 - nodes) * (1 + nodes))
    factor = np.maximum((2 * degree + 1) * (degree**2 - order**2), 0)
    slope = degree * nodes * functions
    slope[:, 1:] -= np.sqrt(factor[:, 1:] / (2 * degree[:, 1:] - 1)) * functions[:, :-1]
    return slope / sine, order * functions / sine


def _project(functions: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """Sum (m, l, J) times complex (2, m, J, F) over the nodes of both hemispheres: (m, l, F)."""
    found = np.empty((*functions.shape[:2], waves.shape[-1]), complex)
    for side in (0, 1):
        columns = np.ascontiguousarray(waves[side]).view(float)
        found[:, side::2] = np.ascontiguousarray(functions[:, side::2] @ columns).view(complex)
    return found


def _by_degree(squares: np.ndarray, orders: slice) -> np.ndarray:
    """Sum (m, l, F) over orders, counting those above 0 twice: means over the sphere, (F, l)."""
    twice = np.where(np.arange(orders.start, orders.stop, 2) > 0, 2.0, 1.0)
    total: np.ndarray = np.einsum("mlf,m->fl", squares.real, twice / 2)
    return total


def _resampling(angle: np.ndarray, rows: int, poles: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return matrices (J, N) for even and odd fields that interpolate rows to colatitudes."""
    each, wave = np.eye(rows), np.arange(rows)
    if poles:
        cosine = fft.dct(each, 1, axis=0) / (rows - 1)
        cosine[[0, -1]] /= 2
        sine = np.zeros((rows, rows))
        sine[1:-1, 1:-1] = fft.dst(each[2:, 2:], 1, axis=0) / (rows - 1)
        return np.cos(angle[:, None] * wave) @ cosine, np.sin(angle[:, None] * wave) @ sine
    cosine, sine = fft.dct(each, 2, axis=0) / rows, fft.dst(each, 2, axis=0) / rows
    cosine[0] /= 2
    sine[-1] /= 2
    return np.cos(angle[:, None] * wave) @ cosine, np.sin(angle[:, None] * (wave + 1)) @ sine
