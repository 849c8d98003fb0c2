"""Importing checkpoints of minFLEX: faithful with theirs, firm with all else."""

import numpy as np
import pytest
import torch
from minflex_checkpoints import SMALL, checkpoint, refuse, save

from flexclim.errors import ModelError
from flexclim.models.minflex import HEADS, PARTS, import_minflex
from flexclim.models.model import load_model
from flexclim.nn.configuration import NetworkSettings


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_transf": True, "label_size": 3},
        {"channels": 2, "conditions": {"superres": 4}, "mlp_ratio": 4.0},
        {"tile": (8, 8), "model_channels": (32,), "res_blocks": (2,), "depth": 1},
        {"tile": (16, 16), "model_channels": (32, 32, 64), "res_blocks": (1, 1, 0), "depth": 5},
    ],
)
def test_sizes_and_weights_are_read(tmp_path, changes):
    content = checkpoint(**changes)
    model = import_minflex(save(tmp_path / "a.pt", content), num_heads=2, weights="raw")
    expected = NetworkSettings(**(SMALL | {"num_heads": 2, "dropout": 0.1} | changes))
    assert model.network.config == expected
    found = model.network.state_dict()
    for part, prefix in PARTS.items():
        for name, weight in content[part].items():
            assert torch.equal(found[f"{prefix}.{name}"], weight)


def test_averaged_weights_are_the_default_and_buffers_are_not_averaged(path, content):
    found = import_minflex(path, num_heads=2).network.state_dict()
    for part, prefix in PARTS.items():
        for name, weight in content[part].items():
            share = 1 if "MPFourier" in name else 0.5
            assert torch.equal(found[f"{prefix}.{name}"], weight * share)


def test_settings_are_those_of_minflex(path):
    model = import_minflex(path, factor=8, prediction="eps", num_heads=2)
    settings = model.settings
    assert (settings.operator, settings.scaling, settings.label) == ("minflex", "fixed", "none")
    assert (settings.factors, settings.residual_scale) == ((8,), {8: (1.0,)})
    assert (settings.diffusion.prediction, settings.diffusion.loss) == ("eps", "absolute")
    assert (settings.method, settings.conserve) == ("ddim", False)
    assert model.name == "epoch_7"
    assert "epoch 7" in model.card.notes


def test_what_is_imported_can_be_saved(path, tmp_path):
    model = import_minflex(path, num_heads=2)
    found = load_model(model.save(tmp_path / "model"))
    assert found.sha256 == model.sha256
    for name, weight in found.network.state_dict().items():
        assert torch.equal(weight, model.network.state_dict()[name])


def test_heads_of_published_sizes_are_known(path):
    assert HEADS == {256: 4, 512: 8, 1152: 16}
    refuse(path, "no published network has a width of 32: give num_heads", num_heads=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 3}, "not divisible by 3"),
        ({"factor": 1}, "factor"),
        ({"factor": 2.5}, "factor"),
        ({"prediction": "y"}, "prediction"),
        ({"weights": "best"}, "weights='best'"),
    ],
)
def test_wrong_arguments_are_named(path, options, message):
    refuse(path, message, **options)


def test_every_cut_is_found(path, intact):
    for size in np.linspace(0, len(intact) - 1, 30).astype(int):
        path.write_bytes(intact[:size])
        refuse(path)


@pytest.mark.slow
def test_a_flipped_bit_is_found_or_harmless(path, intact):
    expected = import_minflex(path, num_heads=2).sha256
    random = np.random.default_rng(0)
    # Half of the flips go where the archive keeps its names and the pickle.
    places = [*random.integers(len(intact), size=30), *random.integers(2**14, size=15)]
    places += [len(intact) - 1 - place for place in random.integers(2**14, size=15)]
    found = 0
    for place in places:
        damaged = bytearray(intact)
        damaged[place] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            assert import_minflex(path, num_heads=2).sha256 == expected
        except ModelError:
            found += 1
    assert found > len(places) / 2


def replaced(content, part, name, values):
    return content | {part: dict(content[part]) | {name: values}}


@pytest.mark.parametrize(
    ("part", "name", "values", "message"),
    [
        ("encoder", "pos_embed", torch.zeros(1, 9, 32), "tile that is not square"),
        ("encoder", "pos_embed", torch.zeros(17, 32), "other names or shapes"),
        ("encoder", "pos_embed", torch.zeros(1).expand(1, 1 + 10**12, 32), "larger than"),
        ("encoder", "cond_embed.0.weight", torch.zeros(64, 2), "has shape"),
        ("encoder", "cond_embed.0.weight", torch.zeros(64, 10**6), "label_size"),
        ("encoder", "evil", torch.zeros(1), "holds 'encoder.evil'"),
        ("encoder", "MPFourier.freqs", torch.zeros(32, dtype=torch.int64), "not a tensor of num"),
        ("encoder", "MPFourier.freqs", torch.eye(32).to_sparse(), "not a tensor of numbers"),
        ("encoder", "MPFourier.freqs", "text", "not a tensor of numbers"),
        ("decoder", "norm.bias", torch.full((32,), torch.nan), "NaN or infinite"),
        ("decoder", "norm.bias", torch.full((32,), 1e300, dtype=torch.float64), "NaN or infinite"),
        ("decoder", "output_blocks.99.1.x", torch.zeros(1), "other names or shapes"),
        ("superres_encoder", "pos_embed", torch.zeros(1), "lacks tasks.superres"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, content, part, name, values, message):
    changed = replaced(content, part, name, values)
    refuse(save(tmp_path / "a.pt", changed), message, weights="raw")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": None}, "lacks 'encoder'"),
        ({"decoder": {}}, "248 averaged weights for 139"),
        ({"decoder": {3: torch.zeros(1)}}, "lacks 'decoder'"),
        ({"ema": None}, "no averaged weights.*weights='raw'"),
        ({"ema": {"shadow_params": []}}, "0 averaged weights for"),
        ({"ema": {"shadow_params": "x"}}, "no averaged weights"),
    ],
)
def test_parts_that_are_missing_are_named(tmp_path, content, change, message):
    refuse(save(tmp_path / "a.pt", content | change), message)


def test_averages_of_other_shapes_are_refused(tmp_path, content):
    shadow = content["ema"]["shadow_params"][::-1]
    changed = content | {"ema": {"shadow_params": shadow}}
    refuse(save(tmp_path / "a.pt", changed))


def test_channels_without_names_are_numbered(tmp_path):
    content = checkpoint(channels=2, conditions={"superres": 3})
    model = import_minflex(save(tmp_path / "a.pt", content), num_heads=2, weights="raw")
    assert [v.name for v in model.settings.inputs] == ["channel_0", "channel_1", "channel_2"]
    assert [(t.name, t.base) for t in model.settings.targets] == [
        ("channel_0", "channel_0"),
        ("channel_1", "channel_1"),
    ]
