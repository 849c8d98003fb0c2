"""Settings that do not fit together are refused when they are made."""

import json

import pytest
from pydantic import ValidationError

from flexclim.errors import ModelError
from flexclim.models.channels import Static, Target, Variable
from flexclim.models.model import load_model
from flexclim.models.model_file import digest
from flexclim.models.settings import ModelSettings

U, V = (Variable(name=name, vector=True) for name in "uv")


@pytest.fixture
def settings(toy_sizes):
    def make(channels=1, read=2, **changes):
        usual = {
            "scaling": "fixed",
            "inputs": (U, V),
            "targets": (Target(name="u", base="u", vector=True),),
            "factors": (4,),
            "residual_scale": {4: (1.0,) * channels},
            "halo": 8,
        }
        return ModelSettings(network=toy_sizes(channels, read), **(usual | changes))

    return make


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": None}, "inputs and targets go together"),
        ({"inputs": ()}, "at least 1"),
        ({"inputs": (U, U)}, "'u' appears twice"),
        ({"read": 3}, "3 channels of conditions.superres do not match 2 inputs and 0"),
        ({"read": 3, "statics": (Static(name="solar_time"),)}, "2 inputs and 2 channels of static"),
        ({"channels": 2}, "2 channels do not match 1 targets"),
        ({"residual_scale": {4: ()}}, "residual_scale of factor 4 needs 1 number"),
        ({"residual_scale": {2: (1.0,)}}, "residual_scale lacks factor 4"),
        (
            {"targets": (Target(name="u", base="w", vector=True),)},
            "'w' of 'u' is not an input",
        ),
        ({"targets": (Target(name="u", base="u"),)}, "differ in vector"),
        (
            {"targets": (Target(name="u", base="u", vector=True, transform="sqrt"),)},
            "differ in transform",
        ),
        ({"scaling": "local", "targets": (Target(name="ke"),)}, "'ke' needs a base"),
    ],
)
def test_what_does_not_fit_is_refused(settings, changes, message):
    with pytest.raises(ValidationError, match=message):
        settings(**changes)


def test_components_of_a_vector_have_no_mean():
    with pytest.raises(ValidationError, match="'u' is a component of a vector: its mean must be 0"):
        Variable(name="u", vector=True, mean=0.1)


def test_any_variable_is_one_input_and_one_target(settings):
    model = settings(read=1, inputs=None, targets=None)
    named = model.named(vector=True)
    assert len(named.inputs) == len(named.targets) == 1
    assert named.targets[0].base == named.inputs[0].name
    assert named.targets[0].vector
    assert settings().named(vector=True) == settings()


def test_folders_of_before_forecasts_had_a_scale(make_forecaster, tmp_path):
    """The setting is not in them: they load, compute the same and so have the same hash."""
    model = make_forecaster((Target(name="t"),)).replace(noise_scale=0.9)
    file = model.save(tmp_path / "toy") / "model.json"
    values = json.loads(file.read_text())
    del values["settings"]["forecast"]["noise_scale"]
    values["sha256"]["settings"] = digest(values["settings"])
    file.write_text(json.dumps(values))
    old = load_model(file)
    assert old.sha256 == model.sha256
    assert old.settings.noise_scale_of("forecast") == 0.9
    own = old.settings.forecast.model_copy(update={"noise_scale": 1.2})
    assert old.replace(forecast=own).sha256 != model.sha256


def test_replace_is_strict(model):
    assert model.replace(noise_scale=0.5).settings.noise_scale == 0.5
    for changes, message in [
        ({"noise": 1.0}, "noise: Extra inputs"),
        ({"noise_scale": float("nan")}, "noise_scale"),
        ({"steps": "2"}, "steps"),
        ({"factors": (3,)}, "residual_scale lacks factor 3"),
        ({"halo": 30}, "halo 30 is more than half"),
        ({"inputs": (Variable(name="u"),)}, "inputs and targets go together"),
        ({"statics": (Static(name="day_of_year"),)}, "1 channels of conditions.superres"),
        ({"residual_scale": {4: (1.0, 1.0)}, "factors": (4,)}, "factor 4 needs 1 numbers"),
        ({"network": model.settings.network}, "can't be changed"),
        ({"card": {"name": "../../toy"}}, "name"),
    ]:
        with pytest.raises(ModelError, match=message):
            model.replace(**changes)
