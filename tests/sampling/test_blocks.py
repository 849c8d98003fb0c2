"""Planes come out of inputs, and go into outputs, in the order in which files are stored."""

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


def test_each_plane_is_one_chunk(field, toy_model):
    plan = planned(field, toy_model).sampling
    planes = planes_of(field.chunk(time=2, lat=3), plan)
    assert planes.numblocks == (field.sizes["time"], 1, 1)
    np.testing.assert_array_equal(planes.blocks[1].compute()[0], field.values[1])


@pytest.mark.parametrize("flip", [False, True])
def test_a_block_of_canonical_planes_is_the_plane_again(field, toy_model, flip):
    field = field.isel(lat=slice(None, None, -1)) if flip else field
    plan = planned(field, toy_model).sampling
    plane = field.values[:1]
    canonical = canonical_planes([plane], plan, "somewhere")
    assert canonical.shape == (1, *plane.shape[-2:])
    members = np.stack([canonical, canonical + 1])
    grid: Grid = plan.grid
    block = block_of(members, grid, plan)
    assert block.shape == (1, 2, 1, *plane.shape[-2:])
    np.testing.assert_array_equal(block[0, :, 0], [plane[0], plane[0] + 1])
