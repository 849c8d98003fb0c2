"""Settings that do not fit together are refused when they are made."""

import math

import pytest
from pydantic import ValidationError

from flexclim.models.card import Coverage, ModelCard
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


def test_a_card_tells_what_a_model_reads_and_makes():
    card = ModelCard(name="ke", variables=("ke",), inputs=("u", "v"), statics=("orography",))
    assert "variables    ke\ninputs       u, v\nstatic       orography" in str(card)


@pytest.mark.parametrize(("spacing", "far"), [(9, True), (11, False), (59, False), (61, True)])
def test_far_spacing(spacing, far):
    card = ModelCard(name="toy", spacing_km=(20.0, 30.0))
    assert bool(card.far_spacing(spacing)) == far
    assert card.far_spacing(math.nan) == ""
    assert ModelCard(name="toy").far_spacing(spacing) == ""


def test_the_correlation_time_is_that_of_the_nearest_entry():
    ranges = {"values": (0.0, 1.0), "scale": (0.0, 1.0), "contrast": (1.0, 2.0)}

    def entry(variable, spacing, hours):
        return Coverage(variable=variable, spacing_km=spacing, hours=hours, **ranges)

    parts = (
        entry("u10", 111.0, {2: 4.5, 4: 6.0}),
        entry("u10", 2.5, {4: 1.0}),
        entry("tp", 1.1, {4: 0.5}),
        entry("msl", 111.0, {}),
        entry("vorticity", None, {4: 99.0}),
    )
    card = ModelCard(name="toy", coverage=parts)
    assert card.correlation_hours("u10", 4, 100.0) == 6.0
    assert card.correlation_hours("u10", 2, 100.0) == 4.5
    assert card.correlation_hours("u10", 8, 100.0) == 6.0
    assert card.correlation_hours("u10", 4, 3.0) == 1.0
    assert card.correlation_hours("tp", 4, 100.0) == 0.5
    assert card.correlation_hours("msl", 4, 100.0) == 6.0
    assert card.correlation_hours("u10", 4, math.nan) == 6.0
    assert ModelCard(name="toy").correlation_hours("u10", 4, 100.0) is None
