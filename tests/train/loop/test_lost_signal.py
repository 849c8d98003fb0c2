import numpy as np
import prognosis_data as world
import pytest
import torch
import yaml

from flexclim.train import fit, load_recipe
from flexclim.train.data.sources import open_sources
from flexclim.train.data.training_data import open_training_data
from flexclim.train.loop import lost_signal
from flexclim.train.loop.lost_signal import ChangeSignal, change_signals


@pytest.fixture
def recipe(tmp_path):
    """A target that warms by 2 K per day, and its base, which warms by 1 K per day."""
    target = world.target()
    target["tasmax"] += world.growing(world.DAYS)
    target["tasmax"].attrs = world.target()["tasmax"].attrs
    target.to_netcdf(tmp_path / "target.nc")
    world.levels().to_netcdf(tmp_path / "levels.nc")
    source = {
        "path": "target.nc",
        "predictors": [{"path": "levels.nc"}],
        "train": ["2001-02-20", "2001-02-28"],
        "validate": ["2001-03-01", "2001-03-03"],
    }
    sizes = {"tile": [16, 16], "model_channels": [32], "res_blocks": [1], "depth": 1}
    values = {
        "name": "pp",
        "data": {
            "folder": str(tmp_path),
            "factors": {4: 1},
            "scaling": "fixed",
            "inputs": ["t@850"],
            "targets": [{"name": "tasmax", "base": "t@850"}],
            "colder_half": "t@850",
            "sources": [source],
        },
        "network": sizes | {"num_heads": 2, "unshuffle": 2},
        "trainer": {"steps": 2, "batch": 2, "validation_patches": 2, "score_members": 2},
        "output": str(tmp_path / "run"),
    }
    (tmp_path / "pp.yaml").write_text(yaml.safe_dump(values))
    return load_recipe(tmp_path / "pp.yaml")


def test_halves_of_the_training_period(recipe):
    (colder,), (warmer,) = (open_sources(recipe.data, split) for split in ("train", "warmer"))
    np.testing.assert_array_equal(colder.stamps, world.DAYS[:5])
    np.testing.assert_array_equal(warmer.stamps, world.DAYS[5:9])
    (checked,) = open_sources(recipe.data, "validate")
    np.testing.assert_array_equal(checked.stamps, world.DAYS[9:])


@pytest.mark.parametrize(("share", "lost"), [(0.0, 50.0), (1.0, 0.0)])
def test_what_a_model_loses_is_that_of_its_base(recipe, monkeypatch, share, lost):
    """Of the truth's 9 K from one half to the other, half are in the base, without a residual."""
    monkeypatch.setattr(
        lost_signal, "_members", lambda batch, *_: share * np.stack(2 * [batch.residual[0]])
    )
    data = open_training_data(recipe)
    (signal,) = change_signals(recipe, data, None, torch.device("cpu"))
    assert signal.truth == pytest.approx(9.0, abs=1e-3)
    assert (signal.variable, signal.units) == ("tasmax", "K")
    # Patches are of random times, so that the two biases are means of samples.
    assert signal.lost_percent == pytest.approx(lost, abs=8 if lost else 1e-3)


def test_patches_are_not_mirrored(recipe, monkeypatch):
    """Errors of components change sign in mirror images, and would cancel."""
    mirrored = recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"augment": ("flip_x", "flip_y")})}
    )
    made, patches = [], lost_signal.Patches
    monkeypatch.setattr(
        lost_signal, "Patches", lambda s, data, *rest: made.append(data) or patches(s, data, *rest)
    )
    monkeypatch.setattr(
        lost_signal, "_members", lambda batch, *_: np.stack(2 * [batch.residual[0]])
    )
    change_signals(mirrored, open_training_data(mirrored), None, torch.device("cpu"))
    assert [data.flips for data in made] == [(), ()]


def test_the_report_is_one_line():
    signal = ChangeSignal(variable="tas", units="K", truth=2.0, model=1.5)
    assert str(signal) == (
        "change of tas from the colder half (trained on) to the warmer: truth 2, model 1.5 K; "
        "25.0 % of it lost"
    )


@pytest.mark.slow
def test_a_run_prints_it_and_the_card_holds_it(recipe, monkeypatch, capsys):
    from flexclim import load_model

    monkeypatch.setattr(lost_signal, "PATCHES", 4)
    folder = fit(recipe)
    assert "change of tasmax from the colder half" in capsys.readouterr().err
    card = load_model(folder).card
    assert np.isfinite(card.scores["change_lost_percent_tasmax"])
    assert card.attributes["tasmax"]["cell_methods"] == "time: maximum"
    (covered,) = card.coverage
    # At 49 N 5 E on the first day, and at 43 N 13 E on the fifth.
    assert covered.values == (279.0, 287.6)
