"""What a recipe says of each variable that a network reads or predicts, and of its label."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from flexclim.models.channels import COMPUTED
from flexclim.nn.configuration import Settings

Transform = Literal["none", "log1p", "sqrt"]
SAME = "same"


class Channel(Settings):
    """A variable that the network reads or predicts."""

    name: str = Field(min_length=1, description="name, after rename and derive of the source")
    transform: Transform = Field(
        default="none",
        description="none; log1p, log(1 + value / unit); sqrt, square root of value / unit",
    )
    unit: float = Field(default=1.0, gt=0, description="scale of the transform")
    component: Literal["x", "y", "rotation", "scalar"] | None = Field(
        default=None,
        description="what changes its sign in mirror images: x (eastward) or y (northward) "
        "component of a vector, or rotation (vorticity, stream function); scalar: nothing; null: "
        "derived from name and attributes",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, values: object) -> object:
        return {"name": values} if isinstance(values, str) else values


class Input(Channel):
    """An input variable of the network, on the coarse grid."""

    lags: tuple[str, ...] = Field(
        default=(),
        description="of predictors: spans before the target, such as [0h, 24h, 48h], each an input "
        "of its own; empty: the time of the target alone",
    )

    @property
    def lagged(self) -> tuple[Input, ...]:
        """One input for each of the lags; itself, if there are none.

        >>> [part.name for part in Input(name="q@850", lags=["0h", "24h"]).lagged]
        ['q@850', 'q@850@-24h']
        """
        if not self.lags:
            return (self,)
        none = [lag for lag in self.lags if lag.strip("0") in ("", "h", "d", "D")]
        names = [self.name if lag in none else f"{self.name}@-{lag}" for lag in self.lags]
        return tuple(self.model_copy(update={"name": name, "lags": ()}) for name in names)


class Target(Channel):
    """An output variable of the network, on the fine grid."""

    base: str | None = Field(
        default=SAME,
        description="input whose interpolation the residual is added to; same: the input of this "
        "name; null: none, the network predicts the whole field",
    )

    non_negative: bool | None = Field(
        default=None,
        description="whether negative values are unphysical; null: derived from standard_name and "
        "units",
    )

    @property
    def base_name(self) -> str | None:
        """Name of the base input, or None."""
        return self.name if self.base == SAME else self.base


class LabelPart(Settings):
    """A part of the label: numbers that condition the network on a whole patch."""

    name: str = Field(
        min_length=1,
        description="factor, lead, spacing, component, day_of_year, variable, or a number of "
        "sources.label",
    )
    values: tuple[str, ...] = Field(
        default=(), description="names of variables; only for the label variable"
    )
    logarithm: bool = Field(default=False, description="whether to take log10 of the number")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, values: object) -> object:
        return {"name": values} if isinstance(values, str) else values

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.name == "given":
            raise ValueError("given is added by trainer.label_dropout; remove it")
        if bool(self.values) != (self.name == "variable"):
            raise ValueError("values go with the label variable, and only with it")
        return self


class Predictor(Settings):
    """A static predictor, or one computed from place and time."""

    name: str = Field(
        min_length=1,
        description=f"variable of static_file, or computed: {', '.join(COMPUTED)}",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, values: object) -> object:
        return {"name": values} if isinstance(values, str) else values
