"""Runs that differ in a term of the objective: what each is trained with."""

import pytest

from benchmarks import objective
from flexclim.train import load_recipe

BY_NAME = {variant.name: variant for variant in objective.VARIANTS}


def recipe_of(variant, tmp_path):
    settings = objective.settings_of("flex-wind", 20, 4, variant, tmp_path)
    return load_recipe(objective.RECIPE, settings)


@pytest.mark.parametrize("variant", objective.VARIANTS, ids=lambda variant: variant.name)
def test_runs_have_equal_steps_and_begin_alike(variant, tmp_path):
    recipe = recipe_of(variant, tmp_path)
    assert (recipe.trainer.steps, recipe.ensemble.steps, recipe.trainer.batch) == (0, 20, 4)
    assert recipe.start == "flex-wind"
    assert recipe.data == load_recipe(objective.RECIPE).data


def test_one_line_has_no_term_and_one_has_those_of_the_recipe(tmp_path):
    bare, whole = (recipe_of(BY_NAME[name], tmp_path) for name in ("cells", "whole"))
    own = load_recipe(objective.RECIPE)
    for name in objective.NAMES:
        section, _, field = name.rpartition(".")
        values = [getattr(getattr(one, section), field) for one in (bare, whole, own)]
        assert values[0] == 0 < values[1] == values[2]


def test_seeds_differ_in_the_seed_alone(tmp_path):
    for name in ("cells", "whole"):
        first, other = (recipe_of(BY_NAME[one], tmp_path) for one in (name, f"{name}1"))
        assert (first.trainer.seed, other.trainer.seed) == (0, 1)
        assert first.ensemble == other.ensemble
        assert first.diffusion == other.diffusion


def test_validation_times_are_no_test_times(data_dir):
    split = objective.validation(data_dir)
    assert {str(one.time.values[0])[:10] for one in split.test} == {"2026-08-04", "2026-08-05"}
    assert str(split.train[0].time.values[-1]) < "2026-08-03"
