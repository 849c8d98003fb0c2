"""Models too large for the package: fetched when they are first used, with pinned hashes.

The registry is a small JSON file inside the package: one address, and for each model what it is
for, its size and the SHA-256 of its two files. What is fetched lies in a cache, by hash, and is
compared with its hash at each start; nothing else is ever read from the network.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from flexclim import files
from flexclim.errors import ModelError
from flexclim.models.card import explain
from flexclim.models.settings import Part

if TYPE_CHECKING:
    from pooch import Pooch

# Another registry, another address of the same files, another place for what was fetched.
REGISTRY, ADDRESS, CACHE = "FLEXCLIM_REGISTRY", "FLEXCLIM_MODELS_URL", "FLEXCLIM_CACHE"
FILES = "model.json", "weights.safetensors"
TIMEOUT = 30  # seconds without an answer
LARGEST = 2**20  # bytes of a registry

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Entry(Part):
    """One model: what it is for, its size, and the hash of ``model.json`` and of the weights."""

    description: str
    megabytes: float = Field(gt=0)
    model: Sha256
    weights: Sha256

    @property
    def told(self) -> str:
        """One line for a list of models."""
        return f"{self.description} ({self.megabytes:.3g} MB, fetched when first used)"


class Registry(Part):
    """``url`` holds a folder a model."""

    url: str = ""
    models: dict[Name, Entry] = Field(default_factory=dict)


def read_registry() -> Registry:
    """Read the registry in the package, or the one that ``FLEXCLIM_REGISTRY`` names.

    Raises
    ------
    ModelError
        If it can't be read or holds something else.
    """
    path = Path(os.environ.get(REGISTRY) or Path(__file__).parent / "registry.json")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST)
    except OSError as error:
        raise ModelError(f"registry {path} can't be read: {error.strerror}.") from None
    try:
        return Registry.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(f"registry {path} does not do: {explain(error)}") from None


def entry(folder: Path, description: str) -> Entry:
    """Return what a registry says of a saved model.

    Parameters
    ----------
    folder
        As :meth:`flexclim.models.model.Model.save` wrote it.
    description
        One line: what it is for.
    """
    paths = [folder / name for name in FILES]
    size = sum(path.stat().st_size for path in paths) / 1e6
    model, weights = map(files.sha256, paths)
    return Entry(
        description=description, megabytes=float(f"{size:.3g}"), model=model, weights=weights
    )


def cache_folder() -> Path:
    """Return where fetched models lie: ``FLEXCLIM_CACHE``, else the user's cache."""
    if given := os.environ.get(CACHE):
        return Path(given).absolute()
    import pooch

    return Path(pooch.os_cache("flexclim"))


def is_fetched(folder: Path) -> bool:
    """Say whether a model folder was fetched, so that its name is enough elsewhere."""
    return folder.name in read_registry().models and folder.parent.parent == cache_folder()


def fetch(name: str) -> Path:
    """Return the folder of a registered model, fetched where it is not there yet.

    Raises
    ------
    ModelError
        If it can't be fetched, or is not what the registry says.
    """
    import pooch

    registry = read_registry()
    wanted = registry.models[name]
    folder = cache_folder() / wanted.model[:12] / name
    address = os.environ.get(ADDRESS) or registry.url
    if not address and not all((folder / file).is_file() for file in FILES):
        raise ModelError(
            f"model {name!r} was not fetched yet and the registry has no address: set {ADDRESS}, "
            f"or put its files into {folder}."
        )
    hashes = dict(zip(FILES, (wanted.model, wanted.weights), strict=True))
    store = pooch.create(
        path=folder,
        base_url=f"{address.rstrip('/')}/{name}/",
        registry={file: f"sha256:{digest}" for file, digest in hashes.items()},
    )
    for file in FILES:
        _fetch(store, file, name)
    return folder


def _fetch(store: Pooch, file: str, name: str) -> None:
    """Fetch one file; it is there whole, with the right hash, or not at all."""
    import pooch

    try:
        store.fetch(file, downloader=pooch.HTTPDownloader(timeout=TIMEOUT))
    except (OSError, ValueError) as error:  # what requests raises is an OSError
        raise ModelError(
            f"{file} of model {name!r} can't be fetched from {store.base_url}: "
            f"{_reason(error)} What was fetched lies in {store.path}."
        ) from None


def _reason(error: Exception) -> str:
    """Say in one line what went wrong, and what to do."""
    kind, text = type(error).__name__, str(error)
    if "hash of" in text:
        return (
            "its sha256 is not the one that the registry pins. It was changed, or another file "
            f"lies at this address; check {ADDRESS}."
        )
    if kind == "HTTPError":
        return f"the server says {' '.join(text.split(' for url')[0].split())}."
    if kind == "ChunkedEncodingError" or "IncompleteRead" in text:
        return "it ended early. Try again."
    if kind in ("ConnectionError", "ConnectTimeout", "ReadTimeout"):
        return f"no answer. Is there a network? {ADDRESS} may name another address."
    return f"{' '.join(text.split())[:200]}."
