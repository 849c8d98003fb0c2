"""Sampling one plane: its noise, and what the sampler is told of its variables."""

import named_variables
import pytest

import flexclim
from flexclim.models.model import keep_loaded
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve
from flexclim.planning.variable_groups import with_targets


@pytest.fixture
def region():
    return named_variables.coarse_region()


@pytest.fixture(scope="session", params=["fixed", "local"])
def model(request, make_toy):
    """Return a model of wind and rain with four static predictors."""
    return named_variables.wind_and_rain(make_toy, request.param)


@pytest.fixture(scope="session")
def energy(make_toy):
    """Return a model that makes of wind its kinetic energy, and wind at another height."""
    return named_variables.wind_energy(make_toy)


def test_what_turns_at_a_pole_is_told_to_the_sampler(model, energy, region):
    def turning(model, inputs, targets):
        keep_loaded(model)
        source = with_targets(resolve(region), model)
        plan = plan_downscaling(source, inputs, targets, model, DownscalingOptions(factor=4))
        sampler = flexclim.sampling.planes.sampler_of(plan.sampling)
        return [part.ravel().tolist() for part in (sampler._turning, sampler._turning_in)]

    names = ["u10", "v10", "tp"]
    assert turning(model, names, names) == [[True, True, False], [True, True] + [False] * 7]
    assert turning(energy, names[:2], ["ke", "u100"]) == [[False, True], [True, True]]


def test_the_label_holds_the_component_of_the_target(energy, region):
    source = with_targets(resolve(region), energy)
    names, options = ["u10", "v10"], DownscalingOptions(factor=4)
    plan = plan_downscaling(source, names, ["ke", "u100"], energy, options)
    assert plan.sampling.properties[0].along == "x"
    assert plan.sampling.component is None
