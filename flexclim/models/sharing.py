"""Publish a model to a folder or an object store, and fetch one from there or from a hub.

A published model is a folder with ``model.json``, ``weights.safetensors``, ``README.md`` (its card,
as the Hugging Face hub shows it) and pictures. ``registry.json`` beside it lists all models there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from flexclim import files
from flexclim.errors import ModelError, suggest_options
from flexclim.models import places
from flexclim.models.markdown_card import markdown_card
from flexclim.models.model import Model, load_model, read_model
from flexclim.models.model_file import LARGEST_FILE, MODEL_FILE, WEIGHTS_FILE
from flexclim.models.registry import (
    BESIDE,
    LARGEST,
    REGISTRY_FILE,
    Registry,
    RegistryEntry,
    registry_at,
    registry_entry,
)

CARD_FILE, HUB = "README.md", "hf://"
Read = Callable[[str], bytes | None]


@suggest_options
def push(model: str | os.PathLike[str] | Model, place: str, *, overwrite: bool = False) -> str:
    """Publish a model: write its folder into ``place``, and list it in the registry there.

    Parameters
    ----------
    model
        A name, a folder, or a loaded model that was saved. Pictures of a run are published with
        the model that it wrote.
    place
        A folder or a URL such as ``s3://bucket/models`` (fsspec's configuration holds credentials
        and endpoints).
    overwrite
        Replace a different model of the same name.

    Returns
    -------
    str
        Place of the published folder, ``place/NAME``. To publish it on the Hugging Face hub,
        upload this folder.

    Raises
    ------
    ModelError
        If another model of this name is there, or the place can't be written.

    >>> push("runs/gfs/model", "s3://bucket/models")  # doctest: +SKIP
    's3://bucket/models/gfs-wind-x4'
    """
    loaded = model if isinstance(model, Model) else load_model(model)
    if loaded.folder is None:
        raise ModelError(f"model {loaded.name!r} was not saved; save it first: model.save(folder).")
    loaded.check_weights()
    where = places.joined(place, loaded.name)
    own = registry_entry(loaded.folder, loaded.card.description)
    listed = places.joined(place, REGISTRY_FILE)
    registry = registry_at(listed) if places.read(listed, LARGEST) else Registry(url=BESIDE)
    known = registry.models.get(loaded.name)
    if known and (known.weights, known.model) != (own.weights, own.model) and not overwrite:
        raise ModelError(
            f"{where} holds another model ({_difference(known, own)}). "
            "Give another place, or pass overwrite."
        )
    if not (known or overwrite):
        _check_unlisted(where, loaded.folder)
    pictures = _pictures(loaded.folder)
    for path in (*pictures, loaded.folder / WEIGHTS_FILE, loaded.folder / MODEL_FILE):
        places.write(places.joined(where, path.name), path.read_bytes())
    captions = {path.name: caption for path, caption in pictures.items()}
    text = markdown_card(loaded.card, own.model, captions)
    places.write(places.joined(where, CARD_FILE), text.encode())
    # Last, so that the registry never lists a model that is not complete.
    models = dict(registry.models) | {loaded.name: own}
    registry = registry.model_copy(update={"models": models})
    places.write(listed, (registry.model_dump_json(indent=1) + "\n").encode())
    return where


@suggest_options
def pull(place: str, folder: str | os.PathLike[str], *, sha256: str | None = None) -> Model:
    """Fetch a published model, check it, and write it into a folder.

    Parameters
    ----------
    place
        Folder or URL of one model, such as ``s3://bucket/models/gfs-wind``, or
        ``hf://OWNER/NAME`` (``hf://OWNER/NAME@REVISION``) on the Hugging Face hub.
    folder
        Folder to write; it must be new, or hold the same model.
    sha256
        Hash of ``model.json`` that the author published; any other model is refused. That file
        holds the hash of the weights, so one hash stands for settings, card and weights.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If there is no model, or any of its files is not the one that ``model.json``, the registry
        beside it, or ``sha256`` names. Nothing is written then.

    >>> pull("hf://OWNER/NAME", "gfs-wind")  # doctest: +SKIP
    """
    target = Path(folder).absolute()
    with TemporaryDirectory() as made:
        fetched = Path(made) / "model"
        fetched.mkdir()
        _fetch(place, fetched)
        _check_registered(place, fetched)
        found = read_model(fetched)
        found.check_weights()
        if sha256 is not None:
            _check_published(place, found, files.sha256(fetched / MODEL_FILE), sha256)
        _install(fetched, target, found)
    return read_model(target)


def _fetch(place: str, folder: Path) -> None:
    """Copy the files of a model into a folder."""
    read = _from_hub(place) if place.startswith(HUB) else _from_place(place)
    for name in (MODEL_FILE, WEIGHTS_FILE, CARD_FILE):
        content = read(name)
        if content is not None:
            (folder / name).write_bytes(content)
        elif name != CARD_FILE:
            raise ModelError(f"{place} holds no {name}. Give the place of one model.")


def _from_place(place: str) -> Read:
    limits = {MODEL_FILE: LARGEST_FILE, CARD_FILE: LARGEST_FILE}
    return lambda name: places.read(places.joined(place, name), limits.get(name, places.LARGEST))


def _from_hub(place: str) -> Read:
    """Return what downloads files of a repository of the hub; HF_ENDPOINT names a mirror."""
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
    except ImportError:
        raise ModelError(
            f"{place} needs huggingface_hub, which is not installed: pip install 'flexclim[hub]'."
        ) from None
    repository, _, revision = place.removeprefix(HUB).partition("@")

    def read(name: str) -> bytes | None:
        try:
            with TemporaryDirectory() as made:
                path = hf_hub_download(
                    repository,
                    name,
                    revision=revision or None,
                    local_dir=made,
                    endpoint=os.environ.get("HF_ENDPOINT"),
                )
                return Path(path).read_bytes()
        except EntryNotFoundError:
            return None
        except (HfHubHTTPError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{place} can't be fetched: {reason}.") from None

    return read


def _check_registered(place: str, folder: Path) -> None:
    """Compare files with the registry beside the published folder, if it lists the model."""
    if place.startswith(HUB):
        return
    listed = places.joined(places.parent(place), REGISTRY_FILE)
    if places.read(listed, LARGEST) is None:
        return
    name = place.rstrip("/").rpartition("/")[2]
    known: RegistryEntry | None = registry_at(listed).models.get(name)
    hashes = (known.model, known.weights) if known else ()
    for file, wanted in zip((MODEL_FILE, WEIGHTS_FILE), hashes, strict=False):
        if (found := files.sha256(folder / file)) != wanted:
            raise ModelError(
                f"{file} of {place} has the sha256 {found[:12]}, not {wanted[:12]} of {listed}. "
                "It was changed after it was published; ask its author."
            )


def _check_published(place: str, model: Model, found: str, wanted: str) -> None:
    """Compare the hash of ``model.json`` with the one that the author published.

    The hash of settings and weights alone would leave out the card, whose units change results.
    """
    wanted = wanted.strip().lower()
    if wanted == model.sha256:
        raise ModelError(
            f"{wanted} is the hash of settings and weights, which leaves out the card. Ask the "
            f"author of {place} for the sha256 of {MODEL_FILE}, which its {CARD_FILE} also states."
        )
    if wanted != found:
        raise ModelError(
            f"{MODEL_FILE} of {place} has the sha256 {found}, not {wanted}. It was changed, or is "
            "another version; ask its author."
        )


def _difference(known: RegistryEntry, own: RegistryEntry) -> str:
    """Return in which hash two models differ."""
    if known.weights != own.weights:
        return f"weights {known.weights[:12]}, not {own.weights[:12]}"
    return f"{MODEL_FILE} {str(known.model)[:12]}, not {str(own.model)[:12]}"


def _check_unlisted(where: str, folder: Path) -> None:
    """Check that a folder that no registry lists is free, or holds an earlier push of this model.

    Raises
    ------
    ModelError
        If it holds another model, or a README.md of something else.
    """
    there = places.read(places.joined(where, MODEL_FILE), LARGEST_FILE)
    if there is None and places.read(places.joined(where, CARD_FILE), LARGEST_FILE) is None:
        return
    if there != (folder / MODEL_FILE).read_bytes():
        raise ModelError(
            f"{where} holds another model, or other files, and is in no {REGISTRY_FILE}. Give "
            "another place, or pass overwrite."
        )


def _install(fetched: Path, target: Path, model: Model) -> None:
    """Write the fetched files into their folder, at once."""
    try:
        if target.exists() and read_model(target).sha256 != model.sha256:
            raise ModelError(f"{target} holds another model. Give another folder.")
        content = {path.name: path.read_bytes() for path in fetched.iterdir()}
        if target.exists() and (target / MODEL_FILE).read_bytes() != content[MODEL_FILE]:
            raise ModelError(
                f"{target} holds this model with another card. Rename that folder, or give another."
            )
        files.write_folder(target, content)
    except FileExistsError:
        raise ModelError(f"{target} holds other files. Give another folder.") from None
    except OSError as error:
        raise ModelError(f"{target} can't be written: {error.strerror}.") from None


def _pictures(folder: Path) -> dict[Path, str]:
    """Return the pictures of the run that wrote a model, with captions; none if it is no run's."""
    run = folder.parent
    if folder.name != "model" or not (run / "curves.png").is_file():
        return {}
    found = {run / "curves.png": "Loss and validation scores over the steps of training"}
    newest = {path.stem.rpartition("-")[0]: path for path in sorted(run.glob("samples/*.png"))}
    text = "Validation patches, normalised: baseline, truth, two members, and power spectra"
    return found | {path: f"{text} ({task})" for task, path in newest.items()}
