"""A model: a network, the settings that sampling needs, and a card.

A saved model is one folder: ``model.json`` (everything but numbers) and ``weights.safetensors``.
Nothing in it is executed. A dask graph holds only a :class:`ModelReference`; each process loads
the model once.
"""

from __future__ import annotations

import difflib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from flexclim import files
from flexclim.errors import ModelError
from flexclim.models.card import Digests, ModelCard, ModelFile, digest, explain, read_model_file
from flexclim.models.registry import fetch, is_fetched, read_registry
from flexclim.models.settings import ModelSettings
from flexclim.models.weights import Weights

if TYPE_CHECKING:
    from flexclim.nn.diffusion import Diffusion
    from flexclim.nn.flex import Flex
    from flexclim.nn.weights_file import Precision

MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
BUNDLED = Path(__file__).resolve().parent / "bundled"  # one folder a model


class Model:
    """A network with its settings and its card.

    Made by :func:`load_model`, :func:`flexclim.import_minflex` or :func:`new_model`.

    Attributes
    ----------
    settings : ModelSettings
        All that changes what the model computes, but its weights.
    card : ModelCard
        What people want to know.
    folder : Path or None
        Where it is saved.
    device : str
        Where :attr:`network` lies.
    """

    def __init__(
        self,
        settings: ModelSettings,
        card: ModelCard,
        weights: Weights,
        *,
        folder: Path | None = None,
        device: str = "cpu",
    ) -> None:
        self.settings = settings
        self.card = card
        self.folder = folder
        self.device = device
        self._weights = weights

    def __repr__(self) -> str:
        return f"<flexclim.Model {self.name!r}: {self.card.description or 'no description'}>"

    @property
    def name(self) -> str:
        """Name on the card."""
        return self.card.name

    @property
    def network(self) -> Flex:
        """The network on :attr:`device`, float32, in evaluation mode; read when first used."""
        return self.network_on(self.device)

    def network_on(self, device: str, precision: str = "float32") -> Flex:
        """Return the network on any device, in a precision; one copy is kept for each."""
        return self._weights.network(self.settings, device, precision)

    @property
    def diffusion(self) -> Diffusion:
        """The diffusion process that the network was trained with."""
        return self.settings.diffusion.process()

    @cached_property
    def sha256(self) -> str:
        """Hash of the settings and the weights: equal for models that compute the same.

        Settings at their defaults do not count, so that a later version may have more of them.
        """
        settings = digest(self.settings.model_dump(mode="json", exclude_defaults=True))
        return sha256(f"{settings}{self._weights.sha256}".encode()).hexdigest()

    @property
    def reference(self) -> ModelReference:
        """What a dask graph holds in place of the model."""
        with _LOCK:
            _LOADED.setdefault(self.sha256, self)
        where = None if self.folder is None else str(self.folder)
        if self.folder is not None and (self.folder.parent == BUNDLED or is_fetched(self.folder)):
            where = self.folder.name  # another machine may have it elsewhere
        return ModelReference(path=where, sha256=self.sha256, name=self.name)

    def replace(self, *, card: Mapping[str, Any] | None = None, **settings: Any) -> Model:
        """Return a model with the same weights and other settings or another card.

        Raises
        ------
        ModelError
            If a setting is unknown or wrong, or of the network itself.
        """
        if "network" in settings:
            raise ModelError("the sizes of a network can't be replaced; train another model.")
        try:
            new_settings = ModelSettings.model_validate(dict(self.settings) | settings)
            new_card = ModelCard.model_validate(dict(self.card) | dict(card or {}))
        except ValidationError as error:
            raise ModelError(explain(error)) from None
        return Model(new_settings, new_card, self._weights, device=self.device)

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the model folder, all of it or nothing.

        A folder that holds the same settings and weights gets the new card.

        Parameters
        ----------
        folder
            Made where it is missing.
        overwrite
            Replace another model that the folder holds. A folder of other files is never touched.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        ModelError
            If the folder holds something else, or can't be written.
        """
        folder = Path(folder).absolute()
        try:
            if folder.exists() and self._is_in(folder):
                files.write(folder / MODEL_FILE, self._model_file())
            else:
                if _exists(folder / MODEL_FILE) and not overwrite:
                    raise ModelError(
                        f"{folder} holds another model. Give another folder, or say overwrite=True."
                    )
                content = {WEIGHTS_FILE: self._weights.content(), MODEL_FILE: self._model_file()}
                files.write_folder(folder, content)
        except FileExistsError:
            raise ModelError(f"{folder} holds other files. Give another folder.") from None
        except OSError as error:
            raise ModelError(f"{folder} can't be written: {error.strerror}.") from None
        self.folder = folder
        return folder

    def _is_in(self, folder: Path) -> bool:
        try:
            found = read_model(folder)
            found.check_weights()
        except ModelError:
            return False
        return found.sha256 == self.sha256

    def check_weights(self) -> None:
        """Compare the weights file with its hash.

        Raises
        ------
        ModelError
            If the file is damaged or gone.
        """
        self._weights.check()

    def _model_file(self) -> bytes:
        digests = Digests(
            weights=self._weights.sha256,
            settings=digest(self.settings.model_dump(mode="json")),
            card=digest(self.card.model_dump(mode="json")),
        )
        content = ModelFile(settings=self.settings, card=self.card, sha256=digests)
        return (content.model_dump_json(indent=1) + "\n").encode()

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reference.load, ()

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "flexclim.Model", self.sha256


@dataclass(frozen=True)
class ModelReference:
    """A model by place and hash: small, and loaded once a process.

    ``path`` is a folder, the name of a bundled model, or None for a model that was not saved and
    lives in its own process only.
    """

    path: str | None = field(compare=False)
    sha256: str
    name: str = field(compare=False, default="")

    def load(self) -> Model:
        """Return the model.

        Raises
        ------
        ModelError
            If it can't be read, or is another one by now.
        """
        with _LOCK:
            if self.sha256 not in _LOADED:
                if self.path is None:
                    raise ModelError(
                        f"model {self.name!r} was not saved, so this process can't load it; "
                        "save it first: model.save(folder)."
                    )
                model = load_model(self.path)
                if model.sha256 != self.sha256:
                    raise ModelError(
                        f"{self.path} holds another model (sha256 {model.sha256[:12]}) than the "
                        f"one asked for ({self.sha256[:12]}); was it replaced meanwhile?"
                    )
                _LOADED[self.sha256] = model
            return _LOADED[self.sha256]

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "flexclim.Model", self.sha256


_LOADED: dict[str, Model] = {}
_LOCK = threading.RLock()


def load_model(name_or_path: str | os.PathLike[str], device: str | None = None) -> Model:
    """Load a model and check all of it.

    Parameters
    ----------
    name_or_path
        A model by name (see :func:`list_models`; one of the registry is fetched once), a model
        folder, or a file in it.
    device
        Where the network goes, such as ``"cuda"``; None: the CPU.

    Raises
    ------
    ModelError
        If there is no such model, or it is damaged in any way.
    """
    model = read_model(name_or_path, device)
    assert model.network is not None
    return model


def read_model(name_or_path: str | os.PathLike[str], device: str | None = None) -> Model:
    """Read settings and card; the weights wait until they are used. Needs no torch."""
    folder = _find(name_or_path)
    found = read_model_file(folder / MODEL_FILE)
    weights = Weights(path=folder / WEIGHTS_FILE, file_sha256=found.sha256.weights)
    return Model(
        found.settings,
        found.card,
        weights,
        folder=folder,
        device=device or "cpu",
    )


class ModelList(dict[str, ModelCard]):
    """Cards by name; shown as a line each."""

    def __repr__(self) -> str:
        return "\n".join(f"{name:16} {card.description}".rstrip() for name, card in self.items())


def list_models() -> ModelList:
    """Return the cards of the models that a name is enough for; shown, they say what each is for.

    Models of the registry that were not fetched yet have a card that holds a description alone.
    """
    listed = ModelList(list_bundled())
    for name, entry in read_registry().models.items():
        listed.setdefault(name, ModelCard(name=name, description=entry.told))
    return listed


def list_bundled() -> dict[str, ModelCard]:
    """Return the cards of the models that lie inside the package."""
    return {
        path.parent.name: read_model_file(path).card
        for path in sorted(BUNDLED.glob(f"*/{MODEL_FILE}"))
    }


def new_model(
    network: Flex, settings: ModelSettings, card: ModelCard, precision: Precision = "float32"
) -> Model:
    """Make a model of a trained network; what it computes is what it will compute once saved.

    Parameters
    ----------
    network
        Not changed, not kept.
    settings, card
        Of the same network.
    precision
        Of matrices and kernels on disk.

    Raises
    ------
    ModelError
        If the settings are of a network of other sizes, or a weight is not finite.
    """
    from flexclim.nn import weights_file as weights

    state = weights.round_weights(network, precision)
    model = Model(settings, card, Weights(state=state))
    weights.check_shapes(
        weights.shapes(settings.network.config()),
        {name: tuple(values.shape) for name, values in state.items()},
        "the network",
    )
    return model


def _find(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder of a model."""
    if not isinstance(name_or_path, str | os.PathLike):
        raise ModelError(
            f"model={name_or_path!r} is neither a name nor a folder. Give one, or leave model out."
        )
    text = os.fspath(name_or_path)
    names = sorted(path.parent.name for path in BUNDLED.glob(f"*/{MODEL_FILE}"))
    if text in names:
        return BUNDLED / text
    path = Path(text)
    if _exists(path):
        return _folder_of(path)
    registered = read_registry().models
    if text in registered:
        return fetch(text)
    close = difflib.get_close_matches(text, [*names, *registered], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    raise ModelError(
        f"there is no model {text[:200]!r}{hint} "
        f"Bundled: {', '.join([*names, *registered]) or 'none'}. Or give the folder of a model."
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _folder_of(path: Path) -> Path:
    if path.is_dir():
        if _exists(path / MODEL_FILE):
            return path.absolute()
        raise ModelError(f"{path} holds no {MODEL_FILE}; give the folder of a model.")
    if path.name in (MODEL_FILE, WEIGHTS_FILE):
        return path.parent.absolute()
    raise ModelError(
        f"{path} is not part of a model folder ({MODEL_FILE}, {WEIGHTS_FILE}); "
        "a checkpoint of minFLEX goes through flexclim.import_minflex first."
    )
