import json

import pytest

from flexclim.errors import RecipeError
from flexclim.train import fit, load_recipe
from flexclim.train.loop import checkpoint_files, snapshot
from flexclim.train.loop.processes import Ranks
from flexclim.train.loop.run import Run


@pytest.mark.slow
def test_other_settings_are_refused_by_name(finished_copy, folder, recipe):
    for override, message in (
        ("network.depth=5", "network.depth = 3, not 5"),
        ("data.points=0", "data.points = 0.4, not 0"),
        ("diffusion.shift=2", "diffusion.shift = 1.0, not 2"),
        ("trainer.batch=4", "trainer.batch = 2, not 4"),
    ):
        with pytest.raises(RecipeError, match=message):
            fit(load_recipe(folder / "tiny.yaml", [override]))
    with pytest.raises(RecipeError, match="already holds a run"):
        fit(recipe, resume=False)
    # Settings that change no number may change when a run resumes, and fine-tuning may be added.
    fit(load_recipe(folder / "tiny.yaml", ["trainer.keep=3", "ensemble.steps=3"]))
    assert checkpoint_files.step_of(checkpoint_files.newest(folder / "run")) == 7


def test_checkpoints_of_before_forecasts_go_on(recipe):
    """Settings that an earlier version did not have take their defaults."""
    old = snapshot.plain(recipe)
    for section, names in (
        ("data", ("tasks", "forecast", "label")),
        ("network", ("use_transf", "conditioning")),
        ("trainer", ("label_dropout",)),
    ):
        for name in names:
            del old[section][name]
    ones = {"2": [1.0], "4": [1.0]}
    fitted = {"inputs": {}, "targets": {}, "statics": {}, "residual_scale": ones}
    text = {"recipe": old, "fitted": fitted, "standing": {"step": 3}}
    found = snapshot.unpack({"text": json.dumps(text)}, recipe)
    assert (found.state.step, found.fitted) == (3, fitted)
    old["network"]["depth"] = 5
    with pytest.raises(RecipeError, match=r"network.depth = 5, not 3"):
        snapshot.unpack({"text": json.dumps(text)}, recipe)


@pytest.mark.slow
def test_settings_that_may_change_when_a_run_resumes_do(finished_copy, folder, read):
    (finished_copy / "checkpoint-00000006.pt").unlink()  # go back to the end of the first stage
    changed = "trainer.ema=0.5", "trainer.weight_decay=0.3", "ensemble.ema=0.7"
    with Run(read(folder, *changed, "trainer.precision=fp16"), Ranks()) as run:
        run.start(resume=True)
        assert run.done == 4
        assert run.learner.averages.decay == 0.5
        assert [group["weight_decay"] for group in run.learner.optimizer.param_groups] == [0.3]
        assert run.learner.optimizer.state
        assert run.learner.scaler.get_scale() > 1
    fit(read(folder, *changed))
    with Run(read(folder, *changed, "ensemble.ema=0.6"), Ranks()) as run:
        run.start(resume=True)
        assert run.learner.averages.decay == 0.6
        assert run.learner.averages.num_updates


def test_settings_that_were_left_out_are_named(recipe, folder):
    ones = {"2": [1.0], "4": [1.0]}
    fitted = {"inputs": {}, "targets": {}, "statics": {}, "residual_scale": ones}
    text = {"recipe": snapshot.plain(recipe), "fitted": fitted, "standing": {"step": 3}}
    fewer = load_recipe(folder / "tiny.yaml", ["data.factors={4: 3}"])
    with pytest.raises(RecipeError, match=r"data.factors.2 = 1.0, not null"):
        snapshot.unpack({"text": json.dumps(text)}, fewer)


def test_a_label_more_is_another_network(recipe, folder):
    ones = {"2": [1.0], "4": [1.0]}
    fitted = {"inputs": {}, "targets": {}, "statics": {}, "residual_scale": ones}

    def content(*overrides):
        earlier = load_recipe(folder / "tiny.yaml", overrides)
        text = {"recipe": snapshot.plain(earlier), "fitted": fitted, "standing": {"step": 3}}
        return {"text": json.dumps(text)}

    often = load_recipe(folder / "tiny.yaml", ["trainer.label_dropout=0.2"])
    assert snapshot.unpack(content("trainer.label_dropout=0.1"), often).state.step == 3
    with pytest.raises(RecipeError, match=r"trainer.label_dropout = 0.0, not 0.2; set output"):
        snapshot.unpack(content(), often)


@pytest.mark.slow
def test_a_run_of_more_steps_is_left_as_it_is(finished_copy, folder, read):
    model = (finished_copy / "model" / "model.json").read_bytes()
    with pytest.raises(RecipeError, match="a run of 6 steps, the recipe plans 4"):
        fit(read(folder, "ensemble.steps=0"))
    assert (finished_copy / "model" / "model.json").read_bytes() == model
