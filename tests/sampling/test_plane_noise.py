"""The noise of a plane belongs to its pixels and targets."""

import named_variables
import numpy as np
import pytest
from regional_winds import UPWARD

import flexclim
from flexclim.downscaling import downscale
from flexclim.models.model import keep_loaded
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve
from flexclim.sampling.downscaling_graph import lazy_members
from flexclim.sampling.plane_identity import PlaneIdentity
from flexclim.sampling.plane_noise import _amplitudes


@pytest.fixture(scope="session")
def energy(make_toy):
    """Return a model that makes of wind its kinetic energy, and wind at another height."""
    return named_variables.wind_energy(make_toy)


def test_noise_belongs_to_the_target(energy):
    """Members of a target stay what they are when other targets go."""
    keys = []
    normal = flexclim.sampling.plane_noise.standard_normal

    def remembered(shape, key, member, origin):
        keys.append((key.variable, member))
        return normal(shape, key, member, origin)

    flexclim.sampling.plane_noise.standard_normal = remembered
    try:
        downscale(
            named_variables.coarse_region().isel(time=[0]), 4, model=energy, members=2, batch=4
        )
    finally:
        flexclim.sampling.plane_noise.standard_normal = normal
    assert sorted(keys) == [("ke", 0), ("ke", 1), ("u100", 0), ("u100", 1)]


def test_regions_share_the_amplitude_of_their_noise(toy_model):
    model = toy_model.replace(noise_amplitude=0.5)
    keep_loaded(model)

    def members_of(region):
        asked = DownscalingOptions(factor=4, members=1, region=region)
        plan = plan_downscaling(resolve(UPWARD.to_dataset()), ["u10"], ["u10"], model, asked)
        return lazy_members([UPWARD], plan)["u10"].compute()

    whole = members_of(None)
    np.testing.assert_allclose(members_of((64, 64)), whole, atol=1e-4 * whole.std())


def test_the_amplitude_is_smooth_where_a_globe_closes(toy_model):
    lon = np.arange(0.0, 360, 15)
    globe = UPWARD.isel(lon=slice(0, lon.size)).assign_coords(lon=lon)
    model = toy_model.replace(noise_amplitude=0.5)
    asked = DownscalingOptions(factor=4, members=20)
    plan = plan_downscaling(resolve(globe.to_dataset()), ["u10"], ["u10"], model, asked)
    assert plan.sampling.tiles.domain.wrap
    found = np.log(_amplitudes(plan, PlaneIdentity(), range(20))[:, 0])
    inside = abs(np.diff(found, axis=-1)).mean()
    assert abs(found[..., 0] - found[..., -1]).mean() < 1.5 * inside
