"""Find and list models: bundled with the package, in the registry, or in a folder."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from flexclim.errors import ModelError
from flexclim.grids.arguments import shown
from flexclim.models.card import ModelCard
from flexclim.models.facts import rows_html
from flexclim.models.model_file import MODEL_FILE, WEIGHTS_FILE, read_model_file
from flexclim.models.registry import fetch, is_fetched, read_registry

BUNDLED = Path(__file__).resolve().parent / "bundled"  # one folder per model


class ModelList(dict[str, ModelCard]):
    """Cards by name; its repr gives one line per model."""

    def __repr__(self) -> str:
        return "\n".join(f"{name:16} {card.description}".rstrip() for name, card in self.items())

    def _repr_html_(self) -> str:
        return rows_html("flexclim models", {name: card.description for name, card in self.items()})


def list_models() -> ModelList:
    """List the models that can be loaded by name.

    Returns
    -------
    ModelList
        Cards by name, printed with one line per model. The card of a registered model that has
        not been fetched holds only its description.

    >>> "flex-nano" in list_models()
    True
    """
    listed = ModelList(list_bundled())
    for name, registered in read_registry().models.items():
        listed.setdefault(name, ModelCard(name=name, description=registered.summary))
    return listed


def list_bundled() -> dict[str, ModelCard]:
    """List the models that are part of the package, as cards by name."""
    return {name: read_model_file(BUNDLED / name / MODEL_FILE).card for name in bundled_names()}


def bundled_names() -> list[str]:
    """Return the names of the models that are part of the package, in alphabetical order."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{MODEL_FILE}"))


def portable_path(folder: Path) -> str:
    """Return how another machine finds a model: by name if it can, else by its folder."""
    by_name = folder.parent == BUNDLED or is_fetched(folder)
    return folder.name if by_name else str(folder)


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """Find the folder of a model, and fetch it if only the registry has it.

    Parameters
    ----------
    name_or_path
        Name of a bundled or registered model, a model folder, or a file in one. A bundled model
        takes precedence over a folder of the same name.

    Raises
    ------
    ModelError
        If there is no such model, or it can't be fetched.
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise ModelError(
            f"model={shown(name_or_path)} is neither a name nor a folder. Give one, or leave model "
            "out."
        )
    text, bundled = os.fspath(name_or_path), bundled_names()
    if text in bundled:
        return BUNDLED / text
    path = Path(text)
    if exists(path):
        return _folder_of(path)
    registered = read_registry().models
    if text in registered:
        return fetch(text)
    names = [*bundled, *registered]
    close = difflib.get_close_matches(text, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    raise ModelError(
        f"there is no model {text[:200]!r}{hint} Bundled: {', '.join(names) or 'none'}. "
        "Or give the folder of a model."
    )


def exists(path: Path) -> bool:
    """Return whether a path exists; False also for text that can't be a path."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _folder_of(path: Path) -> Path:
    if path.is_dir():
        if exists(path / MODEL_FILE):
            return path.absolute()
        raise ModelError(f"{path} holds no {MODEL_FILE}; give the folder of a model.")
    if path.name in (MODEL_FILE, WEIGHTS_FILE):
        return path.parent.absolute()
    raise ModelError(
        f"{path} is not part of a model folder ({MODEL_FILE}, {WEIGHTS_FILE}). "
        "Import a checkpoint of minFLEX with flexclim.import_minflex first."
    )
