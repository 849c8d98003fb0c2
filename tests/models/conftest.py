import io

import pytest
import torch
from minflex_checkpoints import checkpoint


@pytest.fixture
def model(toy_model):
    """A model in memory that a test may save."""
    return toy_model.replace(card={"description": "a toy", "notes": "première"})


@pytest.fixture
def folder(model, tmp_path):
    return model.save(tmp_path / "toy")


@pytest.fixture(scope="module")
def content():
    return checkpoint()


@pytest.fixture(scope="module")
def intact(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.fixture
def path(tmp_path, intact):
    (tmp_path / "epoch_7.pt").write_bytes(intact)
    return tmp_path / "epoch_7.pt"
