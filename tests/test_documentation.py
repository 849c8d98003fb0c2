"""What the Python API promises to show: an example in every public function."""

import inspect

import pytest

import flexclim
from flexclim.models import registry
from flexclim.plotting import maps
from flexclim.train import calibrate
from flexclim.verify import climate, plot

LISTED = {
    flexclim: flexclim.__all__,
    flexclim.train: flexclim.train.__all__,
    flexclim.verify: flexclim.verify.__all__,
    climate: climate.__all__,
    plot: plot.__all__,
    maps: ["coastlines", "draw_coastlines", "draw_map", "map_axes"],
    registry: ["registry_entry"],
    calibrate: ["calibrate"],
}


@pytest.mark.parametrize("module", LISTED, ids=lambda module: module.__name__)
def test_every_public_function_has_an_example(module):
    functions = {name: getattr(module, name) for name in LISTED[module]}
    callables = {n: f for n, f in functions.items() if callable(f) and not inspect.isclass(f)}
    assert callables
    assert [n for n, f in callables.items() if ">>>" not in (inspect.getdoc(f) or "")] == []
