import pytest

from flexclim.errors import RecipeError
from flexclim.train import list_recipes, load_recipe
from flexclim.train.recipes.reading import copy_recipe, recipes_folder, rename_old_settings


def test_overrides(folder):
    recipe = load_recipe(
        folder / "tiny.yaml",
        ["trainer.steps=7", "data.factors={8: 1}", "data.sources.0.weight=2", "ensemble.members=3"],
    )
    assert recipe.trainer.steps == 7
    assert recipe.data.factors == {8: 1.0}
    assert recipe.data.sources[0].weight == 2
    assert recipe.ensemble.members == 3


@pytest.mark.parametrize("name", [file.stem for file in recipes_folder().glob("*.yaml")])
def test_shipped_recipes_can_be_read_by_name(name):
    assert name.startswith(load_recipe(name).name.replace("-", "_"))
    assert list_recipes()[name]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.lerning_rate=1", "trainer.lerning_rate is not a setting; did you mean "
         "trainer.learning_rate?"),
        ("trainer.patience=3", "trainer.patience is now trainer.max_nonfinite_steps."),
        ("network.channels=2", "network.channels is not a setting"),
        ("network.tile=[30, 30]", "network: tile 30 x 30 is not divisible by"),
        ("trainr.steps=1", "trainr is not a setting; did you mean trainer?"),
        ("trainer.steps=many", "trainer.steps = 'many' is invalid"),
        ("trainer.steps", "not of the form"),
        ("name=A B", "name = 'A B' is invalid"),
        ("name=: :", "is not YAML"),
        ("data.sources=[{path: a.nc, variables: [u], trian: [a, b], train: [a, b]}]",
         "data.sources.0.trian is not a setting; did you mean data.sources.0.train?"),
        ("data.sources.0.coarse={pth: a.nc}", "did you mean data.sources.0.coarse.path?"),
        ("data.sources.0.derive={ws: {wind_sped: [u, v]}}",
         "data.sources.0.derive.ws.wind_sped is not a setting; did you mean "
         "data.sources.0.derive.ws.wind_speed?"),
        ("data.sources.0.derive={ws: {}}", "give either wind_speed or kinetic_energy"),
        ("data.sources.0.rain={wet: 2}", "data.sources.0.rain.wet = 2 is invalid"),
        ("data.sources.0.rain={wet: 0.1, variable: u11}", "training; did you mean u10?"),
        ("data.sources.0.rain={wet: 0.1, variable: u10}", "make u10 a source of its own"),
        ("data.sources.9.path=x", "data.sources.9.path can't be set: there is no 9"),
        ("data.sources.0.bare={channels: [a], latitude: [1, 2]}", "give both latitude and"),
        ("data.inputs=[u10]", "data: sources.0.variables goes only without inputs"),
        ("data.sources.0.variables=[]", "data: sources.0.variables is missing"),
        ("data.factors={1: 1}", "data: factor 1 is not between 2 and 64"),
        ("data.scaling=fixed", "fixed scaling need inputs by name"),
        ("data.augment=[flip_z]", "data.augment.0 = 'flip_z' is invalid"),
        ("trainer.only=[decoder]", "trainer.only needs a model to start from"),
        ("ensemble.physical=1", "ensemble.physical needs named variables"),
        ("trainer.loggers=[tensorbord]", "trainer.loggers.0 = 'tensorbord' is invalid"),
    ],
)  # fmt: skip
def test_wrong_settings_get_one_line(folder, override, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe(folder / "tiny.yaml", [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_recipes_of_earlier_versions_get_the_names_of_today():
    old = {"name": "toy", "trainer": {"steps": 7, "patience": 3}}
    new = {"name": "toy", "trainer": {"steps": 7, "max_nonfinite_steps": 3}}
    assert rename_old_settings(old) == new
    assert rename_old_settings(new) == new
    assert old["trainer"] == {"steps": 7, "patience": 3}


def test_files_that_are_no_recipe(tmp_path):
    for content in ("- a\n- b", "a: [", "name: x\n"):
        path = tmp_path / "r.yaml"
        path.write_text(content)
        with pytest.raises(RecipeError):
            load_recipe(path)
    with pytest.raises(RecipeError, match="there is no recipe 'nope'"):
        load_recipe("nope")
    with pytest.raises(RecipeError, match=r"did you mean gfs_wind_x4\?"):
        load_recipe("gfs_wnd_x4")


def test_a_recipe_is_copied_with_its_comments(tmp_path):
    file = copy_recipe("gfs_wind_x4", tmp_path / "mine.yaml")
    assert file.read_text().startswith("# GFS 10 m wind")
    assert load_recipe(file) == load_recipe("gfs_wind_x4")
    with pytest.raises(RecipeError, match=r"exists\. Give the name of another file"):
        copy_recipe("gfs_wind_x4", file)
    with pytest.raises(RecipeError, match="can't be written"):
        copy_recipe("gfs_wind_x4", tmp_path / "none" / "mine.yaml")
    with pytest.raises(RecipeError, match="did you mean gfs_wind_x4"):
        copy_recipe("gfs_wind_x44", tmp_path / "other.yaml")


def test_indices_and_dates_are_read_as_they_are_written(folder):
    text = (folder / "tiny.yaml").read_text()
    text = text.replace('train: ["2018-10-01", "2018-10-02"]', "train: [00010, 0100]")
    text = text.replace('["2018-10-03", "2018-10-03"]', "[2018-02-28, 2018-02-30 06:00:00]")
    (folder / "other.yaml").write_text(text)
    source = load_recipe(folder / "other.yaml").data.sources[0]
    assert source.train == ("00010", "0100")
    assert source.validate_ == ("2018-02-28", "2018-02-30T06:00:00")
    override = "data.sources.0.train=[2018-10-01, 2018-10-02T06]"
    source = load_recipe(folder / "tiny.yaml", [override]).data.sources[0]
    assert source.train == ("2018-10-01", "2018-10-02T06")


def test_a_setting_given_twice_is_an_error(folder):
    text = (folder / "tiny.yaml").read_text()
    (folder / "other.yaml").write_text(f"{text}trainer: {{batch: 4}}\n")
    with pytest.raises(RecipeError, match="'trainer' is given twice"):
        load_recipe(folder / "other.yaml")
    with pytest.raises(RecipeError, match="is not YAML"):
        load_recipe(folder / "tiny.yaml", ["data.factors={2: 1, 2: 3}"])


def test_merged_sections_are_not_given_twice(folder):
    text = (folder / "tiny.yaml").read_text()
    merged = """
ensemble: &one {steps: 2}
trainer: {<<: *one, steps: 5}
"""
    start, end = text.index("trainer:"), text.index("output:")
    (folder / "other.yaml").write_text(text[:start] + merged + text[end:])
    recipe = load_recipe(folder / "other.yaml")
    assert (recipe.ensemble.steps, recipe.trainer.steps) == (2, 5)
