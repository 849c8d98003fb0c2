"""What a model folder's ``model.json`` holds: the settings that sampling needs, and a card to read.

Reading is strict: an unknown setting, a wrong type or a size beyond reason is an error, before
anything is built from it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from flexclim.errors import ModelError

if TYPE_CHECKING:
    from flexclim.nn.diffusion import Diffusion
    from flexclim.nn.flex import FlexConfig

LARGEST_FILE = 4 * 2**20  # bytes of model.json
Factor = Annotated[int, Field(ge=2, le=64)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
COMPUTED = "latitude", "day_of_year", "solar_time"
ANY = "any"


class Part(BaseModel):
    """Frozen values of exact types that refuse unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class NetworkSettings(Part):
    """Sizes of the network, as :class:`flexclim.nn.flex.FlexConfig` explains them."""

    tile: tuple[Annotated[int, Field(ge=8, le=4096)], Annotated[int, Field(ge=8, le=4096)]]
    channels: int = Field(default=1, ge=1, le=1024)
    conditions: dict[Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,30}$")], int] = {"superres": 1}
    model_channels: tuple[Annotated[int, Field(ge=32, le=8192)], ...] = Field(
        min_length=1, max_length=8
    )
    res_blocks: tuple[Annotated[int, Field(ge=0, le=32)], ...] = Field(min_length=1, max_length=8)
    depth: int = Field(ge=1, le=100)
    num_heads: int = Field(ge=1, le=1024)
    mlp_ratio: float = Field(default=2.0, gt=0, le=16)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    use_transf: bool = False
    label_size: int = Field(default=1, ge=1, le=1024)
    unshuffle: int = Field(default=1, ge=1, le=16)

    def config(self) -> FlexConfig:
        """Return what builds the network; loads torch."""
        from flexclim.nn.flex import FlexConfig

        return FlexConfig(**self.model_dump())


class DiffusionSettings(Part):
    """The diffusion process, as :class:`flexclim.nn.diffusion.Diffusion` explains it."""

    prediction: Literal["v", "eps", "x"] = "v"
    loss: Literal["squared", "absolute"] = "squared"
    shift: float = Field(default=1.0, gt=0)

    def process(self) -> Diffusion:
        """Return the process; loads torch."""
        from flexclim.nn.diffusion import Diffusion

        return Diffusion(**self.model_dump())


class Variable(Part):
    """One channel that a network reads: a variable of the input, transformed and normalised.

    Parameters
    ----------
    name
        In the Dataset.
    transform, unit
        ``"log1p"``: log(1 + x / unit). ``"sqrt"``: sqrt(x / unit). Both are continued below zero
        as odd functions.
    mean, std
        Of transformed values of the training split, for scaling ``"fixed"``.
    vector
        Whether it is an eastward or northward component, which changes sign across a pole; its
        mean is 0, so that its normalised values do so too.
    """

    name: Name
    transform: Literal["none", "log1p", "sqrt"] = "none"
    unit: float = Field(default=1.0, gt=0)
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)
    vector: bool = False

    @model_validator(mode="after")
    def _is_odd(self) -> Self:
        if self.vector and self.mean != 0:
            raise ValueError(f"{self.name!r} is a component of a vector: its mean must be 0")
        return self


class Target(Variable):
    """One channel that a network makes.

    Parameters
    ----------
    base
        The input whose interpolation the network adds to: of the same transform, unit and units.
        None: the network makes the whole field, about its mean.
    non_negative
        Whether values below 0 make no sense; None: from standard_name and units.
    """

    base: Name | None = None
    non_negative: bool | None = None


class Static(Part):
    """A predictor that the coarse input does not hold; the network reads (x - mean) / std.

    Parameters
    ----------
    name
        A field of ``static=``, such as ``"orography"``, or what is computed: ``"latitude"`` (its
        sine), ``"day_of_year"`` and ``"solar_time"`` (sine and cosine of the phase each).
    """

    name: Name
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)

    @property
    def channels(self) -> int:
        """How many channels it takes."""
        return 2 if self.timely else 1

    @property
    def timely(self) -> bool:
        """Whether it depends on the time."""
        return self.name in ("day_of_year", "solar_time")

    @property
    def computed(self) -> bool:
        """Whether no file holds it."""
        return self.name in COMPUTED


class ModelSettings(Part):
    """All that changes what a model computes, but its weights.

    Parameters
    ----------
    network, diffusion
        What was trained.
    method, steps
        The sampler and its usual number of steps.
    noise_scale
        Factor on the members' spread about their one-step mean.
    scaling
        ``"local"``: inputs go through :func:`flexclim.fields.scale`. ``"fixed"``: by the mean and
        standard deviation of each.
    label
        ``"factor"``: the network is told log2(factor) - 2. ``"none"``: zeros.
    operator
        ``"block_mean"``: aligned block means. ``"minflex"``: see :mod:`flexclim.minflex_operator`.
    conserve
        Whether block means of every member are made equal to the input, for targets with a base.
    halo
        Fine cells that neighbouring tiles share.
    inputs, targets
        Variables that the network reads and makes; None: any variable, one at a time.
    statics
        Predictors that it reads besides, after the inputs.
    factors
        Refinements that the model was made for.
    residual_scale
        Standard deviation of each target's scaled residual, by factor; the network works in units
        of it.
    """

    network: NetworkSettings
    diffusion: DiffusionSettings = DiffusionSettings()
    method: Literal["ddim", "euler"] = "ddim"
    steps: int = Field(default=2, ge=1, le=1000)
    noise_scale: float = Field(default=1.0, ge=0, le=100)
    scaling: Literal["local", "fixed"] = "local"
    label: Literal["factor", "none"] = "factor"
    operator: Literal["block_mean", "minflex"] = "block_mean"
    conserve: bool = True
    halo: int = Field(ge=0)
    inputs: tuple[Variable, ...] | None = Field(default=None, min_length=1, max_length=1024)
    targets: tuple[Target, ...] | None = Field(default=None, min_length=1, max_length=1024)
    statics: tuple[Static, ...] = Field(default=(), max_length=1024)
    factors: tuple[Factor, ...] = Field(min_length=1)
    residual_scale: dict[Factor, tuple[Annotated[float, Field(gt=0)], ...]]

    def named(self, *, vector: bool = False) -> ModelSettings:
        """Return the settings with inputs and targets: of one variable where any will do.

        Parameters
        ----------
        vector
            Whether that one is an eastward or northward component.
        """
        if self.inputs is not None:
            return self
        one = Target(name=ANY, base=ANY, vector=vector)
        return self.model_copy(update={"inputs": (one,), "targets": (one,)})

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.inputs is None) != (self.targets is None):
            raise ValueError("inputs and targets go together: give both or none")
        inputs, targets = self.inputs or (None,), self.targets or (None,)
        channels, seen = self.network.channels, self.network.conditions.get("superres")
        if len(targets) != channels:
            raise ValueError(f"{channels} channels do not go with {len(targets)} targets")
        predictors = sum(static.channels for static in self.statics)
        if len(inputs) + predictors != seen:
            raise ValueError(
                f"{seen} channels of conditions.superres do not go with {len(inputs)} inputs and "
                f"{predictors} of static fields"
            )
        if missing := set(self.factors) - set(self.residual_scale):
            raise ValueError(f"residual_scale lacks factor {min(missing)}")
        if wrong := [f for f, values in self.residual_scale.items() if len(values) != channels]:
            raise ValueError(f"residual_scale of factor {wrong[0]} needs {channels} numbers")
        if 2 * self.halo > min(self.network.tile):
            raise ValueError(f"halo {self.halo} is more than half of tile {self.network.tile}")
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        for part in (self.inputs, self.targets, self.statics):
            names = [channel.name for channel in part or ()]
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{min(twice)!r} is named twice")
        known = {variable.name: variable for variable in self.inputs or ()}
        for target in self.targets or ():
            if target.base is None:
                if self.scaling == "local":
                    raise ValueError(f"{target.name!r} needs a base: scaling is local")
                continue
            if target.base not in known:
                raise ValueError(f"base {target.base!r} of {target.name!r} is no input")
            for setting in ("transform", "unit", "vector"):
                if getattr(target, setting) != getattr(known[target.base], setting):
                    raise ValueError(
                        f"{target.name!r} and its base {target.base!r} differ in {setting}"
                    )
        return self


class DataCard(Part):
    """One source of training data."""

    source: str
    variables: tuple[str, ...]
    period: str = ""
    licence: str = "unspecified"


class ModelCard(Part):
    """What people want to know of a model; nothing here changes what it computes.

    ``variables`` is what it makes, empty where any will do; ``inputs`` (where they are others) and
    ``statics`` what it needs; ``units`` of all of them by name; ``spacing_km`` is the range of
    fine spacings that it was trained on; ``scores`` and ``recipe`` tell how it was made and how
    good it was.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    description: str = ""
    variables: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    statics: tuple[str, ...] = ()
    units: dict[str, str] = {}
    factors: tuple[int, ...] = ()
    spacing_km: tuple[float, float] | None = None
    data: tuple[DataCard, ...] = ()
    period: str = ""
    scores: dict[str, float] = {}
    licence: str = "unspecified"
    recipe: dict[str, JsonValue] = {}
    hardware: str = ""
    seconds: float | None = None
    version: str = ""
    notes: str = ""

    def __str__(self) -> str:
        rows = {
            "name": self.name,
            "description": self.description,
            "variables": ", ".join(self.variables) or "any, one at a time",
            "inputs": ", ".join(self.inputs),
            "static": ", ".join(self.statics),
            "units": ", ".join(f"{name}: {unit}" for name, unit in self.units.items()),
            "factors": ", ".join(map(str, self.factors)),
            "spacing": "{:.4g} to {:.4g} km".format(*self.spacing_km) if self.spacing_km else "",
            "data": "; ".join(
                f"{part.source} ({', '.join(part.variables)}; {part.period}; {part.licence})"
                for part in self.data
            ),
            "period": self.period,
            "scores": ", ".join(f"{name} {value:.4g}" for name, value in self.scores.items()),
            "licence": self.licence,
            "trained": f"{self.seconds / 60:.0f} minutes on {self.hardware or 'unknown hardware'}"
            if self.seconds
            else "",
            "version": self.version,
            "notes": self.notes,
        }
        return "\n".join(f"{name:12} {value}" for name, value in rows.items() if value)


class Digests(Part):
    """SHA-256 of the weights file, and of the settings and the card as canonical JSON."""

    weights: str = Field(pattern="^[0-9a-f]{64}$")
    settings: str = Field(pattern="^[0-9a-f]{64}$")
    card: str = Field(pattern="^[0-9a-f]{64}$")

    @property
    def model(self) -> str:
        """SHA-256 of all that changes what the model computes."""
        return hashlib.sha256(f"{self.settings}{self.weights}".encode()).hexdigest()


class ModelFile(Part):
    """``model.json``: everything but numbers."""

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
    """Read and check ``model.json``.

    Raises
    ------
    ModelError
        If it can't be read, holds what it should not, or is not what was written.
    """
    try:
        if not path.is_file():
            raise ModelError(f"{path} is not a file; a model folder holds model.json.")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}.") from None
    if len(content) > LARGEST_FILE:
        raise ModelError(f"{path} is larger than {LARGEST_FILE >> 20} MB; it is no model.json.")
    try:
        # Digests are of what is in the file, not of what a later version makes of it.
        values = json.loads(content)
        found = ModelFile.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(f"{path} does not describe a model: {explain(error)}") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{path} is not JSON; it is damaged or no model.json.") from None
    for part in ("settings", "card"):
        if digest(values[part]) != getattr(found.sha256, part):
            raise ModelError(
                f"{path} is damaged or was edited: its {part} differ from their sha256. "
                "Get it again, or change it with Model.replace and save."
            )
    return found


def explain(error: ValidationError) -> str:
    """Return the first complaint in one line."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "the file"
    if first["loc"] == ("format",):
        return f"format {str(first['input'])[:20]} is not 1, which this version reads."
    return " ".join(f"{place}: {first['msg']}.".split())
