"""Several processes: that they train as one, and that one's end stops and resumes all."""

import os
import signal
import subprocess
import time

import numpy as np
import pytest
import torch

import flexclim
from flexclim.train import fit, load_recipe
from flexclim.train.data.training_data import open_training_data
from flexclim.train.loop import checkpoint_files
from flexclim.train.loop.logs import read_log
from flexclim.train.loop.processes import join_ranks

SHORT = "trainer.batch=4", "network.dropout=0.1", "ensemble.steps=2", "ensemble.spectrum=0.1"
LONG = "trainer.steps=24", "trainer.save_every=1", "trainer.validate_every=100"


def test_one_process_is_a_rank(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with join_ranks("cpu") as ranks:
        assert (ranks.rank, ranks.world, ranks.first) == (0, 1, True)
        assert ranks.sums({"a": 2.5}) == {"a": 2.5}
        assert (ranks.largest(3), ranks.from_first(4)) == (3, 4)


def numbers(folder, name, column):
    return np.array([float(row[column] or "nan") for row in read_log(folder / name / "log.csv")])


def weights(folder, name):
    return flexclim.load_model(folder / name / "model").network.state_dict()


@pytest.mark.slow
@pytest.mark.ddp
def test_two_ranks_train_as_one_with_accumulation(folder, launch):
    """The same patches, noise and dropout: the same losses and scores, but for rounding."""
    pair = launch("two", *SHORT, ranks=2)
    fit(load_recipe(folder / "tiny.yaml", [f"output={folder}/one", "trainer.accumulate=2", *SHORT]))
    assert pair.wait(250) == 0, (folder / "two.txt").read_text()
    for column in ("loss", "norm", "validation", "rmse", "crps", "spread_skill"):
        one, two = (numbers(folder, name, column) for name in ("one", "two"))
        np.testing.assert_allclose(one, two, rtol=2e-4, err_msg=column)
    first, second = (weights(folder, name) for name in ("one", "two"))
    for name in first:
        torch.testing.assert_close(first[name], second[name], atol=2e-3, rtol=2e-2)
    assert len(read_log(folder / "two" / "log.csv")) == 6


@pytest.mark.slow
@pytest.mark.ddp
def test_two_ranks_take_turns_as_one(folder, launch):
    """Of two tasks: at each step both ranks take the same one, and it is that of one process."""
    turns = (
        "data.inputs=[u10, v10]",
        "data.sources.0.variables=[]",
        "data.sources.0.signed=false",
        "data.scaling=fixed",
        "data.tasks={superres: 1, forecast: 1}",
        "data.forecast={past: 1, leads: {6h: 1}}",
        "trainer.validate_every=4",
        *SHORT,
    )
    pair = launch("two", *turns, ranks=2)
    recipe = load_recipe(
        folder / "tiny.yaml", [f"output={folder}/one", "trainer.accumulate=2", *turns]
    )
    fit(recipe)
    patches = open_training_data(recipe).train
    assert {patches.batch(step, 1).task for step in range(6)} == {"superres", "forecast"}
    assert pair.wait(250) == 0, (folder / "two.txt").read_text()
    for column in ("loss", "norm", "superres_crps", "forecast_crps"):
        one, two = (numbers(folder, name, column) for name in ("one", "two"))
        assert np.isfinite(one).any()
        np.testing.assert_allclose(one, two, rtol=2e-4, err_msg=column)
    first, second = (weights(folder, name) for name in ("one", "two"))
    for name in first:
        torch.testing.assert_close(first[name], second[name], atol=2e-3, rtol=2e-2)


def reached(folder, step):
    return any(checkpoint_files.step_of(path) >= step for path in folder.glob("checkpoint-*.pt"))


def wait_until(found, process, seconds=250):
    end = time.monotonic() + seconds
    while not found():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.ddp
def test_a_warning_and_a_dead_rank_change_nothing(folder, launch, same):
    """SIGUSR1 under torchrun saves and ends; a killed rank restarts; both end bit for bit alike."""
    caught = ["--signals-to-handle=SIGTERM,SIGINT,SIGUSR1"]
    assert launch("whole", *LONG, ranks=2).wait(300) == 0

    process = launch("warned", *LONG, ranks=2, options=caught)
    wait_until(lambda: reached(folder / "warned", 3), process)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(100) != 0
    stopped = checkpoint_files.step_of(checkpoint_files.newest(folder / "warned"))
    assert 3 <= stopped < 26
    assert f"stopped at step {stopped}" in (folder / "warned.txt").read_text()
    assert launch("warned", *LONG, ranks=2, options=caught).wait(300) == 0

    process = launch("killed", *LONG, ranks=2, options=["--max-restarts=2"])
    wait_until(lambda: reached(folder / "killed", 5), process)
    os.kill(workers(process.pid)[1], signal.SIGKILL)
    assert process.wait(300) == 0
    assert not reached(folder / "killed", 27)

    whole = weights(folder, "whole")
    assert same(whole, weights(folder, "warned"))
    assert same(whole, weights(folder, "killed"))


def workers(parent):
    found = subprocess.run(
        ["ps", "--ppid", str(parent), "-o", "pid="], capture_output=True, text=True, check=True
    )
    return [int(pid) for pid in found.stdout.split()]
