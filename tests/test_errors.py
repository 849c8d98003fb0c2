"""Errors that name the option that was meant."""

import inspect

import pytest

import flexclim
from flexclim.errors import FlexclimError


@pytest.mark.parametrize("module", [flexclim, flexclim.train, flexclim.verify])
def test_all_public_functions_suggest_options(module):
    functions = [getattr(module, name) for name in module.__all__]
    for function in filter(inspect.isfunction, functions):
        if inspect.signature(function).parameters:
            with pytest.raises(FlexclimError, match=rf"{function.__name__}\(\) has no option 'zq'"):
                function(zq=1)
