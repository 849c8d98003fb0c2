import pytest

from flexclim.train import load_recipe
from flexclim.train.recipes.source_settings import Reading, Turbulence


def test_periods_need_no_quotes(folder):
    recipe = load_recipe(
        folder / "tiny.yaml",
        ["data.sources.0.train=[2018-10-01, 2018]", "data.sources.0.validate=[0, 12]"],
    )
    assert recipe.data.sources[0].train == ("2018-10-01", "2018")
    assert recipe.data.sources[0].validate_ == ("0", "12")


def test_keys_to_storage_are_never_published(folder):
    keys = "storage={key: AKIA, secret: SECRET123}"
    coarse = "coarse={path: c.nc, storage: {token: SECRET123}}"
    recipe = load_recipe(
        folder / "tiny.yaml",
        [
            "data.inputs=[u10]",
            "data.factors={4: 1}",
            "data.sources.0.variables=[]",
            "data.sources.0.signed=false",
            f"data.sources.0.{keys}",
            f"data.sources.0.{coarse}",
        ],
    )
    source = recipe.data.sources[0]
    assert source.storage["secret"] == source.coarse.storage["token"] == "SECRET123"
    for text in (recipe.model_dump_json(), str(recipe.model_dump()), repr(recipe)):
        assert "path" in text
        assert "SECRET123" not in text


def test_a_source_is_either_files_or_flows():
    with pytest.raises(ValueError, match="either path or turbulence"):
        Reading(path="a.nc", turbulence=Turbulence())
    with pytest.raises(ValueError, match="either path or turbulence"):
        Reading()
