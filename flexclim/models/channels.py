"""Channels that a network reads and predicts, and the label that conditions it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flexclim.models.strict_settings import StrictSettings

Name = Annotated[str, Field(min_length=1, max_length=100)]
# Static predictors that are computed from coordinates.
COMPUTED = "latitude", "day_of_year", "solar_time"
# Parts of the label that are not coordinates of the input.
LABELS = "factor", "lead", "spacing", "component", "day_of_year", "variable", "given"


def hours_of(count: int) -> range:
    """Return the hours of ``count`` times of a day, which is a divisor of 24.

    >>> list(hours_of(4))
    [0, 6, 12, 18]
    """
    return range(0, 24, 24 // count)


def value_at(name: str, hour: int) -> str:
    """Return the name of the channel of a variable at an hour of the day.

    >>> value_at("u10", 6)
    'u10+06'
    """
    return f"{name}+{hour:02d}"


def interpolated_at(name: str, hour: int) -> str:
    """Return the name of the channel of a daily variable interpolated to an hour of the day."""
    return f"{name}~{hour:02d}"


class Variable(StrictSettings):
    """An input channel of the network: a coarse variable, transformed and normalised.

    Parameters
    ----------
    name
        Name in the Dataset.
    transform, unit
        ``"log1p"``: log(1 + x / unit). ``"sqrt"``: sqrt(x / unit). Both are odd functions:
        f(-x) = -f(x).
    mean, std
        Mean and standard deviation of transformed training data, for scaling ``"fixed"``.
    vector
        Whether it is an eastward or northward component, whose sign changes across a pole. Its
        mean must be 0, so that the sign of normalised values changes too.
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
    """An output channel of the network.

    Parameters
    ----------
    base
        Input whose interpolation the predicted residual is added to, with the same transform,
        unit and units. None: the network predicts the whole field, as an anomaly from its mean.
    non_negative
        Whether negative values are unphysical; default: derived from standard_name and units.
    """

    base: Name | None = None
    non_negative: bool | None = None


class Static(StrictSettings):
    """A predictor that is not in the coarse input; the network reads (x - mean) / std.

    Parameters
    ----------
    name
        A field of ``static=``, such as ``"orography"``, or a computed one: ``"latitude"`` (its
        sine), ``"day_of_year"`` or ``"solar_time"`` (sine and cosine of the phase).
    """

    name: Name
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return 2 if self.timely else 1

    @property
    def timely(self) -> bool:
        """Whether it depends on time."""
        return self.name in ("day_of_year", "solar_time")

    @property
    def computed(self) -> bool:
        """Whether it is computed from coordinates rather than read from a file."""
        return self.name in COMPUTED


class Label(StrictSettings):
    """A part of the label: numbers that condition the network on a whole tile.

    Parameters
    ----------
    name
        ``"factor"``: log2(factor) - 2. ``"lead"``: log2(lead / 6 h). ``"spacing"``: log10 of the
        fine rows' spacing over 30 km, and 1, or zeros if it is unknown. ``"component"``: 1 for an
        eastward component (along x), -1 for a northward one, 0 for scalars. ``"day_of_year"``:
        sine and cosine of its phase. ``"variable"``: one-hot encoding of the variable among
        ``values``.
        ``"given"``: 1, or 0 where the label is left out; of models trained with label dropout.
        Another name: a scalar coordinate of the input, such as ``"reynolds"``.
    values
        Names of variables, for ``"variable"``.
    logarithm
        Whether to take log10 of a coordinate.
    mean, std
        Mean and standard deviation that normalise a coordinate, after ``logarithm``.
    """

    name: Name
    values: tuple[Name, ...] = Field(default=(), max_length=1024)
    logarithm: bool = False
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return {"spacing": 2, "day_of_year": 2, "variable": len(self.values)}.get(self.name, 1)

    @property
    def coordinate(self) -> bool:
        """Whether it is read from a coordinate of the input."""
        return self.name not in LABELS


def is_optional(parts: Sequence[Label]) -> bool:
    """Return whether a label has the part ``"given"``, which marks training without labels."""
    return any(part.name == "given" for part in parts)
