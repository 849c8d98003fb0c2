"""What a trained model tells of itself."""

import json
from types import SimpleNamespace

from flexclim.train import load_recipe
from flexclim.train.card import last_scores, model_card, model_settings


def test_a_card_tells_the_data_and_the_recipe():
    recipe = load_recipe("flex_nano", ["data.folder=/secret/place", "output=/secret/run"])
    sources = [SimpleNamespace(grid=SimpleNamespace(spacing_km=km)) for km in (2.5, 111.19)]
    card = model_card(recipe, sources, {"crps": 0.6}, 61.0)
    assert card.name == "flex-nano"
    assert card.factors == (2, 4, 8)
    assert card.spacing_km == (2.5, 111.2)
    assert card.data[0].source == "gfs_wind_1deg_2018.nc"
    assert card.data[0].period == "2018-10-01 to 2018-10-13"
    assert card.licence == recipe.licence
    assert card.scores == {"crps": 0.6}
    assert "secret" not in json.dumps(card.model_dump(mode="json"))


def test_settings_are_those_that_were_trained():
    recipe = load_recipe("flex_nano", ["diffusion.shift=1.5", "diffusion.steps=3"])
    settings = model_settings(recipe, {2: 0.7, 4: 0.9, 8: 1.0})
    assert settings.network.config().tile == recipe.network.tile
    assert settings.diffusion.process().shift == 1.5
    assert (settings.method, settings.steps) == (recipe.diffusion.method, 3)
    assert settings.residual_scale == {2: 0.7, 4: 0.9, 8: 1.0}


def test_scores_are_those_of_the_last_validation(tmp_path):
    log = tmp_path / "log.csv"
    assert last_scores(log) == {}
    log.write_text("step,seconds,loss,validation,rmse,crps\n")
    assert last_scores(log) == {}
    log.write_text(log.read_text() + "1,9,8,7,6,5\n2,9,8,0.7,0.6,0.5\n")
    assert last_scores(log) == {"validation": 0.7, "rmse": 0.6, "crps": 0.5}
