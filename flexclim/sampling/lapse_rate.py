"""Temperatures at the elevation of a target."""

from __future__ import annotations

import dask
import numpy as np
from dask.delayed import Delayed

from flexclim.grids.grid import Grid
from flexclim.grids.operators import interpolate
from flexclim.grids.regridding.cells import row_cells
from flexclim.grids.regridding.methods import weights_between
from flexclim.grids.regridding.sparse_weights import masked_means
from flexclim.grids.regridding.targets import Target
from flexclim.grids.remap import remapper
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.planning.elevations import OROGRAPHY
from flexclim.planning.output_target import NAN_THRESHOLD, OutputTarget
from flexclim.sampling.planned_ensemble import PlannedEnsemble
from flexclim.sampling.statics import remapped


def lazy_changes(planned: PlannedEnsemble, output: OutputTarget) -> dict[str, Delayed]:
    """Return what is added to each temperature on a target, (m,) in its units.

    Temperatures belong to the surface of the model that made them: that of the fine grid where a
    model has read its orography, else the mean over cells of the input, interpolated.

    Raises
    ------
    GridError
        If the orography does not cover the input.
    """
    change, found = dask.delayed(temperature_change, pure=True), {}
    for name, scale in output.lapse.changed.items() if output.lapse else ():
        assert output.lapse is not None
        grid, factor = _resolved(planned, name)
        remapper(output.lapse.orography.grid, grid, OROGRAPHY)  # raises if it is too small
        found[name] = change(output, grid, factor, scale)
    return found


def _resolved(planned: PlannedEnsemble, name: str) -> tuple[Grid, int]:
    """Return the grid whose orography a variable resolves, and by how much it is refined then."""
    factor = 1
    for stage in reversed(planned.stages):
        (plan,) = (
            plan
            for group, plan in zip(stage.groups, stage.plans, strict=True)
            if name in group.outputs.values()
        )
        assert isinstance(plan, DownscalingPlan)
        grid = stage.source.grid_for(plan.sampling.grid.domain.kind)
        if OROGRAPHY in plan.sampling.statics:
            return plan.fine_grid(grid), factor
        factor *= plan.factor
    return grid, factor


def temperature_change(output: OutputTarget, grid: Grid, factor: int, scale: float) -> np.ndarray:
    """Return the change of temperature from the model's surface to the targets, (m,).

    Parameters
    ----------
    output
        The targets, with the weights of fine cells.
    grid, factor
        The grid whose orography temperatures resolve, and the factor to the fine grid.
    scale
        Size of 1 K in the units of the result.
    """
    lapse = output.lapse
    assert lapse is not None
    surface = remapped(lapse.orography, grid, OROGRAPHY)
    if factor > 1:
        surface = interpolate(surface, grid.domain, factor, "bicubic")
        grid = grid.refined(factor)
    surface = grid.restore(surface)
    if lapse.pixels is not None:
        surface = _on_pixels(surface, grid, lapse.pixels)
    parts = zip(output.parts, output.weights, strict=True)
    found = [weights.sums(surface[part]) for part, weights in parts]
    total, share = (np.sum(each, axis=0) for each in zip(*found, strict=True))
    height = lapse.elevation - masked_means(total, share, NAN_THRESHOLD)
    return np.asarray(-lapse.rate / 1000 * scale * height)


def _on_pixels(surface: np.ndarray, grid: Grid, pixels: Target) -> np.ndarray:
    """Return a field (y, x) on rows and columns at the centres of pixels, as members are taken."""
    assert grid.y_values is not None
    assert grid.x_values is not None
    rows = row_cells((grid.y, grid.x), grid.y_values, grid.x_values)
    return weights_between(rows, pixels, "bilinear").means(surface.ravel(), 1.0)
