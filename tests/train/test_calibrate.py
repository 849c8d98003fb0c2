import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from flexclim.cli import main
from flexclim.errors import FlexclimError, ModelError
from flexclim.train.calibrate import MARK, Trial, calibrate


@pytest.fixture(scope="module")
def truth():
    random = np.random.default_rng(0)
    values = random.normal(size=(2, 64, 64)).cumsum(-1).cumsum(-2)
    return xr.Dataset(
        {"t": (("time", "y", "x"), values, {"units": "K"})},
        {
            "time": pd.date_range("2020-01-01", periods=2),
            "y": ("y", np.arange(64.0)[::-1] * 1e3, {"units": "m", "axis": "Y"}),
            "x": ("x", np.arange(64.0) * 1e3, {"units": "m", "axis": "X"}),
        },
    )


@pytest.fixture
def model(toy_model):
    return toy_model.replace(steps=2)


def test_spread_equals_skill_afterwards(model, truth):
    found = calibrate(model, truth, 2, members=4, tolerance=0.02, data="a field")
    assert abs(found.best.spread_skill - 1) <= 0.02
    assert abs(found.trials[0].spread_skill - 1) > 0.05
    scale = found.model.settings.noise_scale
    assert scale == pytest.approx(found.best.noise_scale, abs=1e-4)
    coarse = flexclim.coarsen(truth, 2)
    fine = flexclim.downscale(coarse, 2, model=found.model, members=4)
    ratio = float(flexclim.verify.spread_skill(fine.t, truth.t))
    assert ratio == pytest.approx(1, abs=0.02)
    assert f"noise scale {scale:.3f} on a field, 4 members" in found.model.card.notes
    assert model.settings.noise_scale == 1.0


def test_a_second_line_takes_the_place_of_the_first(model, truth):
    once = model.replace(card={"notes": f"Good. {MARK}noise scale 9."})
    notes = calibrate(once, truth.isel(time=[0]), 2, members=3, tolerance=9.0).model.card.notes
    assert notes.startswith("Good. ")
    assert notes.count(MARK) == 1
    assert "scale 9." not in notes


def test_the_largest_scale_ends_the_search(model, truth, monkeypatch):
    """Where it is met there is no further trial, and no slope of equal scales."""
    monkeypatch.setattr("flexclim.train.calibrate.LARGEST", 1.0)
    narrow = Trial(1.0, 0.5, 1.0)
    monkeypatch.setattr("flexclim.train.calibrate._trial", lambda *_: narrow)
    found = calibrate(model, truth.isel(time=[0]), 2, members=2)
    assert found.trials == (narrow,)


def test_one_step_can_not_spread(model, truth):
    with pytest.raises(ModelError, match=r"more sampler steps \(steps=2\) may help"):
        calibrate(model.replace(method="ddim"), truth.isel(time=[0]), 2, members=3, steps=1)


def test_the_truth_has_what_the_model_makes(model, truth):
    coarse = flexclim.coarsen(truth.rename(t="other"), 2)
    with pytest.raises(FlexclimError, match="the model makes 'other', which the truth lacks"):
        calibrate(model, truth, 2, coarse=coarse, members=3)


def test_from_a_shell(model, truth, tmp_path, capsys):
    source, folder = model.save(tmp_path / "model"), tmp_path / "calibrated"
    truth.to_netcdf(tmp_path / "truth.nc")
    common = [str(source), str(tmp_path / "truth.nc"), "--factor", "2", "--members", "3"]

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["calibrate", *common, *arguments])
        return stop.value.code

    assert run(str(folder), "--period", "2020-01-01") == 0
    scale = flexclim.load_model(folder).settings.noise_scale
    assert scale != 1.0
    assert flexclim.load_model(source).settings.noise_scale == 1.0
    assert "spread/skill" in capsys.readouterr().out
    assert run("--in-place", "--period", "2020-01-01") == 0
    assert flexclim.load_model(source).settings.noise_scale == scale
    assert run() == 2
    assert run(str(folder), "--period", "1999") == 1
    common[0] = "flex-nano"
    assert run("--in-place") == 1
    assert "ships with flexclim" in capsys.readouterr().err
