"""Plans of downscaling: equal if their content is, and small for one region."""

from dataclasses import replace

import numpy as np
import pytest
from regional_winds import REGION, field

import flexclim
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve


def test_one_region_reads_and_samples_little(toy_model):
    coarse = field(np.arange(80.0, -80, -1), np.arange(0.0, 160))
    asked = DownscalingOptions(factor=4, members=1, region=(64, 64))
    plan = plan_downscaling(resolve(coarse.to_dataset()), ["u10"], ["u10"], toy_model, asked)
    middle = plan.of(plan.regions[55])
    assert middle.sampling.tiles.domain.shape[0] <= 64 + 2 * 2 * 32 + 2 * 4 * 16
    first, last = (len(windows) for windows in middle.part.windows)
    assert last < first < plan.sampling.tiles.count / 4


@pytest.mark.parametrize(("side", "tile"), [(4, 16), (3, 16), (5, 32), (20, 32)])
def test_small_fields_get_small_tiles(make_toy, side, tile):
    """A field that fits into a small tile is not padded to a large one."""
    model = make_toy(network={"other_tiles": ((16, 16),)}, halo=16)
    coarse = field(np.arange(50.0, 50 - side, -1), np.arange(0.0, side)).to_dataset()
    asked = DownscalingOptions(factor=4, members=2)
    plan = plan_downscaling(resolve(coarse), ["u10"], ["u10"], model, asked)
    assert plan.sampling.tiles.tile == (tile, tile)
    found = flexclim.downscale(coarse, 4, model=model, members=2).u10
    assert found.shape[-2:] == (4 * side, 4 * side)
    if tile == 32:
        expected = flexclim.downscale(coarse, 4, model=make_toy(halo=16), members=2).u10
        np.testing.assert_array_equal(found, expected)


def test_plans_of_equal_content_are_equal(toy_model):
    import pickle

    asked = DownscalingOptions(factor=4, region=(64, 64))
    plan = plan_downscaling(resolve(REGION.to_dataset()), ["u10"], ["u10"], toy_model, asked)
    part = plan.of(plan.regions[1])
    assert pickle.loads(pickle.dumps(part)) == part
    assert (
        len(
            {
                plan,
                part,
                plan.of(plan.regions[2]),
                replace(part, sampling=replace(part.sampling, seed=1)),
            }
        )
        == 4
    )
