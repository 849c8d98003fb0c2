"""Settings that do not fit together are refused when they are made."""

import pytest
from pydantic import ValidationError

from flexclim.models.card import ModelCard
from flexclim.models.settings import ModelSettings, Static, Target, Variable

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
        ({"inputs": (U, U)}, "'u' is named twice"),
        ({"read": 3}, "3 channels of conditions.superres do not go with 2 inputs and 0"),
        ({"read": 3, "statics": (Static(name="solar_time"),)}, "2 inputs and 2 of static"),
        ({"channels": 2}, "2 channels do not go with 1 targets"),
        ({"residual_scale": {4: ()}}, "residual_scale of factor 4 needs 1 number"),
        ({"residual_scale": {2: (1.0,)}}, "residual_scale lacks factor 4"),
        ({"targets": (Target(name="u", base="w", vector=True),)}, "base 'w' of 'u' is no input"),
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


def test_a_card_tells_what_a_model_reads_and_makes():
    card = ModelCard(name="ke", variables=("ke",), inputs=("u", "v"), statics=("orography",))
    assert "variables    ke\ninputs       u, v\nstatic       orography" in str(card)
