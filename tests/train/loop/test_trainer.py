"""One process: what a run leaves, and that nothing stops it from going on as it would have."""

import math
import os
import signal
import time

import numpy as np
import pytest
import torch

import flexclim
from flexclim import load_model
from flexclim.train import fit
from flexclim.train.loop import checkpoint_files
from flexclim.train.loop.logs import read_log
from flexclim.train.loop.run import Run
from flexclim.train.loop.training_step import TrainingStep

LONG = "trainer.steps=40", "trainer.save_every=1", "trainer.validate_every=50"


def wait_for(found, process, seconds=120):
    end = time.monotonic() + seconds
    while not found():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_reads_data_changes_no_threads_of_the_network(folder, monkeypatch, tiny):
    before = torch.get_num_threads()
    start, seen = Run.start, []

    def greedy(run, resume):
        start(run, resume)
        torch.set_num_threads(before + 1)

    monkeypatch.setattr(Run, "start", greedy)
    monkeypatch.setattr(Run, "advance", lambda run, batch: seen.append(torch.get_num_threads()))
    monkeypatch.setattr(Run, "is_due", lambda run, every: False)
    monkeypatch.setattr(Run, "finish", lambda run: folder)
    fit(tiny(folder, "run", "trainer.steps=1", "ensemble.steps=0"))
    assert seen == [before]


def test_a_run_leaves_a_model_with_its_card(finished):
    loaded = flexclim.load_model(finished / "model")
    card = loaded.card
    assert card.name == "tiny"
    assert set(loaded.settings.residual_scale) == {2, 4}
    rows = read_log(finished / "log.csv")
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if row["validation"]] == ["2", "4", "6"]
    assert [row["step"] for row in rows if row["crps"]] == ["4", "6"]
    assert all(float(row["patches_per_second"]) > 0 for row in rows)
    best = min((row for row in rows if row["crps"]), key=lambda row: float(row["crps"]))
    assert card.scores["crps"] == pytest.approx(float(best["crps"]), rel=1e-4)
    assert f"step {best['step']} of 6" in card.notes
    for name in ("rmse", "spread_skill", "log_spectral_distance", "interpolation_power_2_4"):
        assert math.isfinite(card.scores[name])
    assert card.recipe["trainer"]["steps"] == 4
    assert str(finished.parent) not in str(card.recipe)
    assert not list(finished.glob("*.partial"))


@pytest.mark.slow
def test_resuming_equals_not_stopping(finished, folder, read, weights, same):
    """Stopped in either stage, and between them: bit for bit."""
    recipe = read(folder, "trainer.save_every=1")
    take = TrainingStep.take
    for last in (1, 3, 4, 5):
        with pytest.MonkeyPatch.context() as patch:

            def dies(stage, number, *args, last=last):
                if number == last:
                    raise OSError("gone")
                return take(stage, number, *args)

            patch.setattr(TrainingStep, "take", dies)
            with pytest.raises(OSError, match="gone"):
                fit(recipe)
    assert same(weights(finished / "model"), weights(fit(recipe)))
    losses = [
        [row["loss"] for row in read_log(path / "log.csv")] for path in (finished, folder / "run")
    ]
    assert losses[0] == losses[1]


@pytest.mark.slow
@pytest.mark.ddp
def test_killed_at_any_moment(folder, launch, tiny, weights, same):
    """SIGKILL at a random moment, then the end: the weights of a run that was never killed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = weights(fit(tiny(folder, "whole", *LONG)))
    torch.set_num_threads(threads)
    process = launch("killed", *LONG)
    least = int(np.random.default_rng().integers(1, 20))
    wait_for(lambda: reached(folder / "killed", least), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    assert not reached(folder / "killed", 42)
    torch.set_num_threads(1)
    killed = weights(fit(tiny(folder, "killed", *LONG)))
    torch.set_num_threads(threads)
    assert same(whole, killed)


def reached(folder, step):
    return any(checkpoint_files.step_of(path) >= step for path in folder.glob("checkpoint-*.pt"))


@pytest.mark.slow
@pytest.mark.ddp
def test_a_signal_saves_and_ends(folder, launch):
    rare = "trainer.steps=100000", "trainer.save_every=100000", "trainer.validate_every=100000"
    process = launch("run", *rare, "trainer.score_every=100000")
    log = folder / "run" / "log.csv"
    wait_for(lambda: log.exists() and log.stat().st_size > 400, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    found = checkpoint_files.newest(folder / "run")
    assert checkpoint_files.step_of(found) == int(read_log(log)[-1]["step"])
    assert f"stopped at step {checkpoint_files.step_of(found)}" in (folder / "run.txt").read_text()


def test_ctrl_c_saves_and_interrupts(folder, monkeypatch, tiny):
    advance, earlier = Run.advance, signal.getsignal(signal.SIGINT)

    def interrupted(run, batch):
        advance(run, batch)
        if run.done == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Run, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt, match="stopped at step 2"):
        fit(tiny(folder, "run"))
    assert checkpoint_files.step_of(checkpoint_files.newest(folder / "run")) == 2
    assert signal.getsignal(signal.SIGINT) is earlier


FORECAST = (
    "data.tasks={forecast: 1}",
    "data.scaling=fixed",
    "data.inputs=[u10, v10]",
    "data.sources.0.variables=[]",
    "data.sources.0.signed=false",
    "data.forecast.leads={6h: 1, 12h: 1}",
)


BOTH = (*FORECAST[1:], "data.tasks={superres: 1, forecast: 3}", "data.points=1")


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [(*FORECAST, "data.forecast.rollout=2"), BOTH])
def test_a_model_is_trained_and_lists_what_it_does(folder, overrides, read):
    recipe = read(folder, *overrides, "trainer.label_dropout=0.5", "trainer.steps=2")
    model = load_model(fit(recipe))
    both = overrides is BOTH
    assert model.card.leads == (6.0, 12.0)
    assert model.card.tasks == (("downscaling",) if both else ()) + ("forecasting",)
    assert model.settings.network.conditions.get("forecast") == 4
    assert [part.name for part in model.settings.labels][-2:] == ["lead", "given"]
    assert ("forecast_crps" in model.card.scores) is both
    assert "persistence" in model.card.notes
