"""A model: a network, the settings that sampling needs, and a card.

A saved model is a folder with ``model.json`` (settings and card) and ``weights.safetensors``.
Loading executes nothing from it. A dask graph holds only a :class:`ModelReference`; each process
loads the model once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from flexclim import files
from flexclim.errors import ModelError, suggest_options
from flexclim.models.card import WIDTH, ModelCard, text_of_rows
from flexclim.models.catalogue import exists, find_model, portable_path
from flexclim.models.model_file import (
    MODEL_FILE,
    WEIGHTS_FILE,
    Digests,
    ModelFile,
    digest,
    read_model_file,
)
from flexclim.models.settings import ModelSettings
from flexclim.models.strict_settings import first_problem
from flexclim.models.weights import Weights

if TYPE_CHECKING:
    from flexclim.nn.diffusion import Diffusion
    from flexclim.nn.flex import Flex
    from flexclim.nn.weights_file import Precision


class Model:
    """A network with its settings and its card.

    Get one from :func:`load_model`, :func:`flexclim.import_minflex` or :func:`new_model`.

    Attributes
    ----------
    settings : ModelSettings
        Everything besides the weights that determines what the model computes.
    card : ModelCard
        Description for users.
    folder : Path or None
        Folder of the saved model; None if it exists in memory only.
    device : str
        Device of :attr:`network`.
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

    def _repr_html_(self) -> str:
        return self.card.html(f"flexclim model {self.name}")

    def text(self, width: int = WIDTH) -> str:
        """Format the card, what conditions the network, and the hash for a terminal."""
        names = [part.name for part in self.settings.labels if part.coordinate]
        shell = " ".join(f"--label {name}=..." for name in names)
        optional = "; it may be left out" * self.settings.label_optional
        numbers = f"{', '.join(names)}: a coordinate of the input, or {shell}"
        rows = {"conditioned": f"on {numbers}{optional}" * bool(names), "sha256": self.sha256}
        return f"{self.card.text(width)}\n{text_of_rows(rows, width)}"

    @property
    def name(self) -> str:
        """Name of the model, from its card."""
        return self.card.name

    @property
    def network(self) -> Flex:
        """The network on :attr:`device`, float32, in evaluation mode; loaded on first use."""
        return self.network_on(self.device)

    def network_on(self, device: str, precision: str = "float32") -> Flex:
        """Return the network on a device in a precision; one copy is kept for each pair."""
        return self._weights.network(self.settings, device, precision)

    @property
    def diffusion(self) -> Diffusion:
        """The diffusion process that the network was trained with."""
        from flexclim.nn.diffusion import Diffusion

        return Diffusion.of(self.settings.diffusion)

    @cached_property
    def sha256(self) -> str:
        """Hash of the settings and the weights: equal for models that compute the same.

        See :meth:`~flexclim.models.settings.ModelSettings.hashed`.
        """
        settings = digest(self.settings.hashed())
        return sha256(f"{settings}{self._weights.sha256}".encode()).hexdigest()

    @property
    def reference(self) -> ModelReference:
        """Stand-in for the model in a dask graph; see also :func:`keep_loaded`."""
        path = None if self.folder is None else portable_path(self.folder)
        return ModelReference(path=path, sha256=self.sha256, name=self.name)

    def replace(self, *, card: Mapping[str, Any] | None = None, **settings: Any) -> Model:
        """Return a model with the same weights but changed settings or a changed card.

        Parameters
        ----------
        card
            Changed entries of the card, by name.
        settings
            Changed settings, by name.

        Raises
        ------
        ModelError
            If a setting is unknown or invalid, or is one of the network's sizes.
        """
        if "network" in settings:
            raise ModelError("the sizes of a network can't be changed; train another model.")
        try:
            new_settings = ModelSettings.model_validate(dict(self.settings) | settings)
            new_card = ModelCard.model_validate(dict(self.card) | dict(card or {}))
        except ValidationError as error:
            raise ModelError(first_problem(error)) from None
        return Model(new_settings, new_card, self._weights, device=self.device)

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        precision: Precision | None = None,
    ) -> Path:
        """Write the model folder completely or not at all.

        If the folder already holds the same settings and weights, only the card is rewritten.

        Parameters
        ----------
        folder
            Created if missing.
        overwrite
            Replace a different model in the folder. A folder with other files is never touched.
        precision
            Type of matrices and kernels in the weights file: ``"float32"``, ``"bf16"``, ``"fp16"``
            or ``"int8"``, 8-bit integers with a scale for each output channel, small ones bf16.
            Default: as they are. The folder then holds a model with rounded weights and another
            hash; this one stays as it is.

        Returns
        -------
        Path
            Absolute path of the folder.

        Raises
        ------
        ModelError
            If the folder holds something else, or can't be written, or there is no such precision.
        """
        if precision is not None:
            rounded = new_model(self.network_on("cpu"), self.settings, self.card, precision)
            return rounded.save(folder, overwrite=overwrite)
        if files.is_url(folder):
            raise ModelError(
                f"{folder} is a URL, but models are saved in local folders. Give one, and push it "
                "with flexclim models push."
            )
        folder = Path(folder).absolute()
        try:
            if folder.exists() and self._is_in(folder):
                files.write(folder / MODEL_FILE, self._model_file())
            else:
                if exists(folder / MODEL_FILE) and not overwrite:
                    raise ModelError(
                        f"{folder} holds another model. Give another folder, or pass "
                        "overwrite=True."
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
            If the file is damaged or missing.
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

    def __reduce__(self) -> tuple[Callable[[], Model], tuple[()]]:
        return keep_loaded(self).load, ()

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "flexclim.Model", self.sha256


@dataclass(frozen=True)
class ModelReference:
    """A model by place and hash: small enough for a dask graph, and pickled with it.

    ``path`` is a folder, the name of a bundled or registered model, or None for a model that was
    not saved: only the process that made it has it.
    """

    path: str | None = field(compare=False)
    sha256: str
    name: str = field(compare=False, default="")

    def load(self) -> Model:
        """Load the model, once per process.

        Raises
        ------
        ModelError
            If it can't be read, or another model is there by now.
        """
        with _LOCK:
            if self.sha256 not in _LOADED:
                _LOADED[self.sha256] = self._read()
            return _LOADED[self.sha256]

    def _read(self) -> Model:
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
        return model

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "flexclim.Model", self.sha256


_LOADED: dict[str, Model] = {}
_LOCK = threading.RLock()


def keep_loaded(model: Model) -> ModelReference:
    """Keep a model in this process, so that its reference loads this very object.

    Call it where a graph is built: a model that was not saved can't be loaded in any other way,
    and a saved one is not read twice.
    """
    reference = model.reference
    with _LOCK:
        _LOADED.setdefault(reference.sha256, model)
    return reference


@suggest_options
def load_model(name_or_path: str | os.PathLike[str], device: str | None = None) -> Model:
    """Load a model and check its files.

    Parameters
    ----------
    name_or_path
        Name of a model (see :func:`flexclim.list_models`; a registered one is downloaded on first
        use), a model folder, or a file in one.
    device
        Device of the network, such as ``"cuda"``; default: the CPU.

    Raises
    ------
    ModelError
        If there is no such model, or any part of it is damaged.

    >>> load_model("flex-wind").card.factors
    (4,)
    """
    model = read_model(name_or_path, device)
    model.network_on(model.device)  # reads the weights and checks them
    return model


def read_model(name_or_path: str | os.PathLike[str], device: str | None = None) -> Model:
    """Read the settings and the card of a model; weights are read on first use.

    Does not import torch. Parameters and errors are those of :func:`load_model`.
    """
    folder = find_model(name_or_path)
    content = read_model_file(folder / MODEL_FILE)
    weights = Weights(path=folder / WEIGHTS_FILE, file_sha256=content.sha256.weights)
    return Model(content.settings, content.card, weights, folder=folder, device=device or "cpu")


def new_model(
    network: Flex, settings: ModelSettings, card: ModelCard, precision: Precision = "float32"
) -> Model:
    """Make a model from a trained network.

    Weights are rounded to ``precision`` at once, so that the model in memory computes what it
    will compute after it has been saved and loaded.

    Parameters
    ----------
    network
        Trained network; its weights are copied.
    settings, card
        Settings and card of this network.
    precision
        Type of matrices and kernels in the weights file.

    Raises
    ------
    ModelError
        If the settings describe a network of other sizes, a weight is not finite, or there is no
        such precision.
    """
    from flexclim.nn import weights_file

    weights_file.check_shapes(
        weights_file.shapes(settings.network),
        {name: tuple(values.shape) for name, values in network.state_dict().items()},
        "the network",
    )
    state = weights_file.round_weights(network, precision)
    return Model(settings, card.model_copy(update={"precision": precision}), Weights(state=state))
