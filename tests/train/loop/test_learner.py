from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.models.channels import Target
from flexclim.train import fit
from flexclim.train.data.training_data import open_training_data
from flexclim.train.loop.learner import Learner, bounded
from flexclim.train.loop.processes import Ranks

FORECAST = (
    "data.tasks={forecast: 1}",
    "data.scaling=fixed",
    "data.inputs=[u10, v10]",
    "data.sources.0.variables=[]",
    "data.sources.0.signed=false",
    "data.forecast.leads={6h: 1}",
)


def test_roll_outs_of_training_do_not_fall_below_zero(folder, read):
    targets = "data.targets=[{name: u10, non_negative: true}, v10]"
    recipe = read(folder, *FORECAST, targets)
    data = open_training_data(recipe)
    lowest = Learner(recipe, data, Ranks(), 0)._ensemble_loss().lowest
    wind = data.settings.targets[0]
    assert lowest.tolist() == pytest.approx([-wind.mean / wind.std, -np.inf])


def test_targets_keep_the_bounds_that_sampling_would_find(folder, read):
    data = open_training_data(read(folder, *FORECAST))
    attributes = {"rain": {"standard_name": "precipitation_flux"}, "u10": {"units": "m s-1"}}
    fields = SimpleNamespace(named=lambda name: xr.DataArray(name=name, attrs=attributes[name]))
    source = replace(data.sources[0], target_fields=fields)
    targets = [Target(name="rain"), Target(name="u10"), Target(name="rain", non_negative=False)]
    assert [one.non_negative for one in bounded(targets, [source])] == [True, False, False]


def test_starting_from_a_model(folder, finished, tiny, weights):
    model = finished / "model"
    tuned = tiny(folder, "tuned", f"start={model}", "trainer.steps=0", "ensemble.steps=1",
                 "ensemble.learning_rate=1e-12")  # fmt: skip
    before, after = weights(model), weights(fit(tuned))
    # The weights of a model folder are bf16; a step this small does not move them.
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    with pytest.raises(RecipeError, match=r"start: model .* Set network.depth to 3, not"):
        fit(tiny(folder, "other", f"start={model}", "network.depth=5"))
    with pytest.raises(RecipeError, match="start: there is no model 'nope'"):
        fit(tiny(folder, "nope", "start=nope"))


@pytest.mark.slow
def test_a_part_of_a_network_may_learn_alone(folder, finished, tiny, weights):
    model, short = finished / "model", ("trainer.steps=1", "ensemble.steps=1")
    part = [f"start={model}", "trainer.only=[decoder.final_layer, encoder.time]", *short]
    before, after = weights(model), weights(fit(tiny(folder, "part", *part)))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.rpartition(".")[0] for name in moved} > {"decoder.final_layer.2"}
    assert all(name.startswith(("decoder.final_layer", "encoder.time")) for name in moved)
    with pytest.raises(RecipeError, match="starts with 'nope'; names start with decoder"):
        fit(tiny(folder, "nope", part[0], "trainer.only=[nope]"))
    with pytest.raises(RecipeError, match=r"holds a run with trainer\.only"):
        fit(tiny(folder, "part", part[0], *short))
