"""Weights files: half precision, and files that do not hold the network's weights."""

import json
import pickle

import pytest
import torch
from model_folders import forge, refuse
from safetensors.torch import load_file, save_file
from small_networks import inputs, make, predict

from flexclim.models.model import load_model, new_model
from flexclim.nn.weights_file import compute_in


@pytest.fixture
def model(toy_model):
    """A model in memory that a test may save."""
    return toy_model.replace(card={"description": "a toy", "notes": "première"})


@pytest.fixture
def folder(model, tmp_path):
    return model.save(tmp_path / "toy")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_chosen_once(toy_model, tmp_path, precision):
    card = toy_model.card
    half = new_model(toy_model.network, toy_model.settings, card, precision)
    found = load_model(half.save(tmp_path / "half"))
    for name, weight in found.network.state_dict().items():
        assert torch.equal(weight, half.network.state_dict()[name])
        exact = toy_model.network.state_dict()[name]
        torch.testing.assert_close(weight, exact, rtol=2**-8, atol=1e-6)
        assert weight.squeeze().ndim > 1 or torch.equal(weight, exact)
    whole = toy_model.replace().save(tmp_path / "whole")
    sizes = [(path / "weights.safetensors").stat().st_size for path in (tmp_path / "half", whole)]
    assert sizes[0] < 0.55 * sizes[1]
    assert half.sha256 != toy_model.sha256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w | {"decoder.norm.bias": torch.full((32,), torch.nan)}, "NaN or infinite"),
        (lambda w: w | {"decoder.norm.bias": torch.zeros(33)}, "decoder.norm.bias has shape"),
        (lambda w: w | {"decoder.norm.bias": torch.zeros(32).double()}, "weights of type F64"),
        (lambda w: w | {"evil": torch.zeros(1)}, "holds 'evil'"),
        (lambda w: {n: v for n, v in w.items() if n != "decoder.norm.bias"}, "lacks decoder.norm"),
        (lambda w: {}, "lacks"),
    ],
)
def test_weights_of_another_network_are_refused(folder, change, message):
    path = folder / "weights.safetensors"
    save_file(change(load_file(path)), path)
    forge(folder)
    refuse(folder, message)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8 + b"{}",
        (2**62).to_bytes(8, "little"),
        pickle.dumps({"a": 1}),
        b"PK\x05\x06" + bytes(18),
        (2).to_bytes(8, "little") + b"{}" + bytes(1000),
    ],
)
def test_files_that_hold_no_weights_are_refused(folder, content):
    (folder / "weights.safetensors").write_bytes(content)
    forge(folder)
    refuse(folder)


def test_a_size_beyond_reason_takes_no_memory(folder):
    network = json.loads((folder / "model.json").read_text())["settings"]["network"]
    forge(folder, network=network | {"model_channels": [8192, 8192], "depth": 9})
    refuse(folder, "has shape|lacks")
    forge(folder, network=network | {"model_channels": [32 * 10**9, 32]})
    refuse(folder, "model_channels")
    forge(folder, network=network | {"tile": [34, 32]})
    refuse(folder, "not divisible")


def test_bfloat16_is_near():
    network = make(use_transf=True)
    values = inputs(network)
    found = predict(network, *values)
    frequencies = network.encoder.MPFourier.freqs.clone()
    rough = predict(compute_in(network, "bf16"), *values)
    assert rough.dtype == torch.bfloat16
    assert torch.equal(network.encoder.MPFourier.freqs, frequencies)
    assert 0 < (rough - found).abs().max() < 0.1 * found.std()
