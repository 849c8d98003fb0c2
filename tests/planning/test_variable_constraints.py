"""Which constraints apply, errors of those that the user names, and whose noise is shared."""

import re

import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimError
from flexclim.planning.source import resolve
from flexclim.planning.variable_constraints import (
    constraint_names,
    find_constraints,
    shared_noise,
)
from flexclim.planning.variable_groups import VariableGroup, group_variables


@pytest.fixture
def source():
    names = "tas", "tasmin", "tdps", "u10", "v10", "sfcWind", "pr"
    coordinates = {"lat": np.arange(4.0), "lon": np.arange(4.0)}
    units = dict.fromkeys(names[:3], "K") | dict.fromkeys(names[3:], "m s-1")
    fields = {name: (("lat", "lon"), np.zeros((4, 4)), {"units": units[name]}) for name in names}
    return resolve(xr.Dataset(fields, coordinates))


@pytest.fixture
def groups(source, toy_model):
    return group_variables(source, toy_model, None)


def test_those_that_apply_or_those_that_are_named(source, groups):
    def found(names):
        return [str(one) for one in find_constraints(source, groups, names)]

    assert found(None) == ["tasmin <= tas", "tdps <= tas", "sfcWind from u10 and v10"]
    assert found(True) == found(None)
    assert found("dew_point") == ["tdps <= tas"]
    assert found(["wind_speed", "temperature_extremes"]) == [
        "tasmin <= tas",
        "sfcWind from u10 and v10",
    ]
    assert found(False) == found([]) == []


def test_only_returned_variables_count(source, toy_model):
    groups = group_variables(source, toy_model, ["tas", "u10", "sfcWind"])
    assert find_constraints(source, groups, None) == []
    with pytest.raises(FlexclimError, match="'wind_speed' needs a wind speed and both components"):
        find_constraints(source, groups, ["wind_speed"])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("dewpoint", "there is no constraint 'dewpoint'. Did you mean 'dew_point'?"),
        (["none"], "There are temperature_extremes, dew_point, wind_speed."),
        (3, "constraints=3 is not a list of names."),
        ([None], "there is no constraint None."),
    ],
)
def test_unknown_names_are_refused(given, text):
    with pytest.raises(FlexclimError, match=re.escape(text)) as error:
        constraint_names(given)
    assert "\n" not in str(error.value)


def test_noise_of_the_bound(source, groups, toy_model):
    constraints = find_constraints(source, groups, None)
    assert shared_noise(constraints, groups) == {"tasmin": ("tas", 1.0), "tdps": ("tas", 0.7)}


def test_targets_that_a_model_samples_together_keep_their_own_noise(source, groups, toy_model):
    constraints = find_constraints(source, groups, None)
    both = VariableGroup(("tas", "tdps"), ("tas", "tdps"), ("tas", "tdps"), toy_model)
    others = [group for group in groups if group.targets[0] not in both.targets]
    assert shared_noise(constraints, [both, *others]) == {}
