"""The file ``model.json`` of a model folder: settings, card and hashes; all but the weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidationError

from flexclim.errors import ModelError
from flexclim.models.card import ModelCard
from flexclim.models.settings import ModelSettings
from flexclim.models.strict_settings import StrictSettings, first_problem

MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
LARGEST_FILE = 4 * 2**20  # bytes of model.json

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Digests(StrictSettings):
    """SHA-256 of the weights file, and of the settings and the card as canonical JSON."""

    weights: Sha256
    settings: Sha256
    card: Sha256


class ModelFile(StrictSettings):
    """The content of ``model.json``."""

    format: Literal[1] = 1
    settings: ModelSettings
    card: ModelCard
    sha256: Digests


def digest(values: JsonValue) -> str:
    """Return the SHA-256 of values as canonical JSON.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_model_file(path: Path) -> ModelFile:
    """Read ``model.json`` and compare its settings and card with their hashes.

    Raises
    ------
    ModelError
        If the file can't be read, does not describe a model, or was changed since it was written.
    """
    content = _read(path)
    try:
        # Hash what the file holds, since a later version may add defaults when it parses it.
        values = json.loads(content)
        found = ModelFile.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(f"{path} does not describe a model: {_problem(error)}") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{path} is not JSON; it is damaged or not a model.json.") from None
    for part in ("settings", "card"):
        if digest(values[part]) != getattr(found.sha256, part):
            raise ModelError(
                f"{path} is damaged or was edited: its {part} differ from their sha256. "
                "Download or copy the model again; to change one, use Model.replace."
            )
    return found


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ModelError(f"{path} is not a file; a model folder holds {MODEL_FILE}.")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}.") from None
    if len(content) > LARGEST_FILE:
        raise ModelError(
            f"{path} is larger than {LARGEST_FILE >> 20} MB; it is not a {MODEL_FILE}."
        )
    return content


def _problem(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["loc"] == ("format",):
        return f"its format is {str(first['input'])[:20]}; this version of flexclim reads 1."
    return first_problem(error)
