"""The coarse grid of a fine one, to which predictors on grids of their own are brought."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.axes import find_axes
from flexclim.grids.candidates import is_position, plane
from flexclim.grids.domain import Kind
from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.methods import RegridMethod
from flexclim.resampling.nested_grids import coarsen

TEMPLATE = "template"
# Cells are smaller by at least this, and not by the latitudes alone, where they are averaged.
FINER = 0.75


def template_of(obj: xr.Dataset | xr.DataArray) -> xr.DataArray:
    """Return a field (y, x) of zeros with the positions of an object's rows and columns.

    Raises
    ------
    GridError
        If it has no rows and columns.
    """
    ds = obj if isinstance(obj, xr.Dataset) else obj.rename(TEMPLATE).to_dataset()
    ds = ds.set_coords([name for name, one in ds.data_vars.items() if is_position(one)])
    axes = find_axes(ds)
    dims = axes.y, axes.x
    positions = {
        name: plane(one).variable if is_position(one) else one.variable
        for name, one in ds.coords.items()
        if set(plane(one).dims if is_position(one) else one.dims) in ({axes.y}, {axes.x}, {*dims})
    }
    shape = tuple(ds.sizes[dim] for dim in dims)
    return xr.DataArray(np.broadcast_to(np.float32(0), shape), positions, dims, name=TEMPLATE)


def coarse_grid(fine: xr.DataArray, factor: int, kind: Kind | None = None) -> xr.Dataset:
    """Return a coarse field of zeros whose cells hold ``factor`` x ``factor`` cells of a grid.

    Parameters
    ----------
    fine
        From :func:`template_of`. Rows and columns are continued at their ends to whole coarse
        cells.
    kind
        Whether values are means of cells or point values; grids of points have to fit the factor.
    """
    if kind != "point":
        fine = _continued(fine, {dim: -size % factor for dim, size in fine.sizes.items()})
    coarse = coarsen(fine, factor, grid=kind)
    return coarse.to_dataset(name=TEMPLATE)


def method_between(source: Cells, target: Cells) -> RegridMethod:
    """Return how predictors are regridded: means over larger cells, else interpolation."""
    finer = np.median(source.spacing) < FINER * np.median(target.spacing)
    return "conservative" if finer else "bilinear"


def check_covered(share: np.ndarray, source: Cells, names: str, target: Cells) -> None:
    """Check that predictors cover all cells of the coarse grid; ``share`` is their weight.

    Raises
    ------
    GridError
        If cells lie outside.
    """
    outside = int((share < 0.5).sum())
    if outside:
        here, there = ("{:g} to {:g} north, {:g} to {:g} east".format(*one.extent())
                       for one in (source, target))  # fmt: skip
        raise GridError(
            f"{names} span {here}, and {outside} of {share.size} coarse cells of the target "
            f"({there}) lie outside. Pass predictors of a larger area, or a smaller target."
        )


def _continued(fine: xr.DataArray, more: dict[Hashable, int]) -> xr.DataArray:
    """Return a field with more rows and columns at their ends, in equal steps."""
    if not any(more.values()):
        return fine
    positions = {}
    for name, one in fine.coords.items():
        widths = [(0, more[dim]) for dim in one.dims]
        values = np.pad(one.values, widths, mode="reflect", reflect_type="odd")
        positions[name] = xr.Variable(one.dims, values, one.attrs)
    shape = tuple(size + more[dim] for dim, size in fine.sizes.items())
    return xr.DataArray(np.broadcast_to(np.float32(0), shape), positions, fine.dims, fine.name)
