"""Model folders: what goes in comes out, and nothing else gets in."""

import contextlib
import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import dask.base
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import flexclim
from flexclim.errors import ModelError
from flexclim.models import catalogue
from flexclim.models import model as model_module
from flexclim.models.card import ModelCard
from flexclim.models.catalogue import list_models
from flexclim.models.model import keep_loaded, load_model, new_model, read_model
from flexclim.models.model_file import digest
from flexclim.models.settings import Static, Target, Variable


@pytest.fixture
def model(toy_model):
    """A model in memory that a test may save."""
    return toy_model.replace(card={"description": "a toy", "notes": "première"})


@pytest.fixture
def folder(model, tmp_path):
    return model.save(tmp_path / "toy")


@pytest.fixture
def other_process(monkeypatch):
    """Forget the models that this process has loaded."""
    monkeypatch.setattr(model_module, "_LOADED", {})


@pytest.fixture
def bundle(monkeypatch, tmp_path, model):
    monkeypatch.setattr(catalogue, "BUNDLED", tmp_path / "models")
    return model.save(tmp_path / "models" / "flex-toy")


def refuse(path, match=None):
    """Loading must fail with one line."""
    with pytest.raises(ModelError, match=match) as error:
        load_model(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def forge(folder, **settings):
    """Make model.json fit the weights file and changed settings, hashes and all."""
    values = json.loads((folder / "model.json").read_text())
    values["settings"] |= settings
    values["sha256"]["settings"] = digest(values["settings"])
    weights = sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    values["sha256"]["weights"] = weights
    (folder / "model.json").write_text(json.dumps(values))


def test_what_is_saved_is_loaded(model, folder):
    found = load_model(folder)
    assert found.sha256 == model.sha256
    assert found.settings == model.settings
    assert found.card == model.card
    assert found.name == "toy"
    assert found.folder == folder
    assert not found.network.training
    for name, weight in found.network.state_dict().items():
        assert weight.dtype == torch.float32
        assert not weight.requires_grad
        assert torch.equal(weight, model.network.state_dict()[name])
    assert sorted(os.listdir(folder)) == ["model.json", "weights.safetensors"]
    assert os.listdir(folder.parent) == ["toy"]


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


def test_a_model_is_found_by_folder_and_by_file(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    expected = load_model(folder).sha256
    for path in (str(folder), folder / "model.json", folder / "weights.safetensors", "toy"):
        assert load_model(path).sha256 == expected


def test_bundled_models_are_found_by_name(bundle, model, tmp_path, monkeypatch):
    assert list_models() == {"flex-toy": model.card}
    found = flexclim.load_model("flex-toy")
    assert found.sha256 == model.sha256
    assert found.reference.path == "flex-toy"
    refuse("flex-toi", "did you mean 'flex-toy'.*Bundled: flex-toy")
    # A folder of the same name in the working directory does not get in between.
    (tmp_path / "flex-toy").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_model("flex-toy").folder == bundle


def test_the_hash_is_of_what_is_computed(model):
    again = model.replace()
    assert again.sha256 == model.sha256
    assert model.replace(card={"notes": "other"}).sha256 == model.sha256
    assert model.replace(noise_scale=1.1).sha256 != model.sha256
    state = {name: weight.clone() for name, weight in model.network.state_dict().items()}
    network = type(model.network)(model.network.config)
    network.load_state_dict(state)
    assert new_model(network, model.settings, model.card).sha256 == model.sha256
    network.decoder.norm.bias.data[3] += 1e-3
    assert new_model(network, model.settings, model.card).sha256 != model.sha256


def test_folders_of_before_forecasts_had_a_scale(make_forecaster, tmp_path):
    """The setting is not in them: they load, compute the same and so have the same hash."""
    model = make_forecaster((Target(name="t"),)).replace(noise_scale=0.9)
    file = model.save(tmp_path / "toy") / "model.json"
    values = json.loads(file.read_text())
    del values["settings"]["forecast"]["noise_scale"]
    values["sha256"]["settings"] = digest(values["settings"])
    file.write_text(json.dumps(values))
    old = load_model(file)
    assert old.sha256 == model.sha256
    assert old.settings.noise_scale_of("forecast") == 0.9
    own = old.settings.forecast.model_copy(update={"noise_scale": 1.2})
    assert old.replace(forecast=own).sha256 != model.sha256


def test_replace_is_strict(model):
    assert model.replace(noise_scale=0.5).settings.noise_scale == 0.5
    for changes, message in [
        ({"noise": 1.0}, "noise: Extra inputs"),
        ({"noise_scale": float("nan")}, "noise_scale"),
        ({"steps": "2"}, "steps"),
        ({"factors": (3,)}, "residual_scale lacks factor 3"),
        ({"halo": 30}, "halo 30 is more than half"),
        ({"inputs": (Variable(name="u"),)}, "inputs and targets go together"),
        ({"statics": (Static(name="day_of_year"),)}, "1 channels of conditions.superres"),
        ({"residual_scale": {4: (1.0, 1.0)}, "factors": (4,)}, "factor 4 needs 1 numbers"),
        ({"network": model.settings.network}, "can't be changed"),
        ({"card": {"name": "../../toy"}}, "name"),
    ]:
        with pytest.raises(ModelError, match=message):
            model.replace(**changes)


def test_saving_again_changes_the_card_only(model, folder):
    before = (folder / "weights.safetensors").stat()
    model.replace(card={"scores": {"crps": 0.5}}).save(folder)
    assert load_model(folder).card.scores == {"crps": 0.5}
    assert (folder / "weights.safetensors").stat().st_mtime_ns == before.st_mtime_ns


def test_another_model_is_not_overwritten_unasked(model, folder):
    other = model.replace(noise_scale=2.0)
    with pytest.raises(ModelError, match="holds another model"):
        other.save(folder)
    assert load_model(folder).sha256 == model.sha256
    other.save(folder, overwrite=True)
    assert load_model(folder).sha256 == other.sha256
    assert os.listdir(folder.parent) == ["toy"]


def test_foreign_folders_are_never_touched(model, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years")
    (tmp_path / "file").write_text("x")
    for name in ("thesis", "file"):
        with pytest.raises(ModelError, match="Give another folder"):
            model.save(tmp_path / name, overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years"
    assert (tmp_path / "file").read_text() == "x"


def test_a_save_that_fails_leaves_nothing(model, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match="can't be written: No space left"):
        model.save(tmp_path / "toy")
    assert os.listdir(tmp_path) == []


def test_what_a_killed_save_left_is_swept(model, tmp_path):
    (tmp_path / ".toy.partial").mkdir()
    (tmp_path / ".toy.partial" / "weights.safetensors.partial").write_bytes(b"half")
    model.save(tmp_path / "toy")
    assert os.listdir(tmp_path) == ["toy"]


def test_a_graph_holds_a_reference(model, folder, other_process):
    reference = load_model(folder).reference
    assert len(pickle.dumps(reference)) < 400
    assert dask.base.tokenize(reference) == dask.base.tokenize(model.replace().reference)
    assert dask.base.tokenize(reference) != dask.base.tokenize(model.replace(steps=9).reference)


def test_a_reference_registers_nothing(model, other_process):
    reference = model.reference
    assert model_module._LOADED == {}
    with pytest.raises(ModelError, match="was not saved"):
        reference.load()


def test_a_process_loads_a_model_once(folder, monkeypatch):
    reference = pickle.loads(pickle.dumps(load_model(folder).reference))
    monkeypatch.setattr(model_module, "_LOADED", {})
    calls = []
    read = model_module.load_model
    monkeypatch.setattr(model_module, "load_model", lambda *a: calls.append(a) or read(*a))
    with ThreadPoolExecutor(8) as pool:
        models = set(pool.map(lambda _: reference.load(), range(16)))
    assert len(models) == len(calls) == 1
    assert pickle.loads(pickle.dumps(models.pop())) is reference.load()


def test_an_unsaved_model_stays_in_its_process(model, monkeypatch, tmp_path):
    reference = keep_loaded(model)
    assert reference.load().sha256 == model.sha256
    monkeypatch.setattr(model_module, "_LOADED", {})
    with pytest.raises(ModelError, match=r"'toy' was not saved.*save it first"):
        reference.load()
    model.save(tmp_path / "toy")
    reference = model.reference
    monkeypatch.setattr(model_module, "_LOADED", {})
    assert reference.load().sha256 == model.sha256


def test_a_reference_notices_another_model(model, folder, monkeypatch):
    reference = load_model(folder).reference
    model.replace(steps=7).save(folder, overwrite=True)
    monkeypatch.setattr(model_module, "_LOADED", {})
    with pytest.raises(ModelError, match="holds another model"):
        reference.load()


def test_cards_need_no_torch(folder):
    code = (
        "import sys; from flexclim import list_models; list_models();"
        "from flexclim.models.model import read_model;"
        f"print(read_model({str(folder)!r}).card.name, 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["toy", "False"]


def test_a_card_reads_well():
    card = ModelCard(name="flex", factors=(2, 4), spacing_km=(1.0, 111.19), seconds=90.0)
    assert "spacing      1 to 111.2 km" in str(card)
    assert "factors      2, 4" in str(card)
    assert "period" not in str(card)


@pytest.mark.parametrize("path", ["", "nope", "a" * 5000, "\0", "../../etc/passwd", "/dev/null"])
def test_what_is_no_model_is_refused(path):
    refuse(path)


def test_devices_that_are_not_there_are_named(folder):
    with pytest.raises(ModelError, match="device 'tpu9' can't be used"):
        load_model(folder, device="tpu9")


@pytest.mark.parametrize("file", ["model.json", "weights.safetensors"])
def test_every_flipped_bit_is_found(folder, file):
    content = (folder / file).read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(len(content), size=60):
        damaged = bytearray(content)
        damaged[place] ^= 1 << random.integers(8)
        (folder / file).write_bytes(damaged)
        refuse(folder)


@pytest.mark.parametrize("file", ["model.json", "weights.safetensors"])
def test_every_cut_is_found(folder, file):
    content = (folder / file).read_bytes()
    for size in (0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 2):
        (folder / file).write_bytes(content[:size])
        refuse(folder)
    (folder / file).unlink()
    refuse(folder)
    (folder / file).mkdir()
    refuse(folder)


def test_damage_that_hashes_agree_with_is_no_crash(folder):
    """A forger knows SHA-256 too: no other error than ours, and never a NaN weight."""
    content = (folder / "weights.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    random = np.random.default_rng(1)
    for trial in range(16):
        damaged = bytearray(content)
        damaged[random.integers(start if trial % 4 else len(content))] ^= 1 << random.integers(8)
        (folder / "weights.safetensors").write_bytes(damaged)
        forge(folder)
        with contextlib.suppress(ModelError):
            weights = load_model(folder).network.parameters()
            assert all(torch.isfinite(weight).all() for weight in weights)


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
    refuse(folder, "does not divide")


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"{" * 100,
        b"[]",
        b"null",
        b'{"format": 2}',
        b"\xff\xfe",
        b'{"a": 1' + b" " * (5 * 2**20) + b"}",
        b"1" * 10_000,
    ],
)
def test_a_model_json_that_is_none_is_refused(folder, content):
    (folder / "model.json").write_bytes(content)
    refuse(folder)


def test_a_pipe_does_not_hang(folder):
    for file in ("model.json", "weights.safetensors"):
        content = (folder / file).read_bytes()
        (folder / file).unlink()
        os.mkfifo(folder / file)
        refuse(folder)
        (folder / file).unlink()
        (folder / file).write_bytes(content)


def test_an_edited_card_is_noticed(folder):
    path = folder / "model.json"
    path.write_text(path.read_text().replace("a toy", "a toi"))
    refuse(folder, "its card differ")
    with pytest.raises(ModelError):
        read_model(folder)


def test_settings_of_another_network_are_refused(model):
    network = model.settings.network.model_copy(update={"depth": 5})
    settings = model.settings.model_copy(update={"network": network})
    with pytest.raises(ModelError, match="lacks"):
        new_model(model.network, settings, model.card)
