"""Planes come out of inputs, and go into outputs, in the order in which files are stored."""

from dataclasses import replace

import coarse_fields
import numpy as np
import pytest

from flexclim.downscaling import DownscalingOptions
from flexclim.grids.grid import Grid
from flexclim.planning.downscaling_plan import plan_downscaling
from flexclim.planning.source import resolve
from flexclim.sampling.blocks import block_of, canonical_planes, planes_of


@pytest.fixture
def field():
    return coarse_fields.region(2)


def planned(field, model):
    source = resolve(field)
    options = DownscalingOptions(factor=2, members=3)
    return plan_downscaling(source, ["t"], ["t"], model, options)


def test_the_planes_of_a_task_are_one_chunk(toy_model):
    field = coarse_fields.region(7)
    plan = planned(field, toy_model).sampling
    for side, last, chunks in ((1, 0, (1,) * 7), (2, 0, (2, 2, 2, 1)), (4, 3, (3, 4))):
        own = replace(plan, planes_per_task=side, plane_break=last)
        planes = planes_of(field.chunk(time=2, lat=3), own)
        assert planes.chunks == (chunks, (8,), (8,))
        np.testing.assert_array_equal(planes.compute(), field.values)


@pytest.mark.parametrize("flip", [False, True])
def test_a_block_of_canonical_planes_is_the_plane_again(field, toy_model, flip):
    field = field.isel(lat=slice(None, None, -1)) if flip else field
    plan = planned(field, toy_model).sampling
    plane = field.values[:1]
    canonical = canonical_planes([plane], plan, "somewhere")
    assert canonical.shape == (1, *plane.shape[-2:])
    members = np.stack([canonical, canonical + 1])[:, None]
    grid: Grid = plan.grid
    block = block_of(members, grid, plan, (1,))
    assert block.shape == (2, 1, *plane.shape[-2:])
    np.testing.assert_array_equal(block[:, 0], [plane[0], plane[0] + 1])
