import pytest


@pytest.fixture
def options(toy_model, tmp_path):
    toy_model.replace().save(tmp_path / "toy")
    return {"factor": 4, "model": str(tmp_path / "toy"), "members": 2, "batch": 2}
