"""Settings of a model: everything besides its weights that determines what it computes.

Reading is strict: an unknown setting, a wrong type or an absurd size is an error before anything
is built from it.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from flexclim.grids.domain import Kind
from flexclim.models.channels import Label, Static, Target, Variable, is_optional
from flexclim.models.strict_settings import StrictSettings
from flexclim.nn.configuration import DiffusionSettings, Method, NetworkSettings

Factor = Annotated[int, Field(ge=1, le=64)]  # 1: of a model that splits days
NoiseScale = Annotated[float, Field(ge=0, le=100)]
ANY = "any"
SUPERRES, FORECAST = "superres", "forecast"  # names of task encoders
# Coarse cells around a cell that local scaling (flexclim.sampling.local_scaling) looks at.
SCALING_REACH = 12
# Values of network settings that do not count in a model's hash. They were the defaults when the
# first models were published, and must not change with the defaults.
UNHASHED: dict[str, JsonValue] = {
    "channels": 1,
    "other_tiles": [],
    "conditions": {"superres": 1},
    "mlp_ratio": 2.0,
    "dropout": 0.0,
    "use_transf": False,
    "conditioning": "both",
    "label_size": 1,
    "unshuffle": 1,
}


class Forecasting(StrictSettings):
    """How a network forecasts: it predicts the change from the last of ``past`` snapshots.

    Parameters
    ----------
    past
        Number of input snapshots, one lead apart.
    leads
        Time steps of training in hours, in increasing order.
    residual_scale
        Standard deviation of each target's change over each lead, after its transform and in
        units of its ``std``.
    noise_scale
        Factor on the spread of forecasts; default: that of :class:`ModelSettings`.
    """

    past: int = Field(ge=1, le=64)
    leads: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1, max_length=100)
    residual_scale: tuple[tuple[Annotated[float, Field(gt=0)], ...], ...]
    noise_scale: NoiseScale | None = None


class ModelSettings(StrictSettings):
    """Everything besides the weights that determines what a model computes.

    Parameters
    ----------
    network, diffusion
        Sizes of the network and diffusion process of its training.
    method, steps
        Sampler and its default number of steps.
    noise_scale
        Factor on the spread of members about their one-step mean; ``forecast`` may override it.
    noise_amplitude
        Standard deviation of the logarithm of the noise's random amplitude
        (:mod:`flexclim.nn.noise_amplitude`) in downscaling.
    scaling
        ``"local"``: by local mean and amplitude (:mod:`flexclim.sampling.local_scaling`).
        ``"fixed"``: by the mean and standard deviation of each variable.
    label
        Numbers that condition the network: ``"factor"`` alone, ``"none"`` (zeros), or parts.
    operator
        ``"block_mean"``: aligned block means. ``"minflex"``: every n-th point.
    conserve
        Whether to make the block means of each member equal to the input, for targets with a base.
    halo
        Fine cells by which neighbouring tiles overlap.
    grid
        ``"cell"`` or ``"point"``: kind of grid to assume if the coordinates are ambiguous;
        default: decide by the coordinates alone.
    perfect_prognosis
        Whether inputs are other variables on grids of their own: they are regridded to the coarse
        grid of the target, and a target's base is shifted by the difference of their means.
    inputs, targets
        Input and output variables; None: any variable, one at a time.
    statics
        Further predictors; their channels follow those of the inputs.
    factors
        Refinement factors of training; empty for a model that only forecasts.
    times
        Times of a day that the targets are, named by
        :func:`~flexclim.models.channels.value_at`; 1: the model does not split days.
    residual_scale
        Standard deviation of each target's scaled residual, by factor; the unit of the network's
        output.
    forecast
        How the model forecasts its targets; None: it does not forecast.
    """

    network: NetworkSettings
    diffusion: DiffusionSettings = DiffusionSettings()
    method: Method = "ddim"
    steps: int = Field(default=2, ge=1, le=1000)
    noise_scale: NoiseScale = 1.0
    noise_amplitude: float = Field(default=0.0, ge=0, le=2)
    scaling: Literal["local", "fixed"] = "local"
    label: Literal["factor", "none"] | tuple[Label, ...] = "factor"
    operator: Literal["block_mean", "minflex"] = "block_mean"
    conserve: bool = True
    halo: int = Field(ge=0)
    grid: Kind | None = None
    perfect_prognosis: bool = False
    inputs: tuple[Variable, ...] | None = Field(default=None, min_length=1, max_length=1024)
    targets: tuple[Target, ...] | None = Field(default=None, min_length=1, max_length=1024)
    statics: tuple[Static, ...] = Field(default=(), max_length=1024)
    factors: tuple[Factor, ...] = ()
    times: int = Field(default=1, ge=1, le=24)
    residual_scale: dict[Factor, tuple[Annotated[float, Field(gt=0)], ...]] = Field(default={})
    forecast: Forecasting | None = None

    def named(self, *, vector: bool = False) -> ModelSettings:
        """Return the settings with inputs and targets, also for a model of any one variable.

        Parameters
        ----------
        vector
            Whether that variable is an eastward or northward component.
        """
        if self.inputs is not None:
            return self
        variable = Target(name=ANY, base=ANY, vector=vector)
        return self.model_copy(update={"inputs": (variable,), "targets": (variable,)})

    def hashed(self) -> dict[str, JsonValue]:
        """Return the settings that count in the hash of a model, as JSON values.

        Settings at their defaults (of the network: at ``UNHASHED``) are left out, so that settings
        added by later versions do not change the hash of earlier models.
        """
        network = self.network.model_dump(mode="json").items()
        values: dict[str, JsonValue] = self.model_dump(mode="json", exclude_defaults=True)
        values["network"] = {
            name: value
            for name, value in network
            if name not in UNHASHED or value != UNHASHED[name]
        }
        return values

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the task encoders in use."""
        return (SUPERRES,) * bool(self.factors) + (FORECAST,) * (self.forecast is not None)

    def noise_scale_of(self, task: str) -> float:
        """Return the factor on the spread of members for a task."""
        own = self.forecast.noise_scale if self.forecast and task == FORECAST else None
        return self.noise_scale if own is None else own

    @property
    def predictors(self) -> int:
        """Number of channels of all static predictors."""
        return sum(static.channels for static in self.statics)

    @property
    def labels(self) -> tuple[Label, ...]:
        """Parts of the label."""
        if isinstance(self.label, str):
            return (Label(name="factor"),) if self.label == "factor" else ()
        return self.label

    @property
    def label_optional(self) -> bool:
        """Whether the model was also trained without its label, so that it can be left out."""
        return is_optional(self.labels)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.inputs is None) != (self.targets is None):
            raise ValueError("inputs and targets go together: give both or neither")
        inputs, targets = self.inputs or (None,), self.targets or (None,)
        channels = self.network.channels
        if len(targets) != channels:
            raise ValueError(f"{channels} channels do not match {len(targets)} targets")
        if not self.tasks:
            raise ValueError("neither factors nor forecast is given; a model needs one of them")
        past = self.forecast.past if self.forecast else 0
        for task in self.tasks:
            seen = self.network.conditions.get(task)
            read = len(inputs) if task == SUPERRES else past * len(targets)
            if read + self.predictors != seen:
                raise ValueError(
                    f"{seen} channels of conditions.{task} do not match {read} inputs and "
                    f"{self.predictors} channels of static fields"
                )
        size = sum(part.size for part in self.labels)
        if self.labels and size != self.network.label_size:
            raise ValueError(
                f"label_size is {self.network.label_size}, but label has {size} numbers"
            )
        if (self.factors == (1,)) != (self.times > 1):
            raise ValueError(f"times {self.times} does not go with factors {self.factors}")
        if missing := set(self.factors) - set(self.residual_scale):
            raise ValueError(f"residual_scale lacks factor {min(missing)}")
        if wrong := [f for f, values in self.residual_scale.items() if len(values) != channels]:
            raise ValueError(f"residual_scale of factor {wrong[0]} needs {channels} numbers")
        if 2 * self.halo > min(self.network.tile):
            raise ValueError(f"halo {self.halo} is more than half of tile {self.network.tile}")
        return self

    @model_validator(mode="after")
    def _can_forecast(self) -> Self:
        forecast = self.forecast
        if forecast is None:
            return self
        if self.targets is None:
            raise ValueError("forecast needs named targets")
        if list(forecast.leads) != sorted(set(forecast.leads)):
            raise ValueError(f"leads {forecast.leads} do not increase")
        sizes = [len(values) for values in forecast.residual_scale]
        if sizes != [self.network.channels] * len(forecast.leads):
            raise ValueError(
                f"forecast.residual_scale needs {self.network.channels} numbers for each of "
                f"{len(forecast.leads)} leads"
            )
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        for part in (self.inputs, self.targets, self.statics):
            names = [channel.name for channel in part or ()]
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{min(twice)!r} appears twice")
        known = {variable.name: variable for variable in self.inputs or ()}
        for target in self.targets or ():
            if target.base is None:
                if self.scaling == "local":
                    raise ValueError(f"{target.name!r} needs a base: scaling is local")
                continue
            if target.base not in known:
                raise ValueError(f"base {target.base!r} of {target.name!r} is not an input")
            for setting in ("transform", "unit", "vector"):
                if getattr(target, setting) != getattr(known[target.base], setting):
                    raise ValueError(
                        f"{target.name!r} and its base {target.base!r} differ in {setting}"
                    )
        return self
