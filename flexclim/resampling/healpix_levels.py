"""Fields on HEALPix pixels, taken to other levels: parents, or the children of each pixel."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr
from scipy import sparse

from flexclim.cf.directions_and_categories import most_frequent
from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.healpix import Pixels
from flexclim.grids.regridding.sparse_weights import Weights
from flexclim.grids.regridding.stencils import interpolation
from flexclim.grids.regridding.targets import Target, pixel_target
from flexclim.resampling.field_methods import Resampling
from flexclim.resampling.regridding import resampled


def levels_of(factor: int) -> int | None:
    """Return by how many levels pixels differ whose sides differ by a factor; None: by none.

    >>> [levels_of(factor) for factor in (2, 3, 8)]
    [1, None, 3]
    """
    return factor.bit_length() - 1 if factor & (factor - 1) == 0 else None


def children_of(pixels: Pixels, levels: int) -> Target:
    """Return the pixels that others are split into, in nested order."""
    return pixel_target(pixels.level + levels, pixels.children(levels))


def coarser(ds: xr.Dataset, cells: Cells, levels: int, action: str) -> xr.Dataset:
    """Return the means of fields over the pixels that contain theirs, which have equal areas.

    Missing pixels are left out of the means; NaN where all are missing.
    """
    assert cells.pixels is not None
    found, place = cells.pixels.parents(levels)
    shape, at = (found.size, place.size), (place, np.arange(place.size))
    matrix = sparse.csr_array((np.full(place.size, 0.25**levels), at), shape=shape)
    target = pixel_target(cells.pixels.level - levels, found)
    mean = partial(Weights(matrix=matrix).means, nan_threshold=1.0)
    how = Resampling(
        mean=mean,
        categories=partial(most_frequent, average=mean),
        action=action,
        cell_methods=("area: mean", "area: mode"),
        word="the most frequent category of each block is taken",
    )
    return resampled(ds, cells, target, how)


def finer(ds: xr.Dataset, cells: Cells, levels: int, action: str, *, nearest: bool) -> xr.Dataset:
    """Return fields at the centres of smaller pixels: bilinear, or the value of their parent."""
    assert cells.pixels is not None
    target = children_of(cells.pixels, levels)
    parent, smooth = parent_weights(cells, levels), parent_weights(cells, levels)
    if not nearest:
        smooth = smooth_weights(cells, target)
    mean = partial(smooth.means, nan_threshold=0.0)
    how = Resampling(
        mean=mean,
        categories=partial(parent.means, nan_threshold=0.0),
        action=action,
        word="" if nearest else "the category of the nearest cell is taken",
    )
    return resampled(ds, cells, target, how)


def parent_weights(cells: Cells, levels: int) -> Weights:
    """Return the weights that give each child the value of its parent."""
    assert cells.pixels is not None
    children = cells.size * 4**levels
    at = np.arange(children), cells.pixels.order.repeat(4**levels)
    return Weights(matrix=sparse.csr_array((np.ones(children), at), shape=(children, cells.size)))


def smooth_weights(cells: Cells, target: Target) -> Weights:
    """Return the weights of interpolation within triangles of centres."""
    found = interpolation(cells, target.latitude, target.longitude, cubic=False)
    return Weights(matrix=found.matrix)
