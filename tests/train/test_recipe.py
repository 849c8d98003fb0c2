import pytest

from flexclim.errors import RecipeError
from flexclim.shipped import recipes_folder
from flexclim.train import load_recipe


def test_overrides(folder):
    recipe = load_recipe(folder / "tiny.yaml", ["trainer.steps=7", "data.factors={8: 1}"])
    assert recipe.trainer.steps == 7
    assert recipe.data.factors == {8: 1.0}


@pytest.mark.parametrize("name", [file.stem for file in recipes_folder().glob("*.yaml")])
def test_shipped_recipes_can_be_read_by_name(name):
    assert load_recipe(name).name.replace("-", "_") == name


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.lerning_rate=1", "trainer.lerning_rate is not a setting; did you mean "
         "trainer.learning_rate?"),
        ("trainr.steps=1", "trainr is not a setting; did you mean trainer?"),
        ("trainer.steps=many", "trainer.steps = 'many' does not do"),
        ("trainer.steps", "not of the form"),
        ("name=A B", "name = 'A B' does not do"),
        ("data.sources=[{path: a.nc, variables: [u], trian: [a, b], train: [a, b]}]",
         "did you mean data.sources.0.train"),
    ],
)  # fmt: skip
def test_wrong_settings_get_one_line(folder, override, message):
    with pytest.raises(RecipeError, match=message.replace("?", r"\?")) as caught:
        load_recipe(folder / "tiny.yaml", [override])
    assert "\n" not in str(caught.value)


def test_files_that_are_no_recipe(tmp_path):
    for content in ("- a\n- b", "a: [", "name: x\n"):
        path = tmp_path / "r.yaml"
        path.write_text(content)
        with pytest.raises(RecipeError):
            load_recipe(path)
    with pytest.raises(RecipeError, match="there is no recipe 'nope'"):
        load_recipe("nope")
