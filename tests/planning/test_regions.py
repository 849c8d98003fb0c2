"""A field cut into regions holds what the whole holds."""

import threading
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Domain
from flexclim.models.model import keep_loaded
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.regions import region_shape, regions
from flexclim.planning.source import resolve
from flexclim.sampling import downscaling_graph as members
from flexclim.sampling.downscaling_graph import lazy_members
from flexclim.sampling.local_scaling import fill_missing
from flexclim.sampling.planes import Place


def field(lat, lon, seed=0, times=1):
    random = np.random.default_rng(seed)
    return xr.DataArray(
        random.normal(size=(times, len(lat), len(lon))).astype("float32"),
        coords={"time": pd.date_range("2018-09-14", periods=times), "lat": lat, "lon": lon},
        dims=("time", "lat", "lon"),
        name="u10",
        attrs={"units": "m s-1", "standard_name": "eastward_wind"},
    )


REGION = field(np.arange(60.0, 36, -1), np.arange(5.0, 32))
UPWARD = REGION.isel(lat=slice(None, None, -1), lon=slice(None, None, -1))
GLOBE = field(np.arange(-85.0, 90, 10), np.arange(-180.0, 180, 15))
POLES = field(np.linspace(90, -90, 19), np.arange(0.0, 360, 15))


def both(coarse, model, shape, **options):
    """Return the field as a whole and in regions, in units of its standard deviation."""
    keep_loaded(model)
    made = []
    for region in (None, shape):
        asked = DownscalingOptions(
            **({"factor": 4, "members": 1, "region": region, "batch": 8} | options)
        )
        plan = plan_downscaling(resolve(coarse.to_dataset()), ["u10"], ["u10"], model, asked)
        made.append(lazy_members([coarse], plan)["u10"])
    whole, parts = (array.compute(scheduler="synchronous") for array in made)
    assert made[1].numblocks[-2:] != (1, 1)
    return whole / np.nanstd(whole), parts / np.nanstd(whole)


@pytest.mark.parametrize(
    ("coarse", "shape", "options"),
    [
        (REGION, (40, 108), {"steps": 3, "conserve": False}),
        (UPWARD, (50, 62), {"noise": "ar1", "noise_timescale": "6h"}),
        (UPWARD, (96, 56), {"non_negative": True}),
        (GLOBE, (30, 96), {}),
        (POLES, (26, 96), {}),
        (POLES, (36, 96), {"non_negative": True, "factor": 2}),
    ],
)
def test_regions_equal_the_whole(coarse, shape, options, toy_model):
    if options.get("factor") == 2:
        shape = (shape[0] // 2, shape[1] // 2)
    coarse = abs(coarse) if options.get("non_negative") else coarse
    whole, parts = both(coarse, toy_model.replace(noise_scale=1.1), shape, **options)
    np.testing.assert_allclose(parts, whole, atol=1e-5, rtol=0)


def test_a_large_hole_is_filled_alike(toy_model):
    holed = REGION.copy()
    holed[:, 3:20, 6:] = np.nan
    whole, parts = both(holed, toy_model, (48, 108))
    assert np.isnan(whole).any()
    np.testing.assert_allclose(parts, whole, atol=1e-5, rtol=0)


def test_what_fills_a_hole_may_lie_beyond_a_region(toy_model):
    """Its part of the field has no value near the hole's other end."""
    holed = field(np.arange(80.0, -80, -1), np.arange(0.0, 160))
    holed[:, 40:, 10:] = np.nan
    asked = DownscalingOptions(factor=4, members=1, region=(64, 64))
    plan = plan_downscaling(resolve(holed.to_dataset()), ["u10"], ["u10"], toy_model, asked)
    part = next(p for p in plan.parts if p.part.rows[0] > 40 and p.part.columns[0] > 20)
    plane = holed.values[0]
    made = members.prepare_planes([plane], None, part, Place())
    whole = fill_missing(plane)[slice(*part.part.rows), slice(*part.part.columns)]
    np.testing.assert_array_equal(made.given[0], whole)
    assert whole.std() > 0


def test_static_fields_reach_each_region(make_toy, monkeypatch):
    from flexclim.downscaling import downscale
    from flexclim.models.settings import Static
    from flexclim.planning import downscaling_plan as planning

    model = make_toy(read=2, statics=(Static(name="latitude"),))
    whole = downscale(REGION, 4, model=model, members=1, batch=8)
    monkeypatch.setattr(planning, "region_shape", lambda fine: (48, 108))
    parts = downscale(REGION, 4, model=model, members=1, batch=8)
    scale = float(whole.std())
    np.testing.assert_allclose(parts.values, whole.values, atol=1e-5 * scale, rtol=0)


def test_one_region_reads_and_samples_little(toy_model):
    coarse = field(np.arange(80.0, -80, -1), np.arange(0.0, 160))
    asked = DownscalingOptions(factor=4, members=1, region=(64, 64))
    plan = plan_downscaling(resolve(coarse.to_dataset()), ["u10"], ["u10"], toy_model, asked)
    middle = plan.of(plan.regions[55])
    assert middle.sampling.tiles.domain.shape[0] <= 64 + 2 * 2 * 32 + 2 * 4 * 16
    first, last = (len(windows) for windows in middle.part.windows)
    assert last < first < plan.sampling.tiles.count / 4


def test_chunks_are_cut_in_stored_order(toy_model):
    asked = DownscalingOptions(factor=4, region=(64, 64))
    plan = plan_downscaling(resolve(UPWARD.to_dataset()), ["u10"], ["u10"], toy_model, asked)
    assert lazy_members([UPWARD], plan)["u10"].chunks[-2:] == ((64, 32), (64, 44))


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


@pytest.mark.parametrize("shape", [(8000, 8000), (20000, 20000), (300, 90000), (90000, 300)])
def test_regions_are_even_and_of_a_size(shape):
    side = region_shape(Domain(shape=shape))
    assert 2**20 <= side[0] * side[1] <= 2**23
    grid = find_grid(REGION.isel(time=0))
    cut = regions(replace(grid, domain=Domain(shape=shape)), side)
    assert sum((r.rows[1] - r.rows[0]) * (r.columns[1] - r.columns[0]) for r in cut) == np.prod(
        shape
    )


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
    monkeypatch.setattr(members, "_few", threading.BoundedSemaphore(1))
    found = {}
    for region in (None, (48, 108)):
        asked = DownscalingOptions(factor=4, members=4, region=region, batch=8, device="cpu")
        plan = plan_downscaling(resolve(REGION.to_dataset()), ["u10"], ["u10"], toy_model, asked)
        lazy_members([REGION], plan)["u10"].compute(scheduler="threads", num_workers=4)
        found[len(plan.regions)] = max(most)
        most.clear()
    assert found[2] == 1 < found[1]
