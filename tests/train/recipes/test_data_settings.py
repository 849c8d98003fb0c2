import pytest

from flexclim.errors import RecipeError
from flexclim.train import load_recipe


def test_inputs_are_named_alone_or_with_settings(folder):
    recipe = load_recipe(
        folder / "tiny.yaml",
        [
            "data.sources.0.variables=[]",
            "data.sources.0.signed=false",
            "data.inputs=[u10, {name: tp, transform: log1p}]",
        ],
    )
    assert [part.name for part in recipe.data.inputs] == ["u10", "tp"]
    targets = recipe.data.all_targets
    assert [(part.name, part.base_name, part.transform) for part in targets] == [
        ("u10", "u10", "none"),
        ("tp", "tp", "log1p"),
    ]


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
        (["data.inputs=[rain, a]", "data.sources.0.signed=false",
          "data.sources.0.rain={wet: 0.1, variable: rian}"],
         "sources.0.rain.variable rian is not a variable of training; did you mean rain?"),
        (["data.inputs=[a]", "data.statics=[orog]"], "static_file is missing"),
        (["data.inputs=[a]", "data.statics=[latitude]", "data.augment=[flip_y]"],
         "augment and the static latitude do not go together"),
        (["data.inputs=[a]", "data.augment=[turn]"], "augment: turn goes only without inputs"),
        (["data.inputs=[a]", "data.sources.0.signed=true"], "signed: true goes only without"),
        (["data.inputs=[a]", "data.sources.0.coarse={path: c.nc}"],
         "a pair has one factor"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_together_get_one_line(folder, overrides, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe(folder / "tiny.yaml", ["data.sources.0.variables=[]", *overrides])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
