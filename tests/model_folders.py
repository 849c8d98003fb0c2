"""Model folders that must not load, for tests."""

import json
from hashlib import sha256

import pytest

from flexclim.errors import ModelError
from flexclim.models.model import load_model
from flexclim.models.model_file import digest


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
