"""Delayed static fields and block means of any part of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import dask
from dask.delayed import Delayed

from flexclim.grids.grid import Grid
from flexclim.models.channels import Static
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.planning.source import Source, StaticField
from flexclim.planning.variable_groups import VariableGroup
from flexclim.sampling.downscaling_graph import curvilinear_means
from flexclim.sampling.planes import Plan
from flexclim.sampling.statics import check_coverage, static_fields

Reader = Callable[[DownscalingPlan], Delayed]


@dataclass(frozen=True)
class StaticsReader:
    """Reads static fields on the fine grid of a part."""

    fields: Mapping[str, StaticField]
    grid: Grid
    wanted: Sequence[Static]

    def __call__(self, part: Plan) -> Delayed:
        """Return the static fields of a part."""
        read = dask.delayed(static_fields, pure=True)
        found: Delayed = read(self.fields, part.fine_grid(self.grid), self.wanted)
        return found

    def __dask_tokenize__(self) -> object:
        return self.fields, self.grid, self.wanted


@dataclass(frozen=True)
class MeansReader:
    """Finds the block means of a part with curvilinear cells."""

    grid: Grid

    def __call__(self, part: DownscalingPlan) -> Delayed:
        """Return the block means of a part."""
        weigh = dask.delayed(curvilinear_means, pure=True)
        found: Delayed = weigh(part.coarse_grid(self.grid), part.factor)
        return found

    def __dask_tokenize__(self) -> object:
        return self.grid


def statics_reader(source: Source, plan: Plan, group: VariableGroup) -> StaticsReader | None:
    """Return what reads the model's static fields; None: it has none."""
    wanted = group.model.settings.statics
    if not wanted:
        return None
    grid = source.grid_for(plan.sampling.grid.domain.kind)
    fields = {one.name: source.static_fields[one.name] for one in wanted if not one.computed}
    check_coverage(fields, plan.fine_grid(grid), wanted)
    return StaticsReader(fields, grid, wanted)


def means_reader(source: Source, plan: DownscalingPlan) -> MeansReader | None:
    """Return what finds block means; None: areas of cells do not depend on the column."""
    grid = source.grid_for(plan.sampling.grid.domain.kind).with_corners()
    if grid.corners is None or not any(target.conserve for target in plan.sampling.targets):
        return None
    return MeansReader(grid)
