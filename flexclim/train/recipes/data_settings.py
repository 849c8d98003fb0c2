"""The data section of a recipe: sources, variables, predictors and patches."""

from __future__ import annotations

import difflib
import os
from typing import Literal, Self

import pandas as pd
from pydantic import Field, field_validator, model_validator

from flexclim.cf.predictor_names import read_name
from flexclim.models.channels import COMPUTED, LABELS
from flexclim.nn.configuration import Settings
from flexclim.train.recipes.channel_settings import Input, LabelPart, Predictor, Target
from flexclim.train.recipes.day_channels import check_times, split_channels
from flexclim.train.recipes.source_settings import SourceSettings


class Forecast(Settings):
    """Training of forecasts: the network predicts the change from the last snapshot to the next."""

    past: int = Field(default=2, ge=1, le=64, description="input snapshots of the network")
    leads: dict[str, float] = Field(
        default={"6h": 1.0},
        min_length=1,
        description="time steps, with the relative share of patches for each; input snapshots are "
        "one time step apart",
    )
    rollout: int = Field(
        default=1,
        ge=1,
        le=32,
        description="longest roll-out in few-step fine-tuning; each batch draws its length from 1 "
        "to this",
    )

    @field_validator("leads", mode="before")
    @classmethod
    def _as_text(cls, leads: object) -> object:
        """Accept a number, so that the error says that it lacks a unit."""
        return {str(k): share for k, share in leads.items()} if isinstance(leads, dict) else leads

    @property
    def hours(self) -> dict[float, float]:
        """Shares by lead in hours, in increasing order."""
        return dict(sorted((span_hours(lead), share) for lead, share in self.leads.items()))

    @model_validator(mode="after")
    def _durations(self) -> Self:
        if len(self.hours) < len(self.leads):
            raise ValueError(f"a lead appears twice among {', '.join(self.leads)}")
        if bad := [share for share in self.leads.values() if not share > 0]:
            raise ValueError(f"the share {bad[0]:g} of a lead is not positive")
        return self


def span_hours(lead: str) -> float:
    """Convert a time span such as ``"6h"`` to hours.

    Raises
    ------
    ValueError
        If the text is not a time span.
    """
    try:
        hours = pd.Timedelta(lead).total_seconds() / 3600
    except ValueError:
        hours = 0.0
    if not hours >= 1e-3:  # a number without a unit counts nanoseconds
        raise ValueError(f"{lead!r} is not a time span such as 6h")
    return float(hours)


class Data(Settings):
    """Sources, variables and patches."""

    folder: str = Field(
        default_factory=lambda: os.environ.get("FLEXCLIM_DATA", "data"),
        description="folder of the sources; default: FLEXCLIM_DATA",
    )
    sources: tuple[SourceSettings, ...] = Field(min_length=1, description="training data")
    inputs: tuple[Input, ...] = Field(
        default=(), description="input variables; empty: train on any variable, one at a time"
    )
    targets: tuple[Target, ...] = Field(
        default=(), description="output variables; empty: the same as inputs"
    )
    statics: tuple[Predictor, ...] = Field(default=(), description="static predictors")
    static_file: str = Field(
        default="", description="NetCDF file or Zarr store of the static fields"
    )
    scaling: Literal["local", "fixed"] = Field(
        default="local",
        description="local: by local mean and amplitude, as flex-nano; fixed: by mean and standard "
        "deviation of the training split",
    )
    tasks: dict[Literal["superres", "forecast"], float] = Field(
        default={"superres": 1.0},
        min_length=1,
        description="superres and forecast, with the relative share of steps for each",
    )
    factors: dict[int, float] = Field(
        default={4: 1.0},
        min_length=1,
        description="refinement factors, with the relative share of patches for each",
    )
    times: int = Field(
        default=1,
        ge=1,
        le=24,
        description="times of a day of each variable, as channels: the model splits days into "
        "them, from the daily mean and its neighbours; 1: none",
    )
    forecast: Forecast = Field(default=Forecast(), description="training of forecasts")
    label: tuple[LabelPart, ...] | None = Field(
        default=None,
        description="label of the network; null: factor and lead, as far as the tasks have them",
    )
    points: float = Field(
        default=0.4, ge=0, le=1, description="fraction of patches coarsened as a grid of points"
    )
    gap: str = Field(
        default="0h", description="leave out training times within this span of validation times"
    )
    colder_half: str | None = Field(
        default=None,
        description="input or target: train on the colder half of the training period by its mean "
        "(whole years, if there are four), and report how much of the change to the warmer half "
        "the model reproduces",
    )
    augment: tuple[Literal["flip_x", "flip_y", "turn"], ...] | None = Field(
        default=None,
        description="random mirror images (with vectors) and quarter turns of patches; quarter "
        "turns need training on one variable at a time, and are made on projected grids only; "
        "null: all if variables are trained one at a time, else none",
    )
    workers: int = Field(
        default=0, ge=0, description="processes per rank that prepare patches; 0: one thread"
    )

    @property
    def named(self) -> bool:
        """Whether the model has named inputs, rather than any variable, one at a time."""
        return bool(self.inputs)

    @property
    def perfect_prognosis(self) -> bool:
        """Whether inputs are predictors on grids of their own."""
        return any(source.predictors for source in self.sources)

    @property
    def downscales(self) -> bool:
        """Whether the model is trained to downscale."""
        return "superres" in self.tasks

    @property
    def forecasts(self) -> bool:
        """Whether the model is trained to forecast."""
        return "forecast" in self.tasks

    @property
    def label_parts(self) -> tuple[LabelPart, ...]:
        """Parts of the label."""
        if self.label is not None:
            return self.label
        parts = {"factor": self.downscales, "lead": self.forecasts}
        return tuple(LabelPart(name=name) for name, trained in parts.items() if trained)

    @property
    def all_targets(self) -> tuple[Target, ...]:
        """Targets; the inputs if none are given."""
        return self.targets or tuple(
            Target(**part.model_dump(exclude_unset=True, exclude={"lags"})) for part in self.inputs
        )

    @property
    def flips(self) -> tuple[str, ...]:
        """Random mirror images and turns of patches."""
        if self.augment is None:
            return () if self.named else ("flip_y", "flip_x", "turn")
        return self.augment

    @model_validator(mode="before")
    @classmethod
    def _times_as_channels(cls, values: object) -> object:
        """Name a channel for each time of the day, where variables are named alone."""
        if not isinstance(values, dict) or not isinstance(values.get("times"), int):
            return values
        return values | split_channels(values)

    @field_validator("inputs", mode="after")
    @classmethod
    def _with_lags(cls, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        """Replace inputs with lags by one input for each lag, and check what their names tell."""
        parts = tuple(one for part in inputs for one in part.lagged)
        for part in parts:
            read_name(part.name)
        return parts

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.times > 1:
            check_times(self)
        self._check_predictors()
        self._check_halves()
        for number, source in enumerate(self.sources):
            if self.named and source.variables:
                raise ValueError(f"sources.{number}.variables goes only without inputs")
            if not self.named and not source.variables:
                raise ValueError(
                    f"sources.{number}.variables is missing; or name inputs for all sources"
                )
            if source.coarse and not self.named:
                raise ValueError(f"sources.{number}.coarse needs inputs and targets by name")
            if (source.coarse or source.predictors) and len(self.factors) > 1:
                raise ValueError("a pair has one factor, that of its grids")
        if not self.named and (self.targets or self.statics or self.scaling == "fixed"):
            raise ValueError("targets, statics and fixed scaling need inputs by name")
        if bad := [one for one in self.factors if not 2 <= one <= 64 and self.times == 1]:
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

    def _check_halves(self) -> None:
        known = [part.name for part in (*self.inputs, *self.all_targets)]
        if self.colder_half is None:
            return
        if not self.named or not self.downscales:
            raise ValueError("colder_half needs inputs by name, and downscaling")
        if self.colder_half not in known:
            raise ValueError(
                f"colder_half {self.colder_half} is no variable of training; name one of "
                f"{', '.join(dict.fromkeys(known))}"
            )

    def _check_predictors(self) -> None:
        with_predictors = [bool(source.predictors) for source in self.sources]
        if not any(with_predictors):
            if lagged := [part.name for part in self.inputs if read_name(part.name).lag_hours]:
                raise ValueError(f"input {lagged[0]} has a lag, which needs sources.predictors")
            return
        if not all(with_predictors):
            number = with_predictors.index(False)
            raise ValueError(f"sources.{number}.predictors is missing; the other sources have them")
        if any(source.coarse for source in self.sources):
            raise ValueError("a source has either coarse or predictors")
        if not self.named or self.scaling != "fixed" or self.forecasts:
            raise ValueError("predictors need inputs by name, scaling: fixed, and no forecasts")
        if not self.targets:
            raise ValueError("predictors need targets by name, each with its base, or base: null")

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
        known = {*LABELS} - {"given"}
        for name in {part.name for part in self.label_parts} - known:
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
                    f"sources.{number}.rain.variable {name} is not a variable of training; {hint}"
                )
            if not self.named and len(known) > 1:
                raise ValueError(
                    f"sources.{number}.rain.variable: training is on one of {', '.join(known)} "
                    f"at a time, and only {name} has it; make {name} a source of its own"
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
                    f"base of target {target.name} is {base}, which is not an input; name one of "
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
                "has no place on the globe"
            )
        if self.named and any(source.signed for source in self.sources):
            raise ValueError("signed: true goes only without inputs")
