"""Methods of regridding: from cells and a target to weights."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree

from flexclim.errors import GridError
from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.intervals import common_lengths, near
from flexclim.grids.regridding.overlap import overlap_areas, overlap_moments
from flexclim.grids.regridding.polygons import TURN
from flexclim.grids.regridding.sparse_weights import Slopes, Weights
from flexclim.grids.regridding.stencils import containing_cell, interpolation, nearest
from flexclim.grids.regridding.targets import Target

RegridMethod = Literal["conservative", "conservative_2nd", "bilinear", "bicubic", "nearest", "mode"]
METHODS: tuple[RegridMethod, ...] = get_args(RegridMethod)
# Methods that weight cells by the area that they share with a target.
AREAL = ("conservative", "conservative_2nd", "mode")
# Neighbours from which slopes are estimated, where there are no rows and columns.
NEIGHBOURS = 8


def weights_between(source: Cells, target: Target, method: RegridMethod) -> Weights:
    """Return the weights of a method.

    Raises
    ------
    GridError
        If the method does not fit the target.
    """
    if target.kind == "points":
        return _at_points(source, target, method)
    if method not in AREAL:
        if target.kind == "regions":
            raise GridError(
                f"method {method!r} gives values at points, and the target has polygons. Pass "
                'method="conservative".'
            )
        return _at_points(source, target, method)
    if method == "conservative_2nd":
        return _second_order(source, target)
    return Weights(matrix=shares(_areas(source, target), target.areas))


def _at_points(source: Cells, target: Target, method: RegridMethod) -> Weights:
    latitude, longitude = target.latitude, target.longitude
    if method == "nearest":
        found = nearest(source, latitude, longitude)
    elif method in ("bilinear", "bicubic"):
        if method == "bicubic" and len(source.shape) == 1:
            raise GridError(
                f"method 'bicubic' needs rows and columns, and the input has {source.kind}. Pass "
                'method="bilinear".'
            )
        found = interpolation(source, latitude, longitude, cubic=method == "bicubic")
    elif method == "conservative_2nd":
        raise GridError(
            "method 'conservative_2nd' needs cells, and the target has points. Pass "
            'method="bilinear", or "conservative" for the value of the cell around each point.'
        )
    else:
        found = containing_cell(source, latitude, longitude)
    return Weights(matrix=found.matrix, turned=found.turned)


def _areas(source: Cells, target: Target) -> sparse.csr_array:
    """Return the (target, source) areas in common."""
    if both := common_rows_columns(source, target):
        return sparse.kron(*both, format="csr")
    if target.regions is not None:
        cells, number = near(source, target.regions.boxes)
        areas = target.regions.overlaps(cells.polygons).tocoo()
    else:
        assert target.cells is not None
        cells, number = near(source, target.cells.polygons.boxes)
        areas = overlap_areas(cells.polygons, target.cells.polygons).tocoo()
    shape = target.latitude.size, source.size
    return sparse.csr_array((areas.data, (areas.row, number[areas.col])), shape=shape)


def common_rows_columns(
    source: Cells, target: Target
) -> tuple[sparse.csr_array, sparse.csr_array] | None:
    """Return the (target, source) heights and widths in common; None: cells lie in no rows."""
    cells = target.cells
    if cells is None or source.rows is None or cells.rows is None:
        return None
    assert source.columns is not None
    assert cells.columns is not None
    heights = common_lengths(np.sin(np.deg2rad(source.rows)), np.sin(np.deg2rad(cells.rows)))
    widths = common_lengths(np.deg2rad(source.columns), np.deg2rad(cells.columns), turn=TURN)
    return heights, widths


def shares(areas: sparse.csr_array, whole: np.ndarray) -> sparse.csr_array:
    """Return areas as shares of (m,) targets; those without area have none."""
    scale = 1 / np.where(whole > 0, whole, np.inf)
    return (sparse.diags_array(scale) @ areas).tocsr()


def _second_order(source: Cells, target: Target) -> Weights:
    """Return weights with a slope in each cell (Jones, 1999), in the equal-area plane.

    Displacements x are along parallels times the cosine, z along meridians over it, both at the
    source cell. Cells that reach a pole have no slope.
    """
    if target.regions is not None:
        areas, of_x, of_z = target.regions.moments(source.polygons)
    else:
        assert target.cells is not None
        areas, of_x, of_z = overlap_moments(source.polygons, target.cells.polygons)
    x, z = (np.nan_to_num(part) for part in source.polygons.centroids)
    cosine = np.sqrt(np.maximum(1 - z * z, 1e-12))
    boxes = source.polygons.boxes
    flat = ~(np.nanmax(np.abs(boxes[:, [1, 3]]), axis=1) < 1 - 1e-12)
    scale = np.where(flat, 0, cosine)
    inverse = np.where(flat, 0, 1 / cosine)
    moved_x = (of_x - areas @ sparse.diags_array(x)) @ sparse.diags_array(scale)
    moved_z = (of_z - areas @ sparse.diags_array(z)) @ sparse.diags_array(inverse)
    moments = sparse.hstack([shares(m, target.areas) for m in (moved_x, moved_z)], format="csr")
    slopes = Slopes(differences=_differences(source, x, z, cosine, flat), moments=moments)
    return Weights(matrix=shares(areas, target.areas), slopes=slopes)


def _differences(
    source: Cells, x: np.ndarray, z: np.ndarray, cosine: np.ndarray, flat: np.ndarray
) -> sparse.csr_array:
    """Return the (2 n, n) weights of neighbours in least-squares slopes."""
    cell, other = _neighbours(source)
    keep = ~flat[cell] & (source.areas[other] > 0)
    cell, other = cell[keep], other[keep]
    east = x[other] - x[cell]
    east = (east - TURN * np.round(east / TURN)) * cosine[cell]
    north = (z[other] - z[cell]) / cosine[cell]
    size = source.size

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(cell, weights=values, minlength=size)

    xx, xz, zz = total(east * east), total(east * north), total(north * north)
    determinant = xx * zz - xz * xz
    sound = determinant > 1e-6 * xx * zz
    factor = (np.where(sound, 1, 0) / np.where(sound, determinant, 1))[cell]
    along = factor * (zz[cell] * east - xz[cell] * north)
    across = factor * (xx[cell] * north - xz[cell] * east)
    index = np.concatenate([cell, cell + size]), np.concatenate([other, other])
    return sparse.csr_array((np.concatenate([along, across]), index), shape=(2 * size, size))


def _neighbours(source: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of cells and their neighbours."""
    if len(source.shape) == 2:
        number = np.arange(source.size).reshape(source.shape)
        pairs = [(number[:-1], number[1:]), (number[:, :-1], number[:, 1:])]
        if source.wraps:
            pairs.append((number[:, -1], number[:, 0]))
        first = np.concatenate([a.ravel() for a, _ in pairs])
        second = np.concatenate([b.ravel() for _, b in pairs])
        return np.concatenate([first, second]), np.concatenate([second, first])
    count = min(NEIGHBOURS + 1, source.size)
    far, near = KDTree(source.centres).query(source.centres, k=count)
    close = (far < 3 * source.spacing[:, None])[:, 1:]
    cell = np.arange(source.size)[:, None].repeat(count - 1, axis=1)
    return cell[close], near[:, 1:][close]
