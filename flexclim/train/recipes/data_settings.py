"""The data section of a recipe: sources, variables, predictors, and how patches are cut."""

from __future__ import annotations

import datetime
import difflib
import os
from typing import Any, Literal, Self

import pandas as pd
from pydantic import Field, field_validator, model_validator

from flexclim.grids.domain import Kind
from flexclim.models.settings import COMPUTED
from flexclim.nn.configuration import Settings

Transform = Literal["none", "log1p", "sqrt"]
SAME = "same"


class Derived(Settings):
    """A variable computed from others of the same source; give one of the two."""

    wind_speed: tuple[str, str] | None = Field(
        default=None, description="the two components; sqrt(u^2 + v^2)"
    )
    kinetic_energy: tuple[str, str] | None = Field(
        default=None, description="the two components; (u^2 + v^2) / 2, in m2 s-2"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.wind_speed is None) == (self.kinetic_energy is None):
            raise ValueError("give either wind_speed or kinetic_energy, with two components")
        return self


class Bare(Settings):
    """What an HDF5 file with a bare array (time, channel, y, x) or (time, y, x) does not say."""

    dataset: str = Field(default="fields", description="name of the array in the file")
    channels: tuple[str, ...] = Field(min_length=1, description="variable of each channel")
    latitude: tuple[float, float] | None = Field(
        default=None, description="latitude of the first and the last row; none: a plane"
    )
    longitude: tuple[float, float] | None = Field(
        default=None, description="longitude of the first and the last column"
    )
    start: str | None = Field(default=None, description="first time; none: times are counted")
    every: str = Field(default="1h", description="time step, such as 6h, where start is given")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("give both latitude and longitude, or none of them")
        return self


class Rain(Settings):
    """Which patches hold enough of a field that is mostly zero."""

    wet: float = Field(gt=0, le=1, description="share of a patch's coarse cells above the limit")
    above: float = Field(default=0.0, description="the limit, in the variable's units")
    share: float = Field(default=1.0, gt=0, le=1, description="share of patches that must do so")
    variable: str | None = Field(default=None, description="which; none: the first target")


class Turbulence(Settings):
    """Simulated two-dimensional turbulence; lengths in sides / 2 pi, speeds of about 1."""

    size: int = Field(default=256, ge=16, description="cells a side of the periodic square")
    runs: int = Field(default=8, ge=1, description="independent flows")
    snapshots: int = Field(default=8, ge=1, description="fields of each flow")
    first: float = Field(default=2.0, ge=0, description="time of the first snapshot")
    every: float = Field(default=1.0, gt=0, description="time between snapshots")
    slope: float = Field(default=-3.0, lt=0, description="slope of the first energy spectrum")
    peak: float = Field(default=6.0, gt=0, description="wavenumber of its largest energy")
    forced_at: float = Field(
        default=0.0, ge=0, description="wavenumber that is forced; 0: the flow decays"
    )
    power: float = Field(default=0.1, gt=0, description="energy that forcing brings in")
    drag: float = Field(default=0.0, ge=0, description="friction of all scales")
    viscosity: float = Field(default=1e-4, ge=0, description="1 / Reynolds number for order 1")
    order: int = Field(default=1, ge=1, le=8, description="power of the Laplacian of viscosity")
    seed: int = Field(default=0, ge=0, description="of the first fields and the forcing")


class Reading(Settings):
    """Files, and how their content is named and repaired."""

    path: str | tuple[str, ...] = Field(
        default="",
        description="NetCDF or HDF5 file, Zarr store, glob or URL (gs://, s3://, https://), or a "
        "list of files that follow each other in time; relative to data.folder",
    )
    turbulence: Turbulence | None = Field(
        default=None, description="simulated flows (u, v, vorticity) instead of files"
    )
    # Keys and tokens: a dump, which cards, checkpoints and logs publish, leaves them out.
    storage: dict[str, Any] = Field(
        default={},
        exclude=True,
        repr=False,
        description="options of fsspec for a URL, such as {token: anon}; never published",
    )
    rename: dict[str, str] = Field(default={}, description="new names, by name in the file")
    select: dict[str, float | str] = Field(
        default={}, description="value of each further dimension, such as {level: 500}"
    )
    accumulated: tuple[str, ...] = Field(
        default=(),
        description="variables that accumulate from 00 UTC, which differences of times undo",
    )
    derive: dict[str, Derived] = Field(default={}, description="computed variables, by name")
    largest: float | dict[str, float] | None = Field(
        default=None, description="values above this are missing; for all, or by variable"
    )
    bare: Bare | None = Field(
        default=None, description="names and coordinates of an HDF5 file without any"
    )
    coarsen: int = Field(
        default=1, ge=1, le=64, description="cells a side that are averaged first; 1: none"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.path) == bool(self.turbulence):
            raise ValueError("give either path or turbulence")
        return self

    @property
    def title(self) -> str:
        """What messages and cards call it."""
        if self.turbulence:
            return "turbulence"
        return self.path if isinstance(self.path, str) else self.path[0]

    def largest_of(self, name: str) -> float | None:
        """Return the largest value that a variable may have."""
        return self.largest.get(name) if isinstance(self.largest, dict) else self.largest


class Source(Reading):
    """Fine fields, which training coarsens on the fly unless ``coarse`` names their partner."""

    coarse: Reading | None = Field(
        default=None, description="the coarse partner of a real pair, on a grid of its own"
    )
    grid: Kind | None = Field(
        default=None,
        description="cell or point: the coarse grid of a pair, where coordinates can't tell",
    )
    variables: tuple[str, ...] = Field(
        default=(), description="variables to learn from one at a time, where data.inputs is empty"
    )
    train: tuple[str, str] = Field(description="first and last time (or index) of training")
    validate_: tuple[str, str] | None = Field(
        default=None, alias="validate", description="first and last time (or index) of validation"
    )
    licence: str = Field(default="unspecified", description="whose data it is, for the card")
    weight: float = Field(default=1.0, gt=0, description="share of patches, relative to the others")
    signed: bool = Field(
        default=False,
        description="the sign of a field learnt on its own may be flipped (vector components)",
    )
    rain: Rain | None = Field(default=None, description="rain-aware sampling")
    label: dict[str, float] = Field(
        default={}, description="numbers that data.label tells, such as {reynolds: 1000}"
    )
    static_file: str = Field(
        default="", description="file of this source's statics; empty: data.static_file"
    )

    @field_validator("train", "validate_", mode="before")
    @classmethod
    def _as_text(cls, period: Any) -> Any:
        """Take dates and counts as YAML reads them without quotes."""
        if not isinstance(period, list | tuple):
            return period
        kinds = int, datetime.date
        return [str(part).replace(" ", "T") if isinstance(part, kinds) else part for part in period]


class Input(Settings):
    """A coarse variable that the network reads."""

    name: str = Field(min_length=1, description="name after data.sources renamed and derived it")
    transform: Transform = Field(
        default="none", description="none, log1p of value / unit, or its square root"
    )
    unit: float = Field(default=1.0, gt=0, description="scale of the transform")
    component: Literal["x", "y"] | None = Field(
        default=None,
        description="x (eastward) or y (northward) part of a vector, whose sign flips change; "
        "none: as names and attributes say",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, values: Any) -> Any:
        return {"name": values} if isinstance(values, str) else values


class Target(Input):
    """A fine variable that the network predicts."""

    base: str | None = Field(
        default=SAME,
        description="input whose interpolation it is the residual of; same: the input of its name; "
        "null: none, so that all of it is predicted",
    )

    non_negative: bool | None = Field(
        default=None, description="whether values below 0 make no sense; null: as its names say"
    )

    @property
    def base_name(self) -> str | None:
        """Name of the base input, or None."""
        return self.name if self.base == SAME else self.base


class Told(Settings):
    """A number or several that the network is told of each patch as a whole."""

    name: str = Field(
        min_length=1,
        description="factor, lead, day_of_year, variable, or a number of sources.label",
    )
    values: tuple[str, ...] = Field(default=(), description="names of variables, for variable")
    logarithm: bool = Field(default=False, description="whether a source's number counts as log10")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, values: Any) -> Any:
        return {"name": values} if isinstance(values, str) else values

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.name == "given":
            raise ValueError("given comes with trainer.label_dropout")
        if bool(self.values) != (self.name == "variable"):
            raise ValueError("the label variable, and no other, needs values")
        return self


class Forecast(Settings):
    """How forecasts are learnt: the change from the last of some snapshots to the next."""

    past: int = Field(default=2, ge=1, le=64, description="snapshots that the network reads")
    leads: dict[str, float] = Field(
        default={"6h": 1.0},
        min_length=1,
        description="steps ahead, with the share of patches of each; snapshots lie as far apart",
    )
    rollout: int = Field(
        default=1,
        ge=1,
        le=32,
        description="steps that few-step fine-tuning takes at most, from its own members; as many "
        "as each batch draws",
    )

    @field_validator("leads", mode="before")
    @classmethod
    def _as_text(cls, leads: Any) -> Any:
        """Take a number as YAML reads it, so that what it lacks is told: a unit."""
        return {str(k): share for k, share in leads.items()} if isinstance(leads, dict) else leads

    @property
    def hours(self) -> dict[float, float]:
        """Shares by lead in hours, the shortest first."""
        return dict(sorted((span_hours(lead), share) for lead, share in self.leads.items()))

    @model_validator(mode="after")
    def _durations(self) -> Self:
        if len(self.hours) < len(self.leads):
            raise ValueError(f"a lead appears twice among {', '.join(self.leads)}")
        if bad := [share for share in self.leads.values() if not share > 0]:
            raise ValueError(f"the share {bad[0]:g} of a lead is not positive")
        return self


def span_hours(lead: str) -> float:
    """Return a time span such as ``"6h"`` in hours.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        hours = pd.Timedelta(lead).total_seconds() / 3600
    except ValueError:
        hours = 0.0
    if not hours >= 1e-3:  # a number without a unit counts nanoseconds
        raise ValueError(f"{lead!r} is no time span such as 6h")
    return float(hours)


class Predictor(Settings):
    """A field that does not change with the weather."""

    name: str = Field(
        min_length=1,
        description=f"variable of static_file, or computed: {', '.join(COMPUTED)}",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, values: Any) -> Any:
        return {"name": values} if isinstance(values, str) else values


class Data(Settings):
    """Where fields come from and how patches are cut."""

    folder: str = Field(
        default_factory=lambda: os.environ.get("FLEXCLIM_DATA", "data"),
        description="folder of the sources; FLEXCLIM_DATA where not given",
    )
    sources: tuple[Source, ...] = Field(min_length=1, description="files to learn from")
    inputs: tuple[Input, ...] = Field(
        default=(), description="coarse variables; empty: any variable, one at a time"
    )
    targets: tuple[Target, ...] = Field(
        default=(), description="fine variables; empty: the same as inputs"
    )
    statics: tuple[Predictor, ...] = Field(default=(), description="static predictors")
    static_file: str = Field(default="", description="NetCDF file or Zarr store of the statics")
    scaling: Literal["local", "fixed"] = Field(
        default="local",
        description="local: by the field's own neighbourhood, as flex-nano; fixed: by mean and "
        "standard deviation of the training split",
    )
    tasks: dict[Literal["superres", "forecast"], float] = Field(
        default={"superres": 1.0},
        min_length=1,
        description="what is learnt, with the share of steps of each",
    )
    factors: dict[int, float] = Field(
        default={4: 1.0},
        min_length=1,
        description="refinement factors, with the share of patches of each",
    )
    forecast: Forecast = Field(default=Forecast(), description="how forecasts are learnt")
    label: tuple[Told, ...] | None = Field(
        default=None,
        description="what the network is told; null: factor and lead, as far as they are learnt",
    )
    points: float = Field(
        default=0.4, ge=0, le=1, description="share of patches coarsened as a grid of points"
    )
    gap: str = Field(
        default="0h", description="training times this near to validation are left out"
    )
    augment: tuple[Literal["flip_x", "flip_y", "turn"], ...] | None = Field(
        default=None,
        description="mirror images of patches, vectors too, and quarter turns (of variables learnt "
        "one at a time, where cells are alike: projected grids); null: all where variables are "
        "learnt one at a time, else none",
    )
    workers: int = Field(
        default=0, ge=0, description="processes a rank that make patches; 0: one thread"
    )

    @property
    def named(self) -> bool:
        """Whether the model takes named variables together, not any one at a time."""
        return bool(self.inputs)

    @property
    def downscales(self) -> bool:
        """Whether downscaling is learnt."""
        return "superres" in self.tasks

    @property
    def forecasts(self) -> bool:
        """Whether forecasting is learnt."""
        return "forecast" in self.tasks

    @property
    def told(self) -> tuple[Told, ...]:
        """The parts of the label."""
        if self.label is not None:
            return self.label
        parts = {"factor": self.downscales, "lead": self.forecasts}
        return tuple(Told(name=name) for name, learnt in parts.items() if learnt)

    @property
    def all_targets(self) -> tuple[Target, ...]:
        """The targets, which are the inputs where none are given."""
        return self.targets or tuple(
            Target(**part.model_dump(exclude_unset=True)) for part in self.inputs
        )

    @property
    def flips(self) -> tuple[str, ...]:
        """How patches are mirrored and turned at random."""
        if self.augment is None:
            return () if self.named else ("flip_y", "flip_x", "turn")
        return self.augment

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for number, source in enumerate(self.sources):
            if self.named and source.variables:
                raise ValueError(f"sources.{number}.variables goes only without inputs")
            if not self.named and not source.variables:
                raise ValueError(
                    f"sources.{number}.variables is missing; or name inputs for all sources"
                )
            if source.coarse and not self.named:
                raise ValueError(f"sources.{number}.coarse needs inputs and targets by name")
            if source.coarse and len(self.factors) > 1:
                raise ValueError("a pair has one factor, that of its grids")
        if not self.named and (self.targets or self.statics or self.scaling == "fixed"):
            raise ValueError("targets, statics and fixed scaling need inputs by name")
        if bad := [factor for factor in self.factors if not 2 <= factor <= 64]:
            raise ValueError(f"factor {bad[0]} is not between 2 and 64")
        if bad_share := [share for share in self.factors.values() if not share > 0]:
            raise ValueError(f"the share {bad_share[0]:g} of a factor is not positive")
        if bad_share := [share for share in self.tasks.values() if not share > 0]:
            raise ValueError(f"the share {bad_share[0]:g} of a task is not positive")
        if self.forecasts:
            self._check_forecasts()
        self._check_label()
        self._check_names()
        self._check_rain()
        return self

    def _check_forecasts(self) -> None:
        if not self.named:
            raise ValueError("forecasts need inputs by name")
        own = {part.name for part in self.all_targets} <= {part.name for part in self.inputs}
        if not own or any(source.coarse for source in self.sources):
            raise ValueError("forecasts need targets that are inputs too, and no coarse partner")
        made = [part.name for part in self.all_targets]
        for part in self.inputs:
            if part.name not in made and not self.downscales:
                raise ValueError(
                    f"forecasts read what they make: input {part.name} is no target; leave it out"
                )
        for number, source in enumerate(self.sources):
            if source.rain and source.rain.variable not in (None, *made):
                raise ValueError(
                    f"sources.{number}.rain.variable {source.rain.variable} is not forecast; name "
                    f"one of {', '.join(made)}"
                )

    def _check_label(self) -> None:
        known = {"factor", "lead", "day_of_year", "variable"}
        for name in {part.name for part in self.told} - known:
            lacking = [i for i, source in enumerate(self.sources) if name not in source.label]
            if lacking:
                raise ValueError(
                    f"label {name} is none of {', '.join(sorted(known))}, and "
                    f"sources.{lacking[0]}.label does not give it"
                )

    def _check_rain(self) -> None:
        shared = [part.name for part in (*self.inputs, *self.all_targets)] if self.named else []
        for number, source in enumerate(self.sources):
            name = source.rain.variable if source.rain else None
            known = list(dict.fromkeys(shared or source.variables))
            if name is None:
                continue
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                raise ValueError(
                    f"sources.{number}.rain.variable {name} is not learnt from; {hint}"
                )
            if not self.named and len(known) > 1:
                raise ValueError(
                    f"sources.{number}.rain.variable: {', '.join(known)} are learnt one at a time, "
                    f"and only {name} has it; make {name} a source of its own"
                )

    def _check_names(self) -> None:
        for group in (self.inputs, self.targets, self.statics):
            names = [part.name for part in group]
            if len(set(names)) < len(names):
                raise ValueError(f"a name appears twice among {', '.join(names)}")
        inputs = {part.name: part for part in self.inputs}
        for target in self.all_targets if self.named else ():
            base = target.base_name
            if base is None and self.scaling == "local":
                raise ValueError(f"target {target.name} without base needs scaling: fixed")
            if base is not None and base not in inputs:
                raise ValueError(
                    f"base of target {target.name} is {base}, which is no input; name one of "
                    f"{', '.join(inputs)}, or null with scaling: fixed"
                )
            if base is not None and (target.transform, target.unit) != (
                inputs[base].transform,
                inputs[base].unit,
            ):
                raise ValueError(
                    f"target {target.name} and its base {base} need the same transform and unit"
                )
            if base is not None and target.component != inputs[base].component:
                raise ValueError(
                    f"target {target.name} and its base {base} need the same component"
                )
        fixed = [part.name for part in self.statics if part.name not in COMPUTED]
        for source in self.sources:
            if fixed and not (source.static_file or self.static_file):
                raise ValueError(f"static_file is missing: where {fixed[0]} is read from")
        if self.named and "turn" in self.flips:
            raise ValueError("augment: turn goes only without inputs")
        if self.flips and (turned := {part.name for part in self.statics} & set(COMPUTED)):
            raise ValueError(
                f"augment and the static {min(turned)} do not go together: a mirrored patch "
                "lies nowhere on the globe"
            )
