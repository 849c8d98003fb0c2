"""Weights files: half precision, and files that do not hold the network's weights."""

import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from model_folders import forge, refuse
from safetensors.torch import load_file, save_file
from small_networks import inputs, make, predict

from flexclim.errors import ModelError
from flexclim.models.model import load_model, new_model
from flexclim.nn import weights_file
from flexclim.nn.weights_file import compute_in, to_float, to_int8


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


@given(arrays(np.float32, (3, 2, 4), elements=st.floats(-(2.0**60), 2.0**60, width=32)))
def test_int8_is_within_half_a_step_and_rounds_once(values):
    integers, scale = to_int8(torch.from_numpy(values))
    found = to_float({"w": integers, "w.scale": scale})["w"]
    peak = np.abs(values).max((1, 2), keepdims=True)
    step = np.maximum(peak.astype(float) / 127 * (1 + 2**-15), np.finfo(np.float32).tiny)
    assert (np.abs(found.numpy() - values.astype(float)) <= step * (0.5 + 1e-5)).all()
    again = to_int8(found)
    assert torch.equal(again[0], integers)
    assert torch.equal(again[1], scale)


def test_int8_is_worked_by_hand():
    """127 steps of 0.5 for the first channel, of 2 for the second, and a channel of zeros."""
    values = torch.tensor([[63.5, -0.5, 0.2, 0.3], [-254.0, 1.1, 0.9, 3.2], [0.0] * 4])
    integers, scale = to_int8(values)
    assert integers.tolist() == [[127, -1, 0, 1], [-127, 1, 0, 2], [0] * 4]
    assert scale[:2].tolist() == [0.5, 2.0]
    found = to_float({"w": integers, "w.scale": scale})["w"]
    assert found.tolist() == [[63.5, -0.5, 0.0, 0.5], [-254.0, 2.0, 0.0, 4.0], [0.0] * 4]


def test_int8_is_read_as_it_was_rounded(toy_model, tmp_path, monkeypatch):
    """Large matrices and kernels; small ones are bf16, vectors float32."""
    monkeypatch.setattr(weights_file, "SMALL", 8000)
    exact = toy_model.network.state_dict()
    folder = toy_model.replace().save(tmp_path / "small", precision="int8")
    found = load_model(folder)
    file = load_file(folder / "weights.safetensors")
    for name, weight in found.network.state_dict().items():
        if weight.numel() > 8000:
            assert file[name].dtype == torch.int8
            step = exact[name].flatten(1).abs().amax(1) / 127
            off = (weight - exact[name]).flatten(1).abs().amax(1)
            assert (off <= 0.501 * step).all()
            assert off.any()
        elif weight.squeeze().ndim > 1:
            assert torch.equal(weight, exact[name].bfloat16().float())
        else:
            assert torch.equal(weight, exact[name])
    content = sum(part.numel() * part.element_size() for part in file.values())
    assert content < 1.3 * sum(part.numel() for part in exact.values())
    again = found.save(tmp_path / "again", precision="int8")
    assert load_model(again).sha256 == found.sha256
    assert found.sha256 != toy_model.sha256


def test_scales_of_another_kind_are_refused(toy_model, tmp_path, monkeypatch):
    monkeypatch.setattr(weights_file, "SMALL", 0)
    folder = toy_model.replace().save(tmp_path / "toy", precision="int8")
    path = folder / "weights.safetensors"
    file, name = load_file(path), "decoder.tr_blocks.0.attn.proj.weight"
    scale = file[name + ".scale"]
    for change, message in (
        ({name + ".scale": scale[1:]}, "has shape"),
        ({name + ".scale": scale * torch.nan}, "NaN or infinite"),
        ({name: file[name].float()}, f"holds '{name}.scale'"),
    ):
        save_file(file | change, path)
        forge(folder)
        refuse(folder, message)
    save_file({key: part for key, part in file.items() if key != name + ".scale"}, path)
    forge(folder)
    refuse(folder, f"lacks {name}.scale")


def test_precisions_that_are_not_there_are_named(toy_model, tmp_path):
    with pytest.raises(ModelError, match="'int4' is not one of float32, bf16, fp16, int8"):
        toy_model.save(tmp_path / "toy", precision="int4")


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
