import pytest

from flexclim.errors import RecipeError
from flexclim.nn.configuration import Settings
from flexclim.train import explain_recipe, list_recipes, load_recipe
from flexclim.train.recipes.reading import recipes_folder, rename_old_settings, section_of
from flexclim.train.recipes.recipe import Recipe


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


def test_inputs_are_named_alone_or_with_settings(folder):
    recipe = load_recipe(
        folder / "tiny.yaml",
        ["data.sources.0.variables=[]", "data.inputs=[u10, {name: tp, transform: log1p}]"],
    )
    assert [part.name for part in recipe.data.inputs] == ["u10", "tp"]
    targets = recipe.data.all_targets
    assert [(part.name, part.base_name, part.transform) for part in targets] == [
        ("u10", "u10", "none"),
        ("tp", "tp", "log1p"),
    ]


def test_periods_need_no_quotes(folder):
    recipe = load_recipe(
        folder / "tiny.yaml",
        ["data.sources.0.train=[2018-10-01, 2018]", "data.sources.0.validate=[0, 12]"],
    )
    assert recipe.data.sources[0].train == ("2018-10-01", "2018")
    assert recipe.data.sources[0].validate_ == ("0", "12")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.lerning_rate=1", "trainer.lerning_rate is not a setting; did you mean "
         "trainer.learning_rate?"),
        ("trainer.patience=3", "trainer.patience is now trainer.max_nonfinite_steps."),
        ("network.channels=2", "network.channels is not a setting"),
        ("network.tile=[30, 30]", "network: tile 30 x 30 does not divide by"),
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


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.inputs=[a, a]"], "a name appears twice among a, a"),
        (["data.inputs=[a]", "data.targets=[b]"], "base of target b is b, which is not an input"),
        (["data.inputs=[a]", "data.targets=[{name: b, base: null}]"],
         "target b without base needs scaling: fixed"),
        (["data.inputs=[a]", "data.targets=[{name: a, transform: sqrt}]"],
         "need the same transform and unit"),
        (["data.inputs=[{name: a, component: x}]", "data.targets=[a]"],
         "target a and its base a need the same component"),
        (["data.inputs=[rain, a]", "data.sources.0.rain={wet: 0.1, variable: rian}"],
         "sources.0.rain.variable rian is not a variable of training; did you mean rain?"),
        (["data.inputs=[a]", "data.statics=[orog]"], "static_file is missing"),
        (["data.inputs=[a]", "data.statics=[latitude]", "data.augment=[flip_y]"],
         "augment and the static latitude do not go together"),
        (["data.inputs=[a]", "data.augment=[turn]"], "augment: turn goes only without inputs"),
        (["data.inputs=[a]", "data.sources.0.coarse={path: c.nc}"],
         "a pair has one factor"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_together_get_one_line(folder, overrides, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe(folder / "tiny.yaml", ["data.sources.0.variables=[]", *overrides])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_recipes_of_earlier_versions_get_the_names_of_today():
    old = {"name": "toy", "trainer": {"steps": 7, "patience": 3}}
    new = {"name": "toy", "trainer": {"steps": 7, "max_nonfinite_steps": 3}}
    assert rename_old_settings(old) == new
    assert rename_old_settings(new) == new
    assert old["trainer"] == {"steps": 7, "patience": 3}


def test_keys_to_storage_are_never_published(folder):
    keys = "storage={key: AKIA, secret: SECRET123}"
    coarse = "coarse={path: c.nc, storage: {token: SECRET123}}"
    recipe = load_recipe(
        folder / "tiny.yaml",
        [
            "data.inputs=[u10]",
            "data.factors={4: 1}",
            "data.sources.0.variables=[]",
            f"data.sources.0.{keys}",
            f"data.sources.0.{coarse}",
        ],
    )
    source = recipe.data.sources[0]
    assert source.storage["secret"] == source.coarse.storage["token"] == "SECRET123"
    for text in (recipe.model_dump_json(), str(recipe.model_dump()), repr(recipe)):
        assert "path" in text
        assert "SECRET123" not in text


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


def test_an_explained_recipe_is_the_resolved_one(folder):
    text = explain_recipe(load_recipe(folder / "tiny.yaml", ["trainer.seed=7"]))
    lines = text.splitlines()
    assert any(line.startswith("  * seed = 7 ") for line in lines), "given settings have a star"
    assert any(line.startswith("    clip = 1.0 ") for line in lines), "others show their default"
    assert any("validate = [2018-10-03, 2018-10-03]" in line for line in lines)
    assert max(map(len, lines)) <= 100 or "path" in max(lines, key=len)
    assert text.count("norm at which gradients are clipped") == 1


def test_quarter_turns_want_square_tiles(folder):
    wide = "network.tile=[32, 64]"
    assert "turn" in load_recipe(folder / "tiny.yaml", [wide]).data.flips  # passed over by patches
    with pytest.raises(RecipeError, match=r"turn needs square tiles, .*\[32, 64\]"):
        load_recipe(folder / "tiny.yaml", [wide, "data.augment=[turn]"])
