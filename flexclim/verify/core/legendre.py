"""Power by degree of spherical harmonics, of fields and winds on regular global grids. Numpy only.

Rows are taken to the nodes of Gauss and Legendre by their cosine and sine series, which loses
nothing, and there the sums are exact for every degree that the rows hold.
"""

# F fields, N rows, J nodes of the northern half, L largest degree, m order, l degree

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy import fft
from scipy.special import roots_legendre

Rows = Literal["poles", "cells", "north"]
# Beyond, the first function of an order is too small for float64 where later ones are not.
LARGEST_DEGREE = 1900
ORDERS = 16
BATCH_BYTES = 128 * 2**20


class Sphere:
    """A regular global grid.

    Parameters
    ----------
    rows, columns
        Their numbers. Rows run from the north.
    where
        ``"poles"``: rows on both poles; ``"cells"``: the first half a spacing from the pole;
        ``"north"``: one on the north pole and none on the south pole, where the mean of the last
        row stands in.
    """

    def __init__(self, rows: int, columns: int, where: Rows) -> None:
        self.where = where
        count = rows + 1 if where == "north" else rows
        self.degrees = min(count - 1 if where == "cells" else count - 2, (columns - 1) // 2)
        # Gauss-Legendre sums of n nodes are exact to degree 2n - 1: a row's wave times a function.
        half = (count + self.degrees) // 4 + 1
        nodes, weights = roots_legendre(2 * half)
        self.nodes, self.weights = nodes[half:], weights[half:]
        angle = np.arccos(self.nodes)
        north, south = (_resampling(a, count, where != "cells") for a in (angle, np.pi - angle))
        self.even, self.odd = (np.stack([a + b, a - b]) for a, b in zip(north, south, strict=True))

    def power(self, first: np.ndarray, second: np.ndarray | None = None) -> np.ndarray:
        """Return the power that two fields (F, N, columns) share, (F, L) for degrees 1 to L."""
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
        """Return the power of winds (F, N, columns), (F, L): gradients and curls together.

        Components change sign beyond a pole, so their even orders are odd there.
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
        """Return weighted waves of ``maps`` (F, N, columns) at the nodes.

        (2, m, J, F): the sum of the northern and the southern node, and their difference.
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
    """Yield some orders at a time and their functions, (m, l, J) for l from the first order on.

    Orders are all even or all odd, so functions of every other degree are even about the equator.
    Associated Legendre functions whose squares integrate to 1 over -1 to 1, by the recurrence in
    degree.

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
    """Return derivatives by colatitude, and order times function over its sine."""
    order = np.arange(orders.start, orders.stop, 2)[:, None, None]
    degree = (orders.start + np.arange(functions.shape[1]))[None, :, None]
    sine = np.sqrt((1 - nodes) * (1 + nodes))
    factor = np.maximum((2 * degree + 1) * (degree**2 - order**2), 0)
    slope = degree * nodes * functions
    slope[:, 1:] -= np.sqrt(factor[:, 1:] / (2 * degree[:, 1:] - 1)) * functions[:, :-1]
    return slope / sine, order * functions / sine


def _project(functions: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """Sum (m, l, J) times complex (2, m, J, F) over the nodes of both halves, to (m, l, F)."""
    found = np.empty((*functions.shape[:2], waves.shape[-1]), complex)
    for side in (0, 1):
        columns = np.ascontiguousarray(waves[side]).view(float)
        found[:, side::2] = np.ascontiguousarray(functions[:, side::2] @ columns).view(complex)
    return found


def _by_degree(squares: np.ndarray, orders: slice) -> np.ndarray:
    """Sum (m, l, F) over orders, those above 0 twice, to the mean over the sphere (F, l)."""
    twice = np.where(np.arange(orders.start, orders.stop, 2) > 0, 2.0, 1.0)
    return np.einsum("mlf,m->fl", squares.real, twice / 2)


def _resampling(angle: np.ndarray, rows: int, poles: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return what takes rows to the colatitudes ``angle``, (J, N): fields even and odd at poles."""
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
