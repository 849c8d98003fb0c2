import csv
import warnings

import numpy as np
import pytest
import torch

import flexclim
from flexclim.errors import RecipeError
from flexclim.train import fit, load_recipe
from flexclim.train import state as states
from flexclim.train.losses import fair_crps, learning_rate
from flexclim.train.trainer import Run


def weights(folder):
    return flexclim.load_model(folder).network.state_dict()


def test_fit_writes_a_model_that_downscales(recipe, folder):
    model = fit(recipe)
    loaded = flexclim.load_model(model)
    assert loaded.card.name == "tiny"
    assert set(loaded.settings.residual_scale) == {2, 4}
    with (folder / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [2, 4, 6]
    assert all(np.isfinite(float(row["validation"])) for row in rows)


def test_resuming_equals_not_stopping(folder, recipe, monkeypatch):
    monkeypatch.setattr("flexclim.train.trainer.SAVE_EVERY", 1)
    whole = weights(fit(recipe))
    stopped = load_recipe(folder / "tiny.yaml", [f"output={folder}/stopped"])
    step = Run._step

    def dies(run, batch):
        if run.step == 3:
            raise KeyboardInterrupt
        return step(run, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_step", dies)
        with pytest.raises(KeyboardInterrupt):
            fit(stopped)
    assert states.newest(folder / "stopped").name == "checkpoint-00000003.pt"
    resumed = weights(fit(stopped))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_damaged_checkpoint_is_passed_over(folder):
    states.save(folder, 1, {"text": "{}"})
    path = states.save(folder, 2, {"text": "{}"})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="can't be read"):
        assert states.newest(folder).name == "checkpoint-00000001.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert states.newest(folder / "elsewhere") is None


def test_other_settings_are_refused(folder, recipe):
    fit(recipe)
    with pytest.raises(RecipeError, match="other network settings"):
        fit(load_recipe(folder / "tiny.yaml", ["network.depth=5"]))
    with pytest.raises(RecipeError, match="holds a run already"):
        fit(recipe, resume=False)


def test_fair_crps_by_hand():
    members = torch.tensor([[1.0, 4.0, 7.0]])[..., None]
    truth = torch.tensor([[3.0]])[..., None]
    # Mean distance to the truth (2 + 1 + 4) / 3; mean distance of pairs (3 + 6 + 3) / 3, halved.
    assert float(fair_crps(members, truth)) == pytest.approx(7 / 3 - 2)


def test_learning_rate():
    rates = [learning_rate(step, 100, 10, 1.0) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1.0
    assert rates[-1] < 0.02
