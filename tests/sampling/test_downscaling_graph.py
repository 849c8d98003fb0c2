"""Tasks of downscaling: what they read, and how many run at once."""

import threading
import time

import numpy as np
from regional_winds import REGION, UPWARD, field

from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve
from flexclim.sampling import downscaling_graph as members
from flexclim.sampling.downscaling_graph import lazy_members
from flexclim.sampling.local_scaling import fill_missing
from flexclim.sampling.plane_identity import PlaneIdentities


def test_what_fills_a_hole_may_lie_beyond_a_region(toy_model):
    """Its part of the field has no value near the hole's other end."""
    holed = field(np.arange(80.0, -80, -1), np.arange(0.0, 160))
    holed[:, 40:, 10:] = np.nan
    asked = DownscalingOptions(factor=4, members=1, region=(64, 64))
    plan = plan_downscaling(resolve(holed.to_dataset()), ["u10"], ["u10"], toy_model, asked)
    part = next(p for p in plan.parts if p.part.rows[0] > 40 and p.part.columns[0] > 20)
    plane = holed.values[0]
    identities = PlaneIdentities(holed, part.sampling)
    made = members.prepare_planes([plane], None, None, part, identities)
    whole = fill_missing(plane)[slice(*part.part.rows), slice(*part.part.columns)]
    np.testing.assert_array_equal(made.given[0, 0], whole)
    assert whole.std() > 0


def test_chunks_are_cut_in_stored_order(toy_model):
    asked = DownscalingOptions(factor=4, region=(64, 64))
    plan = plan_downscaling(resolve(UPWARD.to_dataset()), ["u10"], ["u10"], toy_model, asked)
    assert lazy_members([UPWARD], plan)["u10"].chunks[-2:] == ((64, 32), (64, 44))


def test_memory_is_returned_after_each_part_of_the_work_on_a_region(toy_model, monkeypatch):
    """What malloc keeps of large arrays would pile up from region to region."""
    returned = []
    for module in ("downscaling_graph", "planes", "tiled_sampler"):
        monkeypatch.setattr(f"flexclim.sampling.{module}.return_memory", lambda: returned.append(1))
    for region, count, times in ((None, 1, 0), ((48, 108), 2, 10)):
        asked = DownscalingOptions(factor=4, members=1, region=region, batch=8)
        plan = plan_downscaling(resolve(REGION.to_dataset()), ["u10"], ["u10"], toy_model, asked)
        assert len(plan.regions) == count
        lazy_members([REGION], plan)["u10"].compute(scheduler="synchronous")
        assert len(returned) == times


def test_regions_are_worked_on_one_at_a_time(toy_model, monkeypatch):
    """Each keeps all threads of few cores busy, and two would take twice the memory."""
    running, most = [], []

    def watch(name):
        work = getattr(members, name)

        def watched(*args):
            running.append(1)
            most.append(len(running))
            time.sleep(0.05)
            try:
                return work(*args)
            finally:
                running.pop()

        monkeypatch.setattr(members, name, watched)

    watch("_prepared")
    watch("_sampled")
    monkeypatch.setattr(members, "_region_slots", threading.BoundedSemaphore(1))
    found = {}
    for region in (None, (48, 108)):
        asked = DownscalingOptions(factor=4, members=4, region=region, batch=8, device="cpu")
        plan = plan_downscaling(resolve(REGION.to_dataset()), ["u10"], ["u10"], toy_model, asked)
        lazy_members([REGION], plan)["u10"].compute(scheduler="threads", num_workers=4)
        found[len(plan.regions)] = max(most)
        most.clear()
    assert found[2] == 1 < found[1]
