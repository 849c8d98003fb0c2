import pytest
import torch
from torch import nn
from torch_ema import ExponentialMovingAverage

from flexclim.errors import RecipeError
from flexclim.train.loop.averages import Averages


def test_an_average_by_hand():
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 1.0)
    averages = Averages(layer, 0.5)
    nn.init.constant_(layer.weight, 3.0)
    averages.update()
    # The first update weighs the past by (1 + 1) / (10 + 1).
    assert float(averages.shadow_params[0]) == pytest.approx(3 - 2 * 2 / 11)


def test_a_validation_leaves_no_copy_behind():
    layer = nn.Linear(2, 2)
    averages = Averages(layer, 0.9)
    with averages.average_parameters():
        pass
    assert averages.state_dict()["collected_params"] is None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (nn.Linear(3, 2), "averaged weight is"),
        (nn.Linear(2, 2, bias=False), "are 1 tensors, but the network has 2"),
    ],
)
def test_averages_of_another_network_are_refused(other, message):
    state = Averages(other, 0.9).state_dict()
    with pytest.raises(RecipeError, match=message):
        Averages(nn.Linear(2, 2), 0.9).load_state_dict(state)


def test_averages_stay_float32():
    state = Averages(nn.Linear(2, 2), 0.9).state_dict()
    state["shadow_params"] = [part.bfloat16() for part in state["shadow_params"]]
    with pytest.raises(RecipeError, match="bfloat16"):
        Averages(nn.Linear(2, 2), 0.9).load_state_dict(state)
    with pytest.raises(AssertionError):
        Averages(nn.Linear(2, 2).to(torch.bfloat16), 0.9)


def test_averages_are_those_of_torch_ema():
    layer = nn.Linear(4, 3)
    own, reference = Averages(layer, 0.8), ExponentialMovingAverage(layer.parameters(), decay=0.8)
    for _ in range(30):
        nn.init.normal_(layer.weight)
        own.update()
        reference.update()
    torch.testing.assert_close(own.shadow_params, reference.shadow_params)
    assert own.num_updates == reference.num_updates == 30
