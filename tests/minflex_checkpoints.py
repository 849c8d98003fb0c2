"""Checkpoints as minFLEX saves them, for tests."""

import pytest
import torch

from flexclim.errors import ModelError
from flexclim.models.minflex import PARTS, import_minflex
from flexclim.nn.configuration import NetworkSettings
from flexclim.nn.flex import Flex

SMALL = {
    "tile": (16, 16),
    "model_channels": (32, 32),
    "res_blocks": (1, 2),
    "depth": 3,
    "unshuffle": 1,
}


def checkpoint(**changes):
    """Return what minFLEX would save of a small network: random weights, averages half of them."""
    network = Flex(NetworkSettings(**(SMALL | {"num_heads": 2} | changes)))
    random = torch.Generator().manual_seed(0)
    parts = dict(
        zip(PARTS, (network.encoder, network.decoder, network.tasks["superres"]), strict=True)
    )
    with torch.no_grad():
        for weight in network.state_dict().values():
            weight.copy_(torch.randn(weight.shape, generator=random) / 8)
    shadow = [weight.detach() / 2 for part in parts.values() for weight in part.parameters()]
    return {name: part.state_dict() for name, part in parts.items()} | {
        "ema": {"decay": 0.999, "num_updates": 3, "shadow_params": shadow},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}},
        "epoch": 7,
    }


def refuse(path, match=None, **options):
    """Importing must fail with one line."""
    with pytest.raises(ModelError, match=match) as error:
        import_minflex(path, **({"num_heads": 2} | options))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def save(path, content):
    torch.save(content, path)
    return path
