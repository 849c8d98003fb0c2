import pytest
import torch

from flexclim.nn.configuration import NetworkSettings
from flexclim.nn.flex import Flex


@pytest.fixture
def network(one_level):
    """Return a small network whose output is not zero."""
    torch.manual_seed(0)
    config = NetworkSettings(tile=(16, 16), **one_level)
    network = Flex(config)
    for weights in network.parameters():
        if weights.ndim > 1 and not weights.any():
            torch.nn.init.normal_(weights, std=0.05)
    return network


@pytest.fixture
def known():
    """Return (2, 2, 16, 16): which residuals are known; of one target in one patch none."""
    known = torch.rand(2, 2, 16, 16) > 0.3
    known[1, 0] = False
    return known
