"""Settings of network and diffusion: one place for defaults, hashes that do not follow them."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from flexclim.models.settings import UNHASHED
from flexclim.nn.configuration import Architecture, DiffusionSettings, NetworkSettings
from flexclim.nn.diffusion import Diffusion
from flexclim.train.recipes.recipe import Process, Recipe


def test_recipes_and_models_share_their_defaults():
    assert Recipe.model_fields["network"].default == Architecture()
    network = NetworkSettings().model_dump()
    assert Architecture().model_dump().items() <= network.items()
    assert DiffusionSettings().model_dump().items() <= Process().model_dump().items()
    assert Diffusion().model_dump() == DiffusionSettings().model_dump()


def test_a_recipe_takes_lists_but_a_model_file_is_exact():
    assert Architecture(tile=[32, 64]).tile == (32, 64)
    with pytest.raises(ValidationError, match="tile"):
        NetworkSettings(tile=[32, 64])
    with pytest.raises(ValidationError, match="shift"):
        DiffusionSettings(shift="2")
    assert Process(shift="2").shift == 2.0


def test_the_hash_of_a_model_does_not_follow_defaults(toy_model):
    """By hand: what a hash counted of the network before its defaults were those of recipes."""
    counted = toy_model.settings.hashed()["network"]
    assert counted == {
        "tile": [32, 32],
        "model_channels": [32, 32],
        "res_blocks": [1, 1],
        "depth": 3,
        "num_heads": 2,
        "unshuffle": 4,
    }
    assert set(UNHASHED) <= set(NetworkSettings.model_fields)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ((16, 32), "same proportions"),
        ((128, 128), "not smaller"),
        ((24, 24), "not divisible by 16"),
    ],
)
def test_smaller_tiles_must_fit(other, message):
    with pytest.raises(ValidationError, match=message):
        Architecture(tile=(64, 64), other_tiles=(other,))
    assert Architecture(tile=(64, 64), other_tiles=((32, 32),)).tiles == ((64, 64), (32, 32))


def test_settings_need_no_torch():
    code = "import sys, flexclim.models.settings; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize(("stride", "unshuffle"), [(4, 1), (16, 4)])
def test_the_bottleneck_follows_from_levels_and_folding(stride, unshuffle):
    sizes = Architecture(
        tile=(64, 32),
        model_channels=(32, 32),
        res_blocks=(1, 1),
        unshuffle=unshuffle,
    )
    assert sizes.stride == stride
    assert sizes.bottleneck == (64 // stride, 32 // stride)
