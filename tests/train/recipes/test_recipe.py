import pytest

from flexclim.errors import RecipeError
from flexclim.nn.configuration import Settings
from flexclim.train import load_recipe
from flexclim.train.recipes.reading import section_of
from flexclim.train.recipes.recipe import Recipe


def sections(section, seen):
    yield section
    for field in section.model_fields.values():
        inner = section_of(field.annotation)
        if inner is not None and inner not in seen:
            seen.add(inner)
            yield from sections(inner, seen)


def test_every_setting_says_what_it_means():
    found = list(sections(Recipe, set()))
    assert len(found) > 10
    for section in found:
        assert issubclass(section, Settings)
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"


def test_runs_are_written_to_local_folders(folder):
    """Not to one named ``s3:``."""
    with pytest.raises(RecipeError, match="output: s3://bucket/run is a URL"):
        load_recipe(folder / "tiny.yaml", ["output=s3://bucket/run"])


def test_quarter_turns_want_square_tiles(folder):
    wide = "network.tile=[32, 64]"
    assert "turn" in load_recipe(folder / "tiny.yaml", [wide]).data.flips  # passed over by patches
    with pytest.raises(RecipeError, match=r"turn needs square tiles, .*\[32, 64\]"):
        load_recipe(folder / "tiny.yaml", [wide, "data.augment=[turn]"])


def test_a_run_without_steps_is_refused(folder):
    """Rather than a model of random weights written."""
    none = ["trainer.steps=0", "ensemble.steps=0"]
    with pytest.raises(RecipeError, match="both 0, so nothing would be trained"):
        load_recipe(folder / "tiny.yaml", none)
    assert load_recipe(folder / "tiny.yaml", [*none, "ensemble.steps=1"]).ensemble.steps == 1
