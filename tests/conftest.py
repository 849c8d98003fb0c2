import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real data, or skip; docs/data.md says where its files come from."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FLEXCLIM_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set FLEXCLIM_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def toy_sizes():
    """Return what makes the sizes of a small network that makes and reads so many channels."""
    from flexclim.settings import NetworkSettings

    def sizes(channels=1, read=1):
        return NetworkSettings(
            tile=(32, 32),
            channels=channels,
            conditions={"superres": read},
            model_channels=(32, 32),
            res_blocks=(1, 1),
            depth=3,
            num_heads=2,
            unshuffle=4,  # four times as fast
        )

    return sizes


@pytest.fixture(scope="session")
def make_toy(toy_sizes):
    """Return what makes small networks with random weights: right in shape, not in skill."""
    import torch

    from flexclim.card import ModelCard
    from flexclim.checkpoint import new_model
    from flexclim.nn.flex import Flex
    from flexclim.settings import ModelSettings

    def make(channels=1, read=1, card=None, **settings):
        sizes = toy_sizes(channels, read)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = Flex(sizes.config())
            for weights in network.parameters():
                if weights.ndim > 1 and not weights.any():
                    torch.nn.init.normal_(weights, std=0.02)
        usual = {
            "method": "euler",
            "steps": 2,
            "residual_scale": {f: (s,) * channels for f, s in {2: 0.7, 4: 0.9, 8: 1.0}.items()},
            "halo": 8,
            "factors": (2, 4, 8),
        }
        card = ModelCard(name="toy", **(card or {}))
        return new_model(network, ModelSettings(network=sizes, **(usual | settings)), card)

    return make


@pytest.fixture(scope="session")
def toy_model(make_toy):
    """Return a model of any one variable."""
    return make_toy()
