"""A field cut into regions holds what the whole holds."""

from dataclasses import replace

import numpy as np
import pytest
from regional_winds import REGION, UPWARD, field

from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Domain
from flexclim.models.model import keep_loaded
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.regions import region_shape, regions
from flexclim.planning.source import resolve
from flexclim.sampling.downscaling_graph import lazy_members

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


@pytest.mark.parametrize(
    ("coarse", "shape", "factor"), [(UPWARD, (96, 56), 4), (POLES, (18, 48), 2)]
)
def test_bounds_are_those_of_the_whole_field(coarse, shape, factor, toy_model):
    """Also where only other regions exceed 100 %, or hold the negative values of an anomaly."""
    cloud = (coarse * 30 + 50).clip(0, 100)
    cloud.attrs = {"standard_name": "cloud_area_fraction", "units": "%"}
    above, signed = cloud.copy(), cloud.copy()
    above[:, 0, 0], signed[:, -1, -1] = 120, -50
    for one in (cloud, above, signed):
        whole, parts = both(one, toy_model, shape, factor=factor)
        np.testing.assert_allclose(parts, whole, atol=1e-5, rtol=0)


def test_a_large_hole_is_filled_alike(toy_model):
    holed = REGION.copy()
    holed[:, 3:20, 6:] = np.nan
    whole, parts = both(holed, toy_model, (48, 108))
    assert np.isnan(whole).any()
    np.testing.assert_allclose(parts, whole, atol=1e-5, rtol=0)


def test_static_fields_reach_each_region(make_toy, monkeypatch):
    from flexclim.downscaling import downscale
    from flexclim.models.channels import Static
    from flexclim.planning import downscaling_plan as planning

    model = make_toy(read=2, statics=(Static(name="latitude"),))
    whole = downscale(REGION, 4, model=model, members=1, batch=8)
    monkeypatch.setattr(planning, "region_shape", lambda fine: (48, 108))
    parts = downscale(REGION, 4, model=model, members=1, batch=8)
    scale = float(whole.std())
    np.testing.assert_allclose(parts.values, whole.values, atol=1e-5 * scale, rtol=0)


@pytest.mark.parametrize("shape", [(8000, 8000), (20000, 20000), (300, 90000), (90000, 300)])
def test_regions_are_even_and_of_a_size(shape):
    side = region_shape(Domain(shape=shape))
    assert 2**20 <= side[0] * side[1] <= 2**23
    grid = find_grid(REGION.isel(time=0))
    cut = regions(replace(grid, domain=Domain(shape=shape)), side)
    assert sum((r.rows[1] - r.rows[0]) * (r.columns[1] - r.columns[0]) for r in cut) == np.prod(
        shape
    )
