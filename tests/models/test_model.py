"""Model folders: what goes in comes out, and nothing else gets in."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask.base
import numpy as np
import pytest
import torch
from model_folders import refuse

from flexclim.errors import ModelError
from flexclim.models import model as model_module
from flexclim.models.model import keep_loaded, load_model, new_model


@pytest.fixture
def other_process(monkeypatch):
    """Forget the models that this process has loaded."""
    monkeypatch.setattr(model_module, "_LOADED", {})


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


def test_saving_again_changes_the_card_only(model, folder):
    before = (folder / "weights.safetensors").stat()
    model.replace(card={"scores": {"crps": 0.5}}).save(folder)
    assert load_model(folder).card.scores == {"crps": 0.5}
    assert (folder / "weights.safetensors").stat().st_mtime_ns == before.st_mtime_ns


def test_a_model_is_saved_in_another_precision(model, folder):
    rounded = folder.with_name("rounded")
    assert model.save(rounded, precision="int8") == rounded
    found = load_model(rounded)
    assert found.card == model.card.model_copy(update={"precision": "int8"})
    assert "weights      int8" in str(found.card)
    assert found.settings == model.settings
    assert found.sha256 != model.sha256
    assert model.folder == folder
    assert load_model(folder).sha256 == model.sha256
    with pytest.raises(ModelError, match="holds another model"):
        model.save(folder, precision="int8")
    model.save(folder, precision="int8", overwrite=True)
    assert load_model(folder).sha256 == found.sha256


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


def test_a_model_is_not_saved_in_a_folder_named_like_a_server(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url in ("s3://bucket/model", Path("s3://bucket/model")):
        with pytest.raises(ModelError, match="is a URL, but models are saved in local folders"):
            model.save(url)
    assert list(tmp_path.iterdir()) == []


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


def test_a_pipe_does_not_hang(folder):
    for file in ("model.json", "weights.safetensors"):
        content = (folder / file).read_bytes()
        (folder / file).unlink()
        os.mkfifo(folder / file)
        refuse(folder)
        (folder / file).unlink()
        (folder / file).write_bytes(content)


def test_settings_of_another_network_are_refused(model):
    network = model.settings.network.model_copy(update={"depth": 5})
    settings = model.settings.model_copy(update={"network": network})
    with pytest.raises(ModelError, match="lacks"):
        new_model(model.network, settings, model.card)
