import pytest

from flexclim.errors import FlexclimError
from flexclim.train import load_recipe
from flexclim.train.data.model_settings import check_network
from flexclim.train.data.training_data import open_training_data


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.depth=0", "network.depth = 0 .*: Input should be greater than"),
        ("network.model_channels=[16, 32]", "network.model_channels.0 = 16 "),
        ("network.tile=[30, 30]", "is not divisible by"),
        ("data.factors={3: 1}", r"tile = \[32, 32\] is not a multiple of data.factors 3; set "
         r"network.tile to \[24, 24\]"),
        ("data.factors={2: 1, 12: 1}", r"to \[24, 24\]"),
    ],
)  # fmt: skip
def test_invalid_sizes_are_an_error_before_data_are_read(folder, override, message):
    with pytest.raises(FlexclimError, match=message) as caught:
        open_training_data(load_recipe(folder / "tiny.yaml", [override, "data.folder=/nowhere"]))
    assert "\n" not in str(caught.value)


def test_the_suggested_tile_fits(folder):
    check_network(
        load_recipe(folder / "tiny.yaml", ["data.factors={3: 1}", "network.tile=[24, 24]"])
    )
