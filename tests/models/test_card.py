"""Model cards: what they show, and what they say of a field's spacing."""

import math

import pytest
from pydantic import ValidationError

from flexclim.models.card import Coverage, ModelCard, NoisePersistence
from flexclim.models.catalogue import ModelList


def test_a_card_tells_what_a_model_reads_and_makes():
    card = ModelCard(name="ke", variables=("ke",), inputs=("u", "v"), statics=("orography",))
    assert "variables    ke\ninputs       u, v\nstatic       orography" in str(card)


@pytest.mark.parametrize(("spacing", "far"), [(9, True), (11, False), (59, False), (61, True)])
def test_far_spacing(spacing, far):
    card = ModelCard(name="toy", spacing_km=(20.0, 30.0))
    assert bool(card.far_spacing(spacing)) == far
    assert card.far_spacing(math.nan) == ""
    assert ModelCard(name="toy").far_spacing(spacing) == ""


def test_the_persistence_of_noise_is_that_of_the_nearest_entry():
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

    def hours(*asked):
        return card.persistence(*asked).hours

    assert hours("u10", 4, 100.0) == 6.0
    assert hours("u10", 2, 100.0) == 4.5
    assert hours("u10", 8, 100.0) == 6.0
    assert hours("u10", 4, 3.0) == 1.0
    assert hours("tp", 4, 100.0) == 0.5
    assert hours("msl", 4, 100.0) == 6.0
    assert hours("u10", 4, math.nan) == 6.0
    assert ModelCard(name="toy").persistence("u10", 4, 100.0) is None
    noise = NoisePersistence(hours=9.0, constant=0.2, lasting=0.4, daily=0.1)
    measured = parts[0].model_copy(update={"noise": {4: noise}})
    assert str(measured).endswith(
        "noise 0.4 lasting 9 h and 0.2 constant and 0.1 recurring daily at x4"
    )
    card = ModelCard(name="toy", coverage=(measured,))
    assert card.persistence("u10", 4, 100.0) == noise
    assert card.persistence("u10", 2, 100.0) == NoisePersistence(hours=4.5)
    with pytest.raises(ValidationError, match="sum to more than 1"):
        NoisePersistence(hours=9.0, constant=0.5, daily=0.1)


def test_a_card_reads_well():
    card = ModelCard(name="flex", factors=(2, 4), spacing_km=(1.0, 111.19), seconds=90.0)
    assert "spacing      1 to 111.2 km" in str(card)
    assert "factors      2, 4" in str(card)
    assert "period" not in str(card)


def test_cards_models_and_lists_have_a_form_for_notebooks(toy_model):
    card = ModelCard(name="toy", description="a <b>", coverage=toy_model.card.coverage)
    html = card._repr_html_()
    assert "Card of toy" in html
    assert "a &lt;b&gt;" in html
    assert html.count("<dt") == sum(1 for value in card.rows().values() if value) - 1
    assert f"flexclim model {toy_model.name}" in toy_model._repr_html_()
    listed = ModelList({"toy": card})._repr_html_()
    assert "toy</dt>" in listed
    assert "a &lt;b&gt;" in listed
