"""Sources of training data in a recipe: files, stores, bare arrays and simulated flows."""

from __future__ import annotations

import datetime
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from flexclim.grids.domain import Kind
from flexclim.nn.configuration import Settings


class Derived(Settings):
    """A variable computed from two others of the same source; give one of the settings."""

    wind_speed: tuple[str, str] | None = Field(
        default=None, description="names of u and v; sqrt(u^2 + v^2)"
    )
    kinetic_energy: tuple[str, str] | None = Field(
        default=None, description="names of u and v; (u^2 + v^2) / 2, in m2 s-2"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.wind_speed is None) == (self.kinetic_energy is None):
            raise ValueError("give either wind_speed or kinetic_energy, with two components")
        return self


class Bare(Settings):
    """Metadata of a bare HDF5 array (time, channel, y, x) or (time, y, x)."""

    dataset: str = Field(default="fields", description="name of the array in the file")
    channels: tuple[str, ...] = Field(min_length=1, description="variable in each channel")
    latitude: tuple[float, float] | None = Field(
        default=None, description="latitude of the first and last row; null: a plane"
    )
    longitude: tuple[float, float] | None = Field(
        default=None, description="longitude of the first and last column"
    )
    start: str | None = Field(default=None, description="first time; null: count times from 0")
    every: str = Field(default="1h", description="time step, such as 6h; used with start")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("give both latitude and longitude, or neither")
        return self


class Rain(Settings):
    """Selection of wet patches, for fields that are mostly zero."""

    wet: float = Field(
        gt=0, le=1, description="fraction of coarse cells above the threshold in a wet patch"
    )
    above: float = Field(default=0.0, description="threshold, in the variable's units")
    share: float = Field(
        default=1.0, gt=0, le=1, description="fraction of patches that must be wet"
    )
    variable: str | None = Field(
        default=None, description="variable to check; null: the first target"
    )


class Turbulence(Settings):
    """Simulated two-dimensional turbulence; unit of length: side / 2 pi; speeds of order 1."""

    size: int = Field(default=256, ge=16, description="cells along one side of the periodic square")
    runs: int = Field(default=8, ge=1, description="independent flows")
    snapshots: int = Field(default=8, ge=1, description="snapshots of each flow")
    first: float = Field(default=2.0, ge=0, description="time of the first snapshot")
    every: float = Field(default=1.0, gt=0, description="time between snapshots")
    slope: float = Field(default=-3.0, lt=0, description="slope of the initial energy spectrum")
    peak: float = Field(
        default=6.0, gt=0, description="wavenumber of the peak of the initial spectrum"
    )
    forced_at: float = Field(
        default=0.0, ge=0, description="wavenumber of the forcing; 0: decaying turbulence"
    )
    power: float = Field(default=0.1, gt=0, description="energy input rate of the forcing")
    drag: float = Field(default=0.0, ge=0, description="linear drag on all scales")
    viscosity: float = Field(
        default=1e-4, ge=0, description="viscosity; 1 / Reynolds number if order is 1"
    )
    order: int = Field(
        default=1, ge=1, le=8, description="power of the Laplacian; above 1: hyperviscosity"
    )
    seed: int = Field(default=0, ge=0, description="seed of initial fields and forcing")


class Reading(Settings):
    """A data set: its files, and how to rename, derive and repair variables."""

    path: str | tuple[str, ...] = Field(
        default="",
        description="NetCDF or HDF5 file, Zarr store, glob or URL (gs://, s3://, https://), or a "
        "list of consecutive files in time; relative to data.folder",
    )
    turbulence: Turbulence | None = Field(
        default=None, description="simulated flows (u, v, vorticity) instead of files"
    )
    # May hold credentials, so it is left out of dumps, which cards, checkpoints and logs contain.
    storage: dict[str, Any] = Field(
        default={},
        exclude=True,
        repr=False,
        description="fsspec options for a URL, such as {token: anon}; never written to cards or "
        "logs",
    )
    rename: dict[str, str] = Field(
        default={}, description="new name of each variable, by its name in the file"
    )
    select: dict[str, float | str] = Field(
        default={}, description="value to select along further dimensions, such as {level: 500}"
    )
    accumulated: tuple[str, ...] = Field(
        default=(),
        description="variables accumulated since 00 UTC; they are differenced in time",
    )
    derive: dict[str, Derived] = Field(default={}, description="computed variables, by name")
    largest: float | dict[str, float] | None = Field(
        default=None, description="values above this are missing; one number, or one per variable"
    )
    healpix: Literal["nested", "ring"] | None = Field(
        default=None, description="order of HEALPix cells, if the file does not say it has some"
    )
    bare: Bare | None = Field(
        default=None, description="metadata of an HDF5 file without coordinates"
    )
    coarsen: int = Field(
        default=1,
        ge=1,
        le=64,
        description="average blocks of this many cells a side first; 1: no averaging",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.path) == bool(self.turbulence):
            raise ValueError("give either path or turbulence")
        return self

    @property
    def title(self) -> str:
        """Name in messages and cards."""
        if self.turbulence:
            return "turbulence"
        return self.path if isinstance(self.path, str) else self.path[0]

    def largest_of(self, name: str) -> float | None:
        """Return the largest valid value of a variable, or None."""
        return self.largest.get(name) if isinstance(self.largest, dict) else self.largest


class SourceSettings(Reading):
    """Fine fields for training: coarsened on the fly, or paired with other data sets."""

    coarse: Reading | None = Field(
        default=None, description="coarse data set paired with this one, on its own grid"
    )
    predictors: tuple[Reading, ...] = Field(
        default=(),
        description="data sets of the inputs, each on any grid: regridded to the coarse grid of "
        "this source; an input may name a level and a lag, as in q@850 or q@850@-24h",
    )
    grid: Kind | None = Field(
        default=None,
        description="kind of a pair's coarse grid if coordinates are ambiguous: cell or point",
    )
    variables: tuple[str, ...] = Field(
        default=(), description="variables to train on one at a time, if data.inputs is empty"
    )
    train: tuple[str, str] = Field(description="first and last time (or index) of training")
    validate_: tuple[str, str] | None = Field(
        default=None, alias="validate", description="first and last time (or index) of validation"
    )
    licence: str = Field(default="unspecified", description="licence of the data, for the card")
    weight: float = Field(
        default=1.0, gt=0, description="relative share of patches from this source"
    )
    signed: bool = Field(
        default=False,
        description="flip signs at random when training on one variable (vector components)",
    )
    rain: Rain | None = Field(default=None, description="selection of wet patches")
    label: dict[str, float] = Field(
        default={}, description="values for data.label, such as {reynolds: 1000}"
    )
    static_file: str = Field(
        default="", description="file of this source's static fields; empty: data.static_file"
    )

    @field_validator("train", "validate_", mode="before")
    @classmethod
    def _as_text(cls, period: object) -> object:
        """Accept dates, also with a space before the time of day, and indices."""
        if not isinstance(period, list | tuple):
            return period
        kinds = int, str, datetime.date
        return [str(part).replace(" ", "T") if isinstance(part, kinds) else part for part in period]
