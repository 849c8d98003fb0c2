"""Finding models by name and by path."""

import pytest
from model_folders import refuse

import flexclim
from flexclim.models import catalogue
from flexclim.models.catalogue import list_models
from flexclim.models.model import load_model


@pytest.fixture
def bundle(monkeypatch, tmp_path, model):
    monkeypatch.setattr(catalogue, "BUNDLED", tmp_path / "models")
    return model.save(tmp_path / "models" / "flex-toy")


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


@pytest.mark.parametrize("path", ["", "nope", "a" * 5000, "\0", "../../etc/passwd", "/dev/null"])
def test_what_is_no_model_is_refused(path):
    refuse(path)
