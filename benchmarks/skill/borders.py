"""Sample the same members with the borders of tiles elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np

from flexclim.grids.domain import Domain
from flexclim.planning.tiles import AxisPlan, TilePlan, plan_tiles


@contextmanager
def moved_borders() -> Iterator[None]:
    """Have downscalings that are planned inside lay their windows elsewhere."""
    with mock.patch("flexclim.planning.downscaling_plan.plan_tiles", moved_tiles):
        yield


def moved_tiles(domain: Domain, tile: tuple[int, int], factor: int, overlap: int) -> TilePlan:
    """Return a plan whose borders lie as far as may be from those of ``plan_tiles``."""
    plan = plan_tiles(domain, tile, factor, overlap)
    rows, columns = (_moved(axis, factor) for axis in (plan.rows, plan.columns))
    return replace(plan, rows=rows, columns=columns)


def _moved(axis: AxisPlan, factor: int) -> AxisPlan:
    """Shift windows around a circle by half a step; between edges take one to three more."""
    first, count, last = axis.starts[0], len(axis.starts), axis.starts[-1]
    if count == 1:
        return axis
    if axis.wrap:
        half = (axis.starts[1] - first) // 2 // factor * factor
        return replace(axis, starts=tuple(start + half for start in axis.starts))
    steps = (np.linspace(0, (last - first) / factor, count + more) for more in (1, 2, 3))
    plans = [
        replace(axis, starts=tuple(first + round(step) * factor for step in of)) for of in steps
    ]
    return max(plans, key=lambda plan: _distance(plan, axis))


def _distance(one: AxisPlan, other: AxisPlan) -> float:
    return float(np.abs(np.subtract.outer(one.borders, other.borders)).min())
