import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from flexclim.cli import main
from flexclim.cli.training_commands import _selected
from flexclim.errors import FlexclimError, ModelError
from flexclim.models.channels import Target
from flexclim.models.settings import FORECAST, SUPERRES
from flexclim.train.calibrate import (
    MARKS,
    Trial,
    _training_passes,
    affordable_times,
    calibrate,
)


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


@pytest.mark.slow
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
    mark = MARKS[SUPERRES]
    once = model.replace(card={"notes": f"Good. {mark}noise scale 9."})
    notes = calibrate(once, truth.isel(time=[0]), 2, members=3, tolerance=9.0).model.card.notes
    assert notes.startswith("Good. ")
    assert notes.count(mark) == 1
    assert "scale 9." not in notes


@pytest.fixture
def both(make_forecaster):
    """Return a model that downscales and forecasts one variable."""
    return make_forecaster((Target(name="t", std=2.0),), leads=(6.0,), read=1)


@pytest.fixture(scope="module")
def series():
    random = np.random.default_rng(1)
    values = random.normal(size=(5, 16, 32)).cumsum(0)
    return xr.Dataset(
        {"t": (("time", "lat", "lon"), values, {"units": "K"})},
        {
            "time": pd.date_range("2020-01-01", periods=5, freq="6h"),
            "lat": np.linspace(84.375, -84.375, 16),
            "lon": np.arange(32) * 11.25,
        },
    )


@pytest.mark.slow
def test_forecasts_have_a_scale_of_their_own(both, series, tmp_path):
    """Found from a shell, on all steps whose past is there; what is downscaled stays."""
    source = both.save(tmp_path / "model")
    series.to_netcdf(tmp_path / "series.nc")
    common = ["calibrate", str(source), str(tmp_path / "series.nc"), "--in-place", "-n", "3"]
    with pytest.raises(SystemExit) as stop:
        main([*common, "--lead", "6h", "--period", "2020-01-01"])
    assert stop.value.code == 0
    found = flexclim.load_model(source)
    assert "on series.nc 2020-01-01 by 6h, 3 members" in found.card.notes
    assert abs(found.settings.noise_scale_of(FORECAST) - 1) > 0.05
    pasts = (series.isel(time=slice(n, n + 2)) for n in range(2))
    ahead = [flexclim.forecast(past, 1, model=found, members=3).t for past in pasts]
    ahead = xr.concat([one.reset_coords(drop=True) for one in ahead], "time")
    ratio = float(flexclim.verify.spread_skill(ahead, series.t[2:4]))
    assert ratio == pytest.approx(1, abs=0.01)
    coarse = flexclim.coarsen(series.isel(time=[0]), 2)
    fine = [flexclim.downscale(coarse, 2, model=one, members=1).t for one in (both, found)]
    xr.testing.assert_equal(*fine)


def test_calibrating_one_task_leaves_the_other(both, series, monkeypatch):
    """One scale serves both, as in folders of before, until one is calibrated."""
    name = "flexclim.train.calibrate"
    for made in ("downscale", "_forecast"):
        monkeypatch.setattr(f"{name}.{made}", lambda *_, **__: None)
    monkeypatch.setattr(f"{name}._trial", lambda scale, *_: Trial(scale, 0.8 * scale, 1.0))
    old = both.replace(noise_scale=0.9)
    assert old.settings.noise_scale_of(FORECAST) == 0.9
    first = calibrate(old, series, 2).model
    assert first.settings.noise_scale_of(SUPERRES) == 1.25
    assert first.settings.noise_scale_of(FORECAST) == 0.9
    second = calibrate(first.replace(noise_scale=0.7), series, lead="6h").model
    assert second.settings.noise_scale_of(SUPERRES) == 0.7
    assert second.settings.noise_scale_of(FORECAST) == 1.25
    again = calibrate(calibrate(second, series, 2).model, series, lead="6h").model
    assert again.card.notes.count("noise scale") == 2
    for mark in MARKS.values():
        assert f"{mark}noise scale 1.250" in again.card.notes


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "give either factor"),
        ({"factor": 2, "lead": "6h"}, "give either factor"),
        ({"lead": "6"}, "'6' is not a time span such as 6h"),
        ({"lead": "18h"}, "the truth has no 3 times 18h apart"),
        ({"lead": "12h"}, "12 h apart, and model 'toy' forecasts in steps of 6 h"),
    ],
)
def test_invalid_requests_are_named(both, series, asked, message):
    with pytest.raises(FlexclimError, match=message):
        calibrate(both, series, members=2, **asked)


def test_a_model_can_do_what_is_calibrated(model, series):
    with pytest.raises(ModelError, match="model 'toy' can only downscale"):
        calibrate(model, series, lead="6h")


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


def test_a_field_without_a_name_is_calibrated(model, truth):
    found = calibrate(model, truth.t.rename(None).isel(time=[0]), 2, members=3, steps=2)
    assert found.trials


def test_the_truth_has_what_the_model_makes(model, truth):
    coarse = flexclim.coarsen(truth.rename(t="other"), 2)
    with pytest.raises(FlexclimError, match="the model predicts 'other', which the truth lacks"):
        calibrate(model, truth, 2, coarse=coarse, members=3)


@pytest.mark.slow
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


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_a_period_of_any_times(tmp_path, truth, calendar):
    times = xr.date_range("2020-01-01", periods=4, calendar=calendar, use_cftime=True)
    many = xr.concat([truth, truth], "time").assign_coords(time=times).isel(time=[2, 0, 3, 1])
    many.assign(other=many.t).to_netcdf(tmp_path / "a.nc")
    found = _selected(tmp_path / "a.nc", "2020-01-01, 2020-01-02", " t ,")
    assert list(found.data_vars) == ["t"]
    assert [int(day) for day in found.time.dt.day] == [1, 2]


@pytest.mark.parametrize(
    ("period", "variables", "message"),
    [
        ("1999", None, "has no time from 1999 to 1999; it runs from 2020-01-01"),
        ("tomorrow", None, "tomorrow to tomorrow is not a period"),
        (None, "t, u", "has no variable 'u'; it has t"),
    ],
)
def test_selections_of_nothing_are_named(tmp_path, truth, period, variables, message):
    truth.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(FlexclimError, match=message) as caught:
        _selected(tmp_path / "a.nc", period, variables)
    assert "\n" not in str(caught.value)


def test_trials_take_at_most_a_tenth_of_the_training(model, truth, monkeypatch):
    """Two tiles of 4 members in 2 steps, 5 times: 80 passes for one time of the truth."""
    height, width = model.settings.network.tile
    wide = truth.isel(y=slice(height - model.settings.halo), x=slice(width))
    assert wide.sizes["x"] > width - model.settings.halo
    for trained, times in ((0, None), (799, 1), (1600, 2), (100, 1)):
        monkeypatch.setattr("flexclim.train.calibrate._training_passes", lambda _, n=trained: n)
        assert affordable_times(model, wide, 4, None, 0.1) == times
    assert affordable_times(model, wide, 4, None, None) is None


def test_forward_passes_of_training_follow_from_the_card():
    """100 steps of 8 patches, and 30 of 2 members in 4 sampler steps, each as long as 3 passes."""
    known = flexclim.load_model("flex-wind")
    stages = {
        "trainer": {"steps": 100, "batch": 8},
        "ensemble": {"steps": 30, "members": 2},
        "diffusion": {"steps": 4},
    }
    planned = known.replace(card={"recipe": known.card.recipe | stages})
    assert _training_passes(planned) == 3 * 8 * (100 + 30 * 2 * 4)
    assert _training_passes(known) > 0
    assert _training_passes(known.replace(card={"recipe": {}})) == 0


def test_a_model_that_was_trained_briefly_is_calibrated_on_fewer_times(
    model, truth, monkeypatch, caplog
):
    monkeypatch.setattr("flexclim.train.calibrate.affordable_times", lambda *_: 1)
    with caplog.at_level("INFO", "flexclim"):
        few = calibrate(model, truth, 2, members=3, tolerance=9.0)
    assert few.trials == calibrate(model, truth.isel(time=[1]), 2, members=3, tolerance=9).trials
    assert "calibrating on 1 of 2 times" in caplog.text
    assert "trial 1 of at most 5: noise scale 1.000" in caplog.text
    coarse = flexclim.coarsen(truth, 2)
    paired = calibrate(model, truth, 2, coarse=coarse, members=3, tolerance=9.0)
    assert paired.trials == few.trials
