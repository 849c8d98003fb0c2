"""Plans of downscaling: equal if their content is, and small for one region."""

from dataclasses import replace

import numpy as np
from regional_winds import REGION, field

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
