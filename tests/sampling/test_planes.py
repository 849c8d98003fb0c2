"""Sampling one plane: its noise, and what the sampler is told of its variables."""

import named_variables
import pytest
import torch

import flexclim
from flexclim.errors import ModelError
from flexclim.models.model import keep_loaded
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve
from flexclim.planning.variable_groups import with_targets
from flexclim.sampling.planes import sampler_of


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
        sampler = sampler_of(plan.sampling)
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


def test_values_that_overflow_are_an_error(make_toy, region):
    model = make_toy(network={"depth": 2})  # other tests have no such network
    with torch.no_grad():
        model.network_on("cpu", "float32").decoder.final_layer[-1].weight.mul_(1e38)
    said = r"NaN or infinite values \(2018-09-14T00.*\) in float32. Check values and units"
    with pytest.raises(ModelError, match=said):
        flexclim.downscale(region.u10, 4, model=model, members=1, precision="float32")
