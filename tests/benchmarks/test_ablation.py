"""Short trainings side by side: what is run, what is shared, what is told."""

import json

import pytest

from benchmarks import ablation
from flexclim.train import load_recipe
from flexclim.train.data.model_settings import check_network

BY_NAME = {variant.name: variant for variant in ablation.VARIANTS}


@pytest.fixture
def lab(tmp_path):
    return ablation.Lab(20, 4, tmp_path)


@pytest.mark.parametrize("variant", ablation.VARIANTS, ids=lambda variant: variant.name)
def test_each_variant_is_a_recipe_of_equal_steps(lab, variant):
    recipes = [load_recipe(ablation.RECIPE, words) for _, words in lab.stages(variant)]
    steps = [(one.trainer.steps, one.ensemble.steps) for one in recipes]
    assert steps == ([(20, 0), (0, 4)] if variant.tuned else [(20, 0)])
    assert [one.folder for one in recipes] == [folder for folder, _ in lab.stages(variant)]
    for one in recipes:
        check_network(one)
    assert recipes[0].start == ""
    if variant.tuned:
        assert recipes[1].start == str(recipes[0].folder / "model")
        assert recipes[1].network == recipes[0].network


def test_variants_of_the_second_stage_share_the_first(lab):
    first = lab.stages(BY_NAME["base"])[0]
    assert lab.stages(BY_NAME["ddim"])[0] == first == lab.stages(BY_NAME["untuned"])[0]
    assert lab.stages(BY_NAME["shift"])[0][0] != first[0]


def test_what_is_there_is_read_and_not_trained(lab, monkeypatch):
    trained = []

    def fit(recipe):
        trained.append(recipe.folder.name)
        (recipe.folder / "model").mkdir(parents=True)
        (recipe.folder / "log.csv").write_text("step,patches_per_second\n1,4\n2,8\n3,1\n")

    scores = {"rmse": 0.08, "crps": 0.3, "spread_skill": 0.9, "decibels": 0.5, "parameters": 3.9}
    monkeypatch.setattr(ablation, "fit", fit)
    monkeypatch.setattr(ablation.flexclim, "load_model", lambda folder: folder)
    monkeypatch.setattr(ablation, "measured", lambda model: scores)
    found = [(BY_NAME[name], lab.result(BY_NAME[name])) for name in ("base", "untuned", "base")]
    assert trained == ["base-first", "base"]
    line = "| base, seed 0 | 8.0 % | 30.0 % | 0.90 | 0.50 | 2.00 | 2.00 | 0.2 | 3.9 |"
    lines = ablation.table(found, "Made").markdown().splitlines()
    assert line == lines[4] == lines[6]
    assert lines[5].endswith("| 2.00 |  | 0.1 | 3.9 |")
    assert json.loads((lab.folder / "base.json").read_text())["minutes"] == pytest.approx(0.2)


def test_scores_are_those_below_bicubic():
    def records(error, members):
        power = {"power": [2.0], "truth_power": [1.0]}
        ensemble = {"variance": error**2, "dispersion": 0.0} if members > 1 else {}
        plain = {"square": error**2, "crps": error, "above": 0.0, "truth_above": 1.0}
        return [
            plain | power | ensemble | {"members": members, "block": 0.0, "truth_variance": 1.0}
        ]

    made = {"bicubic": {"u": records(2.0, 1)}, "mean": {"u": records(1.5, 1)}}
    found = ablation.summary(made | {"members": {"u": records(1.0, 8)}})
    assert found["rmse"] == pytest.approx(0.25)
    assert found["crps"] == pytest.approx(0.5)
    assert found["spread_skill"] == pytest.approx((9 / 8) ** 0.5)
    assert found["decibels"] == pytest.approx(3.01, abs=0.01)
