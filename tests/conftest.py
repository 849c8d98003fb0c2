import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests import helper modules, such as coarse_fields


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real data (docs/reference/data.md), or skip."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FLEXCLIM_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set FLEXCLIM_DATA to its folder")
    return folder


@pytest.fixture(params=["folder", "zarr2", "icechunk"])
def make_kept(request, tmp_path, monkeypatch):
    """Return what makes new stores of one kind."""
    from kept_stores import Kept, new_store

    if request.param == "icechunk":
        pytest.importorskip("icechunk")
    zarr_format = 2 if request.param == "zarr2" else 3
    monkeypatch.setattr("flexclim.stores.store.NEW_FORMAT", zarr_format)
    return lambda name="a.zarr": Kept(new_store(request.param, tmp_path / name), zarr_format)


@pytest.fixture
def kept(make_kept):
    """Return a new store, in a folder of either format or in an icechunk repository."""
    return make_kept()


@pytest.fixture
def close_figures():
    """Start and end without a figure of pyplot."""
    from matplotlib import pyplot

    pyplot.close("all")
    yield
    pyplot.close("all")


@pytest.fixture(scope="session")
def toy_sizes():
    """Return what makes the sizes of a small network that makes and reads so many channels."""
    from flexclim.nn.configuration import NetworkSettings

    def sizes(channels=1, read=1, **changed):
        usual = {
            "tile": (32, 32),
            "channels": channels,
            "conditions": {"superres": read},
            "model_channels": (32, 32),
            "res_blocks": (1, 1),
            "depth": 3,
            "num_heads": 2,
            "unshuffle": 4,  # four times as fast
        }
        return NetworkSettings(**(usual | changed))

    return sizes


@pytest.fixture(scope="session")
def make_toy(toy_sizes):
    """Return what makes small networks with random weights: right in shape, not in skill."""
    import torch

    from flexclim.models.card import ModelCard
    from flexclim.models.model import keep_loaded, new_model
    from flexclim.models.settings import ModelSettings
    from flexclim.nn.flex import Flex

    def make(channels=1, read=1, card=None, network=None, **settings):
        sizes = toy_sizes(channels, read, **(network or {}))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = Flex(sizes)
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
        model = new_model(network, ModelSettings(network=sizes, **(usual | settings)), card)
        keep_loaded(model)  # for plans that tests make by hand
        return model

    return make


@pytest.fixture(scope="session")
def toy_model(make_toy):
    """Return a model of any one variable."""
    return make_toy()


@pytest.fixture(scope="session")
def make_forecaster(make_toy):
    """Return what makes toys that forecast some variables, and by ``read`` downscale them too."""
    from flexclim.models.channels import Label, Target, Variable
    from flexclim.models.settings import Forecasting

    def make(targets, past=2, leads=(6.0, 12.0), read=0, card=None, **settings):
        statics = sum(static.channels for static in settings.get("statics", ()))
        label = settings.get("label", (Label(name="lead"),))
        conditions = {"forecast": past * len(targets) + statics}
        if read:
            conditions["superres"] = read
        inputs = tuple(
            Variable(**target.model_dump(exclude={"base", "non_negative"})) for target in targets
        )
        if read:
            targets = tuple(Target(**(dict(one) | {"base": one.name})) for one in targets)
        usual = {
            "inputs": inputs,
            "targets": targets,
            "scaling": "fixed",
            "halo": 4,
            "label": label,
            "factors": (2,) if read else (),
            "residual_scale": {2: (0.5,) * len(targets)} if read else {},
            "forecast": Forecasting(
                past=past,
                leads=leads,
                residual_scale=tuple((0.3 + 0.1 * n,) * len(targets) for n in range(len(leads))),
            ),
        }
        network = {
            "tile": (16, 16),
            "unshuffle": 2,
            "conditions": conditions,
            "label_size": sum(part.size for part in label),
        }
        return make_toy(len(targets), card=card, network=network, **(usual | settings))

    return make


@pytest.fixture
def single_planes(monkeypatch):
    """Have tasks take one plane each, of small fields too."""
    monkeypatch.setattr("flexclim.planning.task_sizes.PASSES", 0)


@pytest.fixture
def sampled(monkeypatch):
    """Return the (time, members) of each plane that tasks sample, as they come."""
    from flexclim.sampling import planes as ensemble

    calls, sample = [], ensemble.sample

    def noted(prepared, plan, place, members):
        calls.extend((one.time[5:13], members) for one in place)
        return sample(prepared, plan, place, members)

    for module in ("downscaling_graph", "forecast_graph"):
        monkeypatch.setattr(f"flexclim.sampling.{module}.sample", noted)
    return calls
