"""model.json: read only if it is whole and unchanged."""

import pytest
from model_folders import refuse

from flexclim.errors import ModelError
from flexclim.models.model import read_model


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


def test_an_edited_card_is_noticed(folder):
    path = folder / "model.json"
    path.write_text(path.read_text().replace("a toy", "a toi"))
    refuse(folder, "its card differ")
    with pytest.raises(ModelError):
        read_model(folder)
