"""Errors that name the option that was meant."""

import inspect

import pytest
import xarray as xr

import flexclim
from flexclim.errors import FlexclimError


@pytest.mark.parametrize("module", [flexclim, flexclim.train, flexclim.verify])
def test_all_public_functions_suggest_options(module):
    functions = [getattr(module, name) for name in module.__all__]
    for function in filter(inspect.isfunction, functions):
        if inspect.signature(function).parameters:
            with pytest.raises(FlexclimError, match=rf"{function.__name__}\(\) has no option 'zq'"):
                function(zq=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flexclim.regrid(), r"regrid\(\): missing a required argument: 'obj'. Its argum"),
        (lambda: xr.Dataset().flex.regrid(), r"regrid\(\): missing a required argument: 'to'"),
        (lambda: flexclim.verify.crpss(1), r"crpss\(\): missing a required argument: 'truth'"),
        (lambda: flexclim.coarsen(1, 2, "cell", 4), r"coarsen\(\): too many positional arguments"),
    ],
)
def test_missing_and_surplus_arguments_are_named(call, message):
    with pytest.raises(FlexclimError, match=message) as found:
        call()
    assert "\n" not in str(found.value)
