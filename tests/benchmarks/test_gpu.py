"""Training on a GPU machine: packed data, results in parts, and a rehearsal on the CPU."""

import json
import math
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import packing, results, schedule, training
from flexclim import load_model
from flexclim.errors import RecipeError
from flexclim.train import load_recipe
from flexclim.train.data.training_data import open_training_data
from flexclim.train.loop.logs import read_log
from flexclim.train.loop.processes import Ranks

RECIPE = """
name: tiny
data:
  folder: {folder}
  inputs: [u10]
  statics: [orog, latitude]
  static_file: relief.nc
  sources:
    - path: wind.nc
      train: {train}
      validate: {validate}
network: {{tile: [32, 32], model_channels: [32], res_blocks: [1], depth: 1, num_heads: 2}}
trainer: {{steps: 4, batch: 4, validation_patches: 2, score_members: 2, precision: float32}}
ensemble: {{steps: 2}}
"""
DATES = '["2018-10-01", "2018-10-01"]', '["2018-10-03", "2018-10-03"]'


@pytest.fixture
def folder(tmp_path):
    """Return a folder with wind of four days, relief, and what no recipe reads."""
    random = np.random.default_rng(0)
    dims = ("time", "latitude", "longitude")
    wind = random.normal(size=(2, 16, 65, 128)).cumsum(-1).cumsum(-2).astype("float32")
    wind[0, :, 3, 5] = 0.0
    wind[0, 0, 7, 7] = np.nan
    place = {"latitude": np.linspace(90, -90, 65), "longitude": np.arange(128) * 360 / 128}
    time = pd.date_range("2018-10-01", periods=16, freq="6h")
    fields = {name: (dims, one) for name, one in zip(("u10", "unread"), wind, strict=True)}
    hours = {"lead_hours": ("time", np.arange(16))}
    xr.Dataset(fields | hours, place | {"time": time}).to_netcdf(tmp_path / "wind.nc")
    relief = xr.Dataset({"orog": (dims[1:], 100 * wind[1, 0], {"units": "m"})}, place)
    relief.to_netcdf(tmp_path / "relief.nc")
    return tmp_path


def write_recipe(folder, train=DATES[0], validate=DATES[1]):
    path = folder / "tiny.yaml"
    path.write_text(RECIPE.format(folder=folder, train=train, validate=validate))
    return path


def packed(folder, path, precision=8.0):
    packing.pack([load_recipe(path)], folder / "packed", precision)
    packing.unpack(folder / "packed", folder / "unpacked")
    return xr.open_dataset(folder / "unpacked" / "wind.nc")


def test_what_training_reads_is_packed(folder, monkeypatch):
    """Both splits, rounded to an eighth of the deviation of neighbours; zeros and gaps stay."""
    monkeypatch.setattr("flexclim.train.data.normalisation.BATCHES", 2)
    path = write_recipe(folder)
    found, whole = packed(folder, path), xr.open_dataset(folder / "wind.nc")
    wanted = whole.isel(time=[0, 1, 2, 3, 8, 9, 10, 11]).drop_vars("unread")
    xr.testing.assert_equal(found.drop_vars("u10"), wanted.drop_vars("u10"))
    step = float(np.nanstd(np.diff(wanted.u10, axis=-1))) / 8
    assert found.u10.encoding["scale_factor"] == pytest.approx(step)
    assert float(abs(found.u10 - wanted.u10).max()) == pytest.approx(step / 2, rel=1e-3)
    assert (found.u10[:, 3, 5] == 0).all()
    assert int(found.u10.isnull().sum()) == 1
    relief = xr.open_dataset(folder / "unpacked" / "relief.nc").orog
    assert relief.units == "m"
    training_data = open_training_data(load_recipe(path, [f"data.folder={folder / 'unpacked'}"]))
    expected = open_training_data(load_recipe(path))
    one, other = (data.train.batch(0, 2).inputs for data in (training_data, expected))
    assert 0 < np.abs(one - other).max() < 0.1 * other.std()


@pytest.mark.parametrize(
    ("train", "validate", "kept"),
    [
        ('["0", "2"]', '["5", "6"]', 7),  # indices stay the same
        ('["0", "-9"]', '["-4", "-1"]', 16),  # also those from the end
        ('["2018", "2018"]', '["2018-10-03", "2018-10-03"]', 16),
        ('["2018-10-02T06", "2018-10-02T12"]', '["2018-10-03", "2018-10-03"]', 6),
    ],
)
def test_times_of_both_splits_are_kept(folder, train, validate, kept):
    recipe = load_recipe(write_recipe(folder, train, validate))
    need, _ = packing.needs([recipe])["wind.nc"]
    assert kept == (16 if need.whole else need.times.sum())


def test_files_keep_a_coarser_step_of_their_own(folder):
    rain = xr.DataArray(np.round(np.random.default_rng(0).gamma(0.3, 1, (3, 200, 200)), 0))
    rain.encoding["scale_factor"] = 1.0
    assert packing.step_of(rain, 8) == 1
    rain.encoding["scale_factor"] = 1e-4
    assert packing.step_of(rain, 8) == pytest.approx(rain.diff("dim_2").std().item() / 8, rel=1e-5)
    assert packing.step_of(rain + 1e6, 8) == pytest.approx(1e6 / packing.LARGEST, rel=1e-4)


def test_what_is_no_file_is_named(folder):
    recipe = load_recipe(write_recipe(folder), ["data.sources.0.path=gs://bucket/wind.zarr"])
    with pytest.raises(RecipeError, match=r"gs://bucket/wind\.zarr is no file in"):
        packing.needs([recipe])


def test_results_come_in_small_parts(toy_model, tmp_path, monkeypatch):
    run = tmp_path / "runs" / "toy"
    toy_model.replace(card={"scores": {"crps": 0.5}}).save(run / "run" / "model")
    (run / "run" / "log.csv").write_text("step\n1\n")
    training.Job("toy", ()).write(run)
    monkeypatch.setattr(results, "BYTES", 100_000)
    results.collect([run, tmp_path / "runs" / "none"], [], tmp_path / "out", "")
    sizes = [path.stat().st_size for path in sorted((tmp_path / "out").glob("models.tar.*"))]
    assert len(sizes) > 1
    assert set(sizes[:-1]) == {100_000}
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["toy"]["crps"] == 0.5
    (folder,) = results.unpack(tmp_path / "out", tmp_path / "home")
    assert load_model(folder).sha256 == toy_model.sha256
    assert (tmp_path / "home" / "toy" / "log.csv").read_text() == "step\n1\n"
    results.collect([run], [], tmp_path / "out", "int8")
    assert len(list((tmp_path / "out").glob("models.tar.*"))) < len(sizes)
    (folder,) = results.unpack(tmp_path / "out", tmp_path / "rounded")
    assert load_model(folder).card.precision == "int8"


@pytest.mark.parametrize(
    ("budget", "fitted"),
    [
        (1000.0, 160),  # 0.9 * (1000 - 100 - 100) s are left for steps of 4.5 s
        (210.0, 2),
        (100.0, 1),  # no time is left
        (1500.0, 250),  # within a tenth of what fits, 260
    ],
)
def test_the_second_stage_fits_into_the_time_that_is_left(folder, budget, fitted):
    recipe = load_recipe(write_recipe(folder), ["ensemble.steps=250"])
    learner = SimpleNamespace(recipe=recipe)
    run = SimpleNamespace(recipe=recipe, ranks=Ranks(), learner=learner, done=4)
    job = training.Job("tiny", (), speed=(1.0, 4.5), budget=budget, spent=100.0)
    found = training.refitted(job, run, 100.0, (1, 0.0))
    assert run.recipe.ensemble.steps == fitted
    assert run.learner.recipe is run.recipe
    assert found.overrides == (() if fitted == 250 else (f"ensemble.steps={fitted}",))


def test_the_second_stage_goes_by_its_own_pace(folder, monkeypatch):
    """60 steps took 180 s, so 0.9 * (1000 - 400) s are 180 steps more."""
    recipe = load_recipe(write_recipe(folder), ["ensemble.steps=400"])
    learner = SimpleNamespace(recipe=recipe)
    run = SimpleNamespace(recipe=recipe, ranks=Ranks(), learner=learner, done=4 + 100)
    job = training.Job("tiny", (), speed=(1.0, 2.0), budget=1000.0, spent=0.0)
    monkeypatch.setattr(training.time, "time", lambda: 5000.0)
    training.refitted(job, run, 400.0, (4 + 40, 5000.0 - 180.0))
    assert run.recipe.ensemble.steps == 100 + 180


@pytest.mark.slow
def test_steps_are_added_in_the_second_stage(folder, monkeypatch):
    """8 steps of 100 s fit into 1000 s at any point, as the test takes far less: 4, 8, 10, 13."""
    monkeypatch.setattr("flexclim.train.data.normalisation.BATCHES", 2)
    monkeypatch.setattr("flexclim.train.data.coverage.PATCHES", 8)
    settings = "trainer.steps=2", "ensemble.steps=4", f"output={folder / 'run'}"
    job = training.Job(
        str(write_recipe(folder)), settings, speed=(1.0, 100.0), budget=1000.0, until=math.inf
    )
    training.train(job, folder)
    found = training.Job.read(folder)
    assert found.done
    assert found.overrides[3:] == ("ensemble.steps=8", "ensemble.steps=10", "ensemble.steps=13")
    assert [int(row["step"]) for row in read_log(folder / "run" / "log.csv")] == [*range(1, 16)]
    assert load_model(folder / "run" / "model").card.recipe["ensemble"]["steps"] == 13


@pytest.mark.long
@pytest.mark.ddp
@pytest.mark.timeout(2400)
def test_rehearsal(folder, monkeypatch, capfd):
    """Pack, check, measure, train a step, go on in another call, and bring the model back."""
    path = write_recipe(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(command, "ENDING", 200.0)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["gpu", *map(str, arguments)])
        return command.main()

    assert call("pack", path) == 0
    for name in ("wind.nc", "relief.nc"):
        (folder / name).unlink()
    monkeypatch.setenv("PYTHONPATH", str(command.Path(command.__file__).parents[2]))
    small = (
        "trainer.batch=4",
        "trainer.precision=float32",
        f"data.folder={folder / 'runs/gpu/data'}",
    )
    packing.unpack(folder / "gpu", folder / "runs/gpu/data")
    run = folder / "runs" / "gpu" / "tiny"
    job = schedule.job_of(run, str(path), small, 60.0, 2)
    replace(job, until=time.time()).write(run)
    assert schedule.launch("train", run, 2)
    stopped = training.Job.read(run)
    assert not stopped.done
    assert stopped.spent > 0
    assert [row["step"] for row in read_log(run / "run" / "log.csv")] == ["1"]
    out = folder / "out"
    for minutes in (2, 4, 8, 16):  # the steps fit into the time, unless other work slows them down
        timing = "--minutes", minutes, "--ranks", 2, "--results", out
        assert call("run", path, *small, *timing) == 0
        if training.Job.read(run).done:
            break
    assert training.Job.read(run).done
    steps = [int(row["step"]) for row in read_log(run / "run" / "log.csv")]
    assert steps == list(range(1, len(steps) + 1))
    shown = json.loads((out / "scores.json").read_text())
    assert all(check["passed"] for check in shown["checks"])
    assert len(shown["checks"]) == 4
    capfd.readouterr()
    assert call("unpack", out, folder / "home") == 0
    (line,) = capfd.readouterr().out.splitlines()
    card = load_model(line).card
    assert card.recipe["trainer"]["steps"] + card.recipe["ensemble"]["steps"] == len(steps)
    assert "threads of" in card.hardware
