"""Which variables go through a network together, and what is said of inputs that lack some."""

import named_variables
import numpy as np
import pytest

import flexclim
from flexclim.downscaling import downscale
from flexclim.planning.source import resolve
from flexclim.planning.variable_groups import group_variables


@pytest.fixture
def region():
    return named_variables.coarse_region()


@pytest.fixture(scope="module")
def static():
    return named_variables.static_fields()


@pytest.fixture(scope="session", params=["fixed", "local"])
def model(request, make_toy):
    """Return a model of wind and rain with four static predictors."""
    return named_variables.wind_and_rain(make_toy, request.param)


@pytest.fixture(scope="session")
def energy(make_toy):
    """Return a model that makes of wind its kinetic energy, and wind at another height."""
    return named_variables.wind_energy(make_toy)


@pytest.fixture
def run(model, static):
    def run(ds, **options):
        given = {"members": 2, "model": model, "static": static, "batch": 8} | options
        return downscale(ds, 4, **given)

    return run


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda ds: ds.drop_vars("v10"),
            {},
            "reads u10, v10, tp, and the input has no field 'v10'",
        ),
        (lambda ds: ds.rename(v10="v100"), {}, "it has v100, u10. Rename the intended"),
        (lambda ds: ds["u10"], {}, "no field 'v10'; it has u10"),
        (lambda ds: ds, {"static": None}, r"needs static fields \(orography\). Pass them"),
        (lambda ds: ds, {"variables": ["q"]}, "no field 'q' to downscale; there are u10, v10, tp"),
        (lambda ds: ds.isel(time=0, drop=True), {}, "needs day_of_year, and 'u10' has no time"),
        (lambda ds: ds.assign(tp=ds.tp.isel(time=0)), {}, "their dimensions differ"),
        (lambda ds: ds.where(ds.lat < 49, np.inf), {}, "infinite or fill values"),
    ],
)
def test_bad_input_gets_one_line(run, region, change, options, message):
    with pytest.raises(flexclim.FlexclimError, match=message) as caught:
        run(change(region), **options)
    assert "\n" not in str(caught.value)


def test_units_of_inputs_are_compared(energy, region):
    pressure = region.assign(u10=region["u10"].assign_attrs(units="Pa"))
    with pytest.raises(flexclim.ModelError, match="'u10' is in 'Pa', and model 'toy' reads u10"):
        downscale(pressure, 4, model=energy)
    spelled = region.assign(u10=region["u10"].assign_attrs(units="m s**-1"))
    assert downscale(spelled.isel(time=[0]), 4, model=energy, members=1, batch=4).sizes["time"] == 1


def test_what_can_not_be_is_said(energy, region):
    with pytest.raises(flexclim.ModelError, match="predicts 'ke', which has no coarse counterpart"):
        downscale(region, 4, model=energy, conserve=True)
    with pytest.raises(flexclim.ModelError, match="takes no static fields"):
        downscale(region, 4, model=energy, static=region)


def test_the_model_s_variables_are_one_group(model, region):
    (group,) = group_variables(resolve(region), model, None)
    assert group.inputs == group.targets == group.returned == ("u10", "v10", "tp")
