import math

import pytest

import flexclim
from flexclim.errors import RecipeError
from flexclim.models.model import new_model
from flexclim.train import fit, load_recipe
from flexclim.train.data.sources import open_sources
from flexclim.train.loop import run
from flexclim.train.loop.logs import read_log
from flexclim.train.loop.processes import Ranks
from flexclim.train.loop.run import Run
from flexclim.train.loop.training_step import TrainingStep
from flexclim.train.loop.validation import Validation


@pytest.mark.slow
def test_a_finished_model_is_kept(finished_copy, folder, capsys, recipe, read):
    """As it is, calibrated or not; one that is damaged, or of fewer steps, is replaced."""
    model = finished_copy / "model"
    loaded = flexclim.load_model(model)
    card = loaded.card.model_copy(update={"notes": "Calibrated"})
    new_model(loaded.network, loaded.settings, card).save(model, overwrite=True)
    assert fit(recipe) == model
    assert flexclim.load_model(model).card.notes == "Calibrated"
    assert "no steps are left to train" in capsys.readouterr().err
    longer = read(folder, "ensemble.steps=3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "finish", lambda run: None)  # dies before it writes the model
        fit(longer)
    fit(longer)
    assert "of 7" in flexclim.load_model(model).card.notes
    (model / "model.json").write_text("{}")
    fit(longer)
    assert "of 7" in flexclim.load_model(model).card.notes


@pytest.mark.slow
def test_damaged_best_weights_are_told_of(finished_copy, recipe):
    """The last weights would be other ones than the scores on the card are of."""
    (finished_copy / "model" / "model.json").unlink()
    for best in finished_copy.glob("best-*.pt"):
        best.write_bytes(best.read_bytes()[:-8])
    with pytest.raises(RecipeError, match=r"is damaged: .* the best weights of this run: restore"):
        fit(recipe)


def test_scores_and_losses_are_of_one_step(folder, tiny):
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
def test_a_crps_that_is_no_number_is_not_the_best(folder, monkeypatch, capsys, numbers, tiny):
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
        assert "step 2 of 2, the last (no CRPS was finite)" in card.notes
        assert "holds the last weights" in said
        assert "rmse" in card.scores
        assert "crps" not in card.scores


def test_a_folder_has_one_run_at_a_time(folder, recipe):
    from filelock import FileLock

    (folder / "run").mkdir()
    with FileLock(folder / "run" / ".lock"), pytest.raises(RecipeError, match="another process"):
        fit(recipe)


def test_a_run_without_finite_gradients_gives_up(folder, monkeypatch, tiny):
    recipe = tiny(folder, "run", "trainer.steps=50", "trainer.max_nonfinite_steps=3")
    loss = TrainingStep._loss
    monkeypatch.setattr(
        TrainingStep, "_loss", lambda stage, step, *rest: loss(stage, step, *rest) * math.nan
    )
    with pytest.raises(RecipeError, match="not finite for 3 steps up to step 2; lower"):
        fit(recipe)


def test_each_rank_validates(folder, monkeypatch):
    monkeypatch.setattr(run, "open_training_data", None)  # said before any data is read
    recipe = load_recipe(folder / "tiny.yaml", ["trainer.validation_patches=2", "trainer.batch=3"])
    with pytest.raises(RecipeError, match="validation_patches 2 leaves some of 3 ranks without"):
        run.Run(recipe, Ranks(world=3))


def test_one_rank_measures_for_all(recipe, monkeypatch):
    """The second one takes the numbers of the first, whatever it would have found itself."""
    sent = []

    def broadcast(ranks, value):
        sent.append(value)
        return sent[0]

    monkeypatch.setattr(Ranks, "from_first", broadcast)
    first, second = (run.Run(recipe, Ranks(rank=rank, world=2)) for rank in (0, 1))
    measured = first._measure(open_sources(recipe.data, "train"), recipe)
    assert set(measured["residual_scale"]) == {"2", "4"}
    monkeypatch.setattr(run, "fit_normalisation", None)  # not to be called
    assert second._measure([], recipe) is measured
    assert sent == [measured, {}]


@pytest.mark.slow
@pytest.mark.parametrize("crps", [0.5, math.nan], ids=["no better", "not a number"])
def test_a_stage_ends_early_where_scores_do_not_improve(folder, monkeypatch, capsys, crps, tiny):
    scores, take, taken = Validation.scores, TrainingStep.take, []

    def never_better(*args):
        return scores(*args) | {"crps": crps}

    def counted(stage, number, *args):
        taken.append(number)
        return take(stage, number, *args)

    monkeypatch.setattr(Validation, "scores", never_better)
    monkeypatch.setattr(TrainingStep, "take", counted)
    settings = "trainer.steps=6", "ensemble.steps=4", "trainer.score_every=1"
    recipe = tiny(folder, "run", *settings, "trainer.early_stopping=2")
    model = fit(recipe)
    # The first score of a run may be the best; the second stage starts to count anew.
    first = [0, 1, 2] if crps == 0.5 else [0, 1]
    assert taken == [*first, 6, 7]
    rows = [int(row["step"]) for row in read_log(folder / "run" / "log.csv")]
    assert rows == [number + 1 for number in taken]
    said = capsys.readouterr().err
    assert "step 8: no better CRPS in 2 scores, so this stage ends 2 steps early" in said
    assert fit(recipe) == model
    assert "no steps are left to train" in capsys.readouterr().err
    assert len(taken) == len(rows)
