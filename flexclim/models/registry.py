"""The registry: models too large for the package, downloaded on first use.

A registry is a small JSON file: one address, and for each model its purpose, its size and the
SHA-256 of its two files. That of the package is empty; ``flexclim models push`` writes others.
Downloads are cached by hash, and the hash is checked each time a model is loaded. Nothing else is
ever read from the network.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from flexclim import files
from flexclim.errors import ModelError
from flexclim.models import places
from flexclim.models.model_file import MODEL_FILE, WEIGHTS_FILE, Sha256
from flexclim.models.strict_settings import StrictSettings, first_problem

if TYPE_CHECKING:
    from pooch import Pooch

REGISTRY_FILE = "registry.json"
BESIDE = "."  # address of a registry that lies beside the folders of its models
# Environment variables: another registry, another address of the same files, another cache.
REGISTRY, ADDRESS, CACHE = "FLEXCLIM_REGISTRY", "FLEXCLIM_MODELS_URL", "FLEXCLIM_CACHE"
FILES = MODEL_FILE, WEIGHTS_FILE
TIMEOUT = 30  # seconds without an answer
LARGEST = 2**20  # bytes of a registry

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class RegistryEntry(StrictSettings):
    """One model: its purpose, its size, and the hashes of ``model.json`` and of the weights."""

    description: str
    megabytes: float = Field(gt=0)
    model: Sha256
    weights: Sha256

    @property
    def summary(self) -> str:
        """One line for a list of models."""
        return f"{self.description} ({self.megabytes:.3g} MB, downloaded on first use)"


class Registry(StrictSettings):
    """An address with one folder per model, and the models by name."""

    url: str = ""
    models: dict[Name, RegistryEntry] = Field(default_factory=dict)


def read_registry() -> Registry:
    """Read the registry in the package, or the one that ``FLEXCLIM_REGISTRY`` names.

    That may be a file, a folder or a URL that holds ``registry.json``. A URL is read once.

    Raises
    ------
    ModelError
        If it can't be read or is not a registry.
    """
    place = _registry_place()
    return _read_once(place) if places.is_url(place) else registry_at(place)


def registry_at(place: str) -> Registry:
    """Read a registry file.

    Raises
    ------
    ModelError
        If there is none, or it can't be read or is not a registry.
    """
    content = places.read(place, LARGEST)
    if content is None:
        raise ModelError(f"registry {place} can't be read: there is no such file.")
    try:
        return Registry.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(f"registry {place} is invalid: {first_problem(error)}") from None


_read_once = cache(registry_at)


def _registry_place() -> str:
    """Return the path or URL of the registry file in use."""
    given = os.environ.get(REGISTRY)
    if not given:
        return str(Path(__file__).parent / REGISTRY_FILE)
    is_file = given.endswith(".json") if places.is_url(given) else not Path(given).is_dir()
    return given if is_file else places.joined(given, REGISTRY_FILE)


def registry_entry(folder: Path, description: str) -> RegistryEntry:
    """Make the registry entry of a saved model.

    Parameters
    ----------
    folder
        Model folder written by :meth:`flexclim.models.model.Model.save`.
    description
        Its purpose, in one line.

    >>> entry = registry_entry(Path("my-model"), "wind over the Alps, x4")  # doctest: +SKIP
    >>> print(entry.model_dump_json())  # doctest: +SKIP
    """
    paths = [folder / name for name in FILES]
    size = sum(path.stat().st_size for path in paths) / 1e6
    model, weights = map(files.sha256, paths)
    return RegistryEntry(
        description=description, megabytes=float(f"{size:.3g}"), model=model, weights=weights
    )


def cache_folder() -> Path:
    """Return the folder of downloaded models: ``FLEXCLIM_CACHE``, else the user's cache."""
    if given := os.environ.get(CACHE):
        return Path(given).absolute()
    import pooch

    return Path(pooch.os_cache("flexclim"))


def is_fetched(folder: Path) -> bool:
    """Return whether a folder holds a downloaded model, which other machines find by name."""
    return folder.name in read_registry().models and folder.parent.parent == cache_folder()


def fetch(name: str) -> Path:
    """Return the folder of a registered model; download it if the cache lacks it.

    Raises
    ------
    ModelError
        If it can't be downloaded, or its hash is not the registered one.
    """
    import pooch

    registry = read_registry()
    wanted = registry.models[name]
    folder = cache_folder() / wanted.model[:12] / name
    address = os.environ.get(ADDRESS) or registry.url
    if address == BESIDE:
        address = places.parent(_registry_place())
    if not address and not all((folder / file).is_file() for file in FILES):
        raise ModelError(
            f"model {name!r} is not downloaded yet and the registry has no address: set {ADDRESS}, "
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
    """Download one file completely, with the registered hash, or leave nothing."""
    import pooch

    is_http = store.base_url.startswith(("http://", "https://"))
    downloader = pooch.HTTPDownloader(timeout=TIMEOUT) if is_http else places.download
    try:
        store.fetch(file, downloader=downloader)
    except (OSError, ValueError) as error:  # exceptions of requests are OSErrors
        raise ModelError(
            f"{file} of model {name!r} can't be downloaded from {store.base_url}: "
            f"{_reason(error)} Files that were downloaded completely are in {store.path}."
        ) from None


def _reason(error: Exception) -> str:
    """Describe in one line what went wrong, and what to do."""
    kind, text = type(error).__name__, str(error)
    if "hash of" in text:
        return (
            "its sha256 is not the registered one. It was changed, or this address serves another "
            f"file; check {ADDRESS}."
        )
    if kind == "HTTPError":
        return f"the server answered {' '.join(text.split(' for url')[0].split())}."
    if kind == "ChunkedEncodingError" or "IncompleteRead" in text:
        return "the download ended early. Try again."
    if kind in ("ConnectionError", "ConnectTimeout", "ReadTimeout"):
        return f"no answer. Check the network, or set {ADDRESS} to another address."
    return f"{' '.join(text.split())[:200]}."
