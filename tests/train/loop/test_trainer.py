"""One process: what a run leaves, and that nothing stops it from going on as it would have."""

import json
import math
import os
import signal
import time

import numpy as np
import pytest
import torch

import flexclim
from flexclim.errors import RecipeError
from flexclim.models.model import new_model
from flexclim.train import fit, load_recipe
from flexclim.train.loop import snapshot
from flexclim.train.loop import state as states
from flexclim.train.loop.dist import Ranks
from flexclim.train.loop.logs import read_log
from flexclim.train.loop.run import Run
from flexclim.train.loop.stage import Stage
from flexclim.train.loop.validation import Validation

LONG = "trainer.steps=40", "trainer.save_every=1", "trainer.validate_every=50"


def weights(folder):
    return flexclim.load_model(folder).network.state_dict()


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def tiny(folder, output, *overrides):
    return load_recipe(folder / "tiny.yaml", [f"output={folder / output}", *overrides])


def wait_for(found, process, seconds=120):
    end = time.monotonic() + seconds
    while not found():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_reads_data_changes_no_threads_of_the_network(folder, monkeypatch):
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


def test_a_run_leaves_a_model_that_downscales_with_its_card(recipe, folder):
    model = fit(recipe)
    loaded = flexclim.load_model(model)
    card = loaded.card
    assert card.name == "tiny"
    assert set(loaded.settings.residual_scale) == {2, 4}
    rows = read_log(folder / "run" / "log.csv")
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
    assert str(folder) not in str(card.recipe)
    assert not list((folder / "run").glob("*.partial"))


def test_resuming_equals_not_stopping(folder):
    """Stopped in either stage, and between them: bit for bit."""
    whole = weights(fit(tiny(folder, "whole", "trainer.save_every=1")))
    recipe = tiny(folder, "stopped", "trainer.save_every=1")
    step = Stage.step
    for last in (1, 3, 4, 5):
        with pytest.MonkeyPatch.context() as patch:

            def dies(stage, number, *args, last=last):
                if number == last:
                    raise OSError("gone")
                return step(stage, number, *args)

            patch.setattr(Stage, "step", dies)
            with pytest.raises(OSError, match="gone"):
                fit(recipe)
    assert same(whole, weights(fit(recipe)))
    losses = [
        [row["loss"] for row in read_log(folder / name / "log.csv")]
        for name in ("whole", "stopped")
    ]
    assert losses[0] == losses[1]


@pytest.mark.ddp
def test_killed_at_any_moment(folder, launch):
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
    return any(states.step_of(path) >= step for path in folder.glob("checkpoint-*.pt"))


@pytest.mark.ddp
def test_a_signal_saves_and_ends(folder, launch):
    rare = "trainer.steps=100000", "trainer.save_every=100000", "trainer.validate_every=100000"
    process = launch("run", *rare, "trainer.score_every=100000")
    log = folder / "run" / "log.csv"
    wait_for(lambda: log.exists() and log.stat().st_size > 400, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    found = states.newest(folder / "run")
    assert states.step_of(found) == int(read_log(log)[-1]["step"])
    assert f"stopped at step {states.step_of(found)}" in (folder / "run.txt").read_text()


def test_ctrl_c_saves_and_interrupts(folder, monkeypatch):
    advance, earlier = Run.advance, signal.getsignal(signal.SIGINT)

    def interrupted(run, batch):
        advance(run, batch)
        if run.done == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Run, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt, match="stopped at step 2"):
        fit(tiny(folder, "run"))
    assert states.step_of(states.newest(folder / "run")) == 2
    assert signal.getsignal(signal.SIGINT) is earlier


def test_other_settings_are_refused_by_name(folder, recipe):
    fit(recipe)
    for override, message in (
        ("network.depth=5", "network.depth = 3, not 5"),
        ("data.points=0", "data.points = 0.4, not 0"),
        ("diffusion.shift=2", "diffusion.shift = 1.0, not 2"),
        ("trainer.batch=4", "trainer.batch = 2, not 4"),
    ):
        with pytest.raises(RecipeError, match=message):
            fit(load_recipe(folder / "tiny.yaml", [override]))
    with pytest.raises(RecipeError, match="holds a run already"):
        fit(recipe, resume=False)
    # What changes no number may change on the way, and fine-tuning may be added.
    fit(load_recipe(folder / "tiny.yaml", ["trainer.keep=3", "ensemble.steps=3"]))
    assert states.step_of(states.newest(folder / "run")) == 7


def test_checkpoints_of_before_forecasts_go_on(recipe):
    """What an earlier version did not know yet is at its default."""
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
    assert (found.standing.step, found.fitted) == (3, fitted)
    old["network"]["depth"] = 5
    with pytest.raises(RecipeError, match=r"network.depth = 5, not 3"):
        snapshot.unpack({"text": json.dumps(text)}, recipe)


def test_settings_that_may_change_on_the_way_do(folder):
    fit(tiny(folder, "run", "trainer.steps=2", "ensemble.steps=0"))
    changed = (
        "trainer.ema=0.5", "trainer.weight_decay=0.3", "trainer.precision=fp16",
        "trainer.steps=2", "ensemble.steps=2", "ensemble.ema=0.7",
    )  # fmt: skip
    with Run(tiny(folder, "run", *changed), Ranks()) as run:
        run.start(resume=True)
        assert run.done == 2
        assert run.learner.averages.decay == 0.5
        assert [group["weight_decay"] for group in run.learner.optimizer.param_groups] == [0.3]
        assert run.learner.optimizer.state
        assert run.learner.scaler.get_scale() > 1
    fit(tiny(folder, "run", *changed))
    with Run(tiny(folder, "run", *changed, "ensemble.ema=0.6"), Ranks()) as run:
        run.start(resume=True)
        assert run.learner.averages.decay == 0.6
        assert run.learner.averages.num_updates


def test_a_finished_model_stays(folder, capsys):
    """As it is, calibrated or not, but one that is damaged or of fewer steps is made anew."""
    short = tiny(folder, "run", "trainer.steps=2", "ensemble.steps=0")
    model = fit(short)
    loaded = flexclim.load_model(model)
    card = loaded.card.model_copy(update={"notes": "Calibrated"})
    new_model(loaded.network, loaded.settings, card).save(model, overwrite=True)
    assert fit(short) == model
    assert flexclim.load_model(model).card.notes == "Calibrated"
    assert "nothing is left to train" in capsys.readouterr().err
    longer = tiny(folder, "run", "trainer.steps=2", "ensemble.steps=1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "finish", lambda run: None)  # dies before it writes the model
        fit(longer)
    fit(longer)
    assert "of 3" in flexclim.load_model(model).card.notes
    (model / "model.json").write_text("{}")
    fit(longer)
    assert "of 3" in flexclim.load_model(model).card.notes


def test_scores_and_losses_are_of_one_step(folder):
    uneven = "trainer.steps=6", "ensemble.steps=0", "trainer.score_every=2"
    model = fit(tiny(folder, "run", *uneven, "trainer.validate_every=3"))
    rows = {int(row["step"]): row for row in read_log(folder / "run" / "log.csv")}
    assert [step for step, row in rows.items() if row["crps"]] == [2, 4, 6]
    assert [step for step, row in rows.items() if row["rmse"]] == [2, 3, 4, 6]
    card = flexclim.load_model(model).card
    best = min((row for row in rows.values() if row["crps"]), key=lambda row: float(row["crps"]))
    for name in ("crps", "rmse", "validation"):
        assert card.scores[name] == pytest.approx(float(best[name]), rel=1e-4)


@pytest.mark.parametrize("numbers", [0, 1])
def test_a_crps_that_is_no_number_is_not_the_best(folder, monkeypatch, capsys, numbers):
    """The best of those that are numbers, or the last weights where none is."""
    scores, left = Validation.scores, [None] * numbers

    def few(*args):
        found = scores(*args)
        if left:
            left.pop()
            return found
        return found | {"crps": math.nan, "power_2_4": math.nan}

    monkeypatch.setattr(Validation, "scores", few)
    model = fit(tiny(folder, "run", "trainer.steps=2", "trainer.score_every=1", "ensemble.steps=0"))
    card = flexclim.load_model(model).card
    said = capsys.readouterr().err
    assert all(map(math.isfinite, card.scores.values()))
    if numbers:
        assert "step 1 of 2, the best by CRPS" in card.notes
        assert "no CRPS" not in said
    else:
        assert "step 2 of 2, the last (no CRPS was a number)" in card.notes
        assert "holds the last weights" in said
        assert "rmse" in card.scores
        assert "crps" not in card.scores


def test_a_folder_has_one_run_at_a_time(folder, recipe):
    from filelock import FileLock

    (folder / "run").mkdir()
    with FileLock(folder / "run" / ".lock"), pytest.raises(RecipeError, match="another process"):
        fit(recipe)


def test_a_run_without_finite_gradients_gives_up(folder, monkeypatch):
    recipe = tiny(folder, "run", "trainer.steps=50", "trainer.max_nonfinite_steps=3")
    loss = Stage._loss
    monkeypatch.setattr(
        Stage, "_loss", lambda stage, step, *rest: loss(stage, step, *rest) * math.nan
    )
    with pytest.raises(RecipeError, match="not finite for 3 steps up to step 2; lower"):
        fit(recipe)


def test_one_bad_step_is_skipped(folder, monkeypatch):
    recipe = tiny(folder, "run", "trainer.max_nonfinite_steps=2")
    loss = Stage._loss

    def sometimes(stage, step, *rest):
        return loss(stage, step, *rest) * (math.nan if step == 1 else 1)

    monkeypatch.setattr(Stage, "_loss", sometimes)
    model = fit(recipe)
    assert all(part.isfinite().all() for part in weights(model).values())
    assert read_log(folder / "run" / "log.csv")[1]["norm"] == "nan"


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.precision=bf16"],
        ["trainer.precision=fp16"],
        ["trainer.optimizer=lion", "trainer.learning_rate=1e-4"],
        ["diffusion.times=stratified", "ensemble.spectrum=0.1", "ensemble.members=3"],
    ],
)
def test_ways_of_training(folder, overrides):
    model = fit(tiny(folder, "run", *overrides))
    assert all(part.isfinite().all() for part in weights(model).values())


def test_recomputing_and_parts_change_no_number(folder):
    one = ["network.dropout=0.1", "trainer.batch=4"]
    whole = read(folder, "whole", one)
    recomputed = read(folder, "recomputed", [*one, "trainer.checkpointing=true"])
    assert recomputed == whole
    alone = ["trainer.batch=4"]
    parts = read(folder, "parts", [*alone, "trainer.accumulate=4"])
    np.testing.assert_allclose(parts, read(folder, "together", alone), rtol=1e-4)


def read(folder, output, overrides):
    fit(tiny(folder, output, *overrides))
    return [float(row["loss"]) for row in read_log(folder / output / "log.csv")]


def test_starting_from_a_model(folder, recipe):
    model = fit(recipe)
    tuned = tiny(folder, "tuned", f"start={model}", "trainer.steps=0", "ensemble.steps=1",
                 "ensemble.learning_rate=1e-12")  # fmt: skip
    before, after = weights(model), weights(fit(tuned))
    # The weights of a model folder are bf16; a step this small does not move them.
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    with pytest.raises(
        RecipeError, match=r"start: .*network's sizes ask for|start: .* (lacks|holds)"
    ):
        fit(tiny(folder, "other", f"start={model}", "network.depth=5"))
    with pytest.raises(RecipeError, match="start: there is no model 'nope'"):
        fit(tiny(folder, "nope", "start=nope"))


def test_a_part_of_a_network_may_learn_alone(folder, recipe):
    model = fit(recipe)
    part = [f"start={model}", "trainer.only=[decoder.final_layer, encoder.time]"]
    before, after = weights(model), weights(fit(tiny(folder, "part", *part)))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.rpartition(".")[0] for name in moved} > {"decoder.final_layer.2"}
    assert all(name.startswith(("decoder.final_layer", "encoder.time")) for name in moved)
    with pytest.raises(RecipeError, match="begins with 'nope'; they begin with decoder"):
        fit(tiny(folder, "nope", part[0], "trainer.only=[nope]"))
    with pytest.raises(RecipeError, match=r"holds a run with trainer\.only"):
        fit(tiny(folder, "part", part[0]))
