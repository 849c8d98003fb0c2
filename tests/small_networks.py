"""Small networks with random weights, and their inputs, for tests."""

import torch

from flexclim.nn.configuration import NetworkSettings
from flexclim.nn.flex import Flex


def make(seed=0, **changes):
    """Return a small network whose weights are all random."""
    sizes = {"tile": (16, 32), "model_channels": (32, 32), "res_blocks": (1, 1), "depth": 3}
    usual = {"num_heads": 2, "unshuffle": 1}
    network = Flex(NetworkSettings(**(sizes | usual | changes))).eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            scale = 0.3 if name.endswith("bias") else (weight[0].numel() or 1) ** -0.5
            weight.copy_(scale * torch.randn(weight.shape, generator=random))
    return network.requires_grad_(False)


def inputs(network, batch=2, seed=1):
    """Return noisy fields, times, a condition and a label."""
    random = torch.Generator().manual_seed(seed)
    config = network.config
    x = torch.randn((batch, config.channels, *config.tile), generator=random)
    channels = config.conditions["superres"]
    condition = torch.randn((batch, channels, *config.tile), generator=random)
    label = torch.randn((batch, config.label_size), generator=random)
    return x, torch.rand(batch, generator=random), condition, label


def predict(network, x, t, condition, label=None):
    return network(x, t, network.encode("superres", condition, label), label)
