"""What was asked for, and what all plans of sampling settle: plain data, the same everywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from dask.base import is_dask_collection, tokenize

from flexclim.cf.description import REALIZATION
from flexclim.cf.times import is_time
from flexclim.errors import FlexclimError, ModelError
from flexclim.execution.devices import choose_batch, choose_device, keeps_features
from flexclim.grids.grid import Grid
from flexclim.models.model import Model, ModelReference
from flexclim.models.settings import ModelSettings, Variable
from flexclim.planning.tiles import TilePlan
from flexclim.sampling.local_scaling import Rows

PRECISIONS = "float32", "bf16", "fp16"
MEMBERS = 8  # where nothing else tells
# Members of a task that share what is made of a field, and cells that they have at most.
TOGETHER, TOGETHER_CELLS = 4, 2**22


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user may ask of all sampling; None where flexclim chooses.

    ``breaks`` are members that are not made together with the one before: what a store holds
    already is not made again for the sake of new members. ``entire`` says that all of it is wanted,
    not some slices.
    """

    members: int | None = None
    steps: int | None = None
    seed: int = 0
    non_negative: bool | None = None
    overlap: int | None = None
    batch: int | None = None
    compile: bool | None = None
    device: str | None = None
    precision: str | None = None
    breaks: tuple[int, ...] = ()
    entire: bool = False

    def __post_init__(self) -> None:
        for name in ("members", "steps", "batch", "overlap"):
            value = getattr(self, name)
            if value is not None and (not whole(value) or value < 1):
                raise FlexclimError(f"{name}={value!r} is not a whole number of at least 1.")
        if not whole(self.seed):
            raise FlexclimError(f"seed={self.seed!r} is not a whole number.")
        for name in ("non_negative", "compile"):
            check_switch(name, getattr(self, name))
        if self.precision not in (None, *PRECISIONS):
            raise FlexclimError(
                f"precision={self.precision!r} is not one of {', '.join(PRECISIONS)}."
            )


def check_switch(name: str, value: Any) -> None:
    """Refuse what is neither true nor false, such as a text, which Python takes for true."""
    if not isinstance(value, bool | np.bool_ | None):
        raise FlexclimError(f"{name}={value!r} is neither True nor False.")


@dataclass(frozen=True, kw_only=True)
class TargetPlan:
    """How one variable is finished; ``base`` is the number of the input that it adds to."""

    name: str
    dtype: str
    base: int | None = None
    conserve: bool = False
    non_negative: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What all sampling of fields has in common.

    ``grid`` is that of the inputs without 2-D coordinates, ``dims`` the dimensions of the output
    after ``realization``, ``numbers`` those of the members; ``paired``: each has an input of its
    own. ``timescale`` is in seconds; ``labels`` are coordinates that the network is told. Features
    of windows are kept between steps and members if the plan ``keeps`` them. So many members are
    made ``together`` at least.
    """

    inputs: tuple[str, ...]
    targets: tuple[TargetPlan, ...]
    dims: tuple[str, ...]
    model: ModelReference
    model_name: str
    grid: Grid
    tiles: TilePlan
    numbers: tuple[int, ...]
    paired: bool = False
    steps: int
    method: str
    seed: int
    statics: tuple[str, ...]
    noise: str = "independent"
    timescale: float = 0.0
    batch: int
    device: str
    precision: str
    keeps: bool
    together: int
    compiled: bool
    labels: tuple[str, ...] = ()
    breaks: tuple[int, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    @cached_property
    def token(self) -> str:
        """A hash of all of it: a plan that was sent to another process is the same."""
        return str(tokenize([getattr(self, one.name) for one in fields(self)]))

    def __dask_tokenize__(self) -> str:
        return self.token

    @property
    def settings(self) -> ModelSettings:
        """The model's; loads the model."""
        return self.model.load().settings

    @property
    def task(self) -> str:
        """The task encoder that reads the inputs."""
        raise NotImplementedError

    @property
    def told(self) -> dict[str, Any]:
        """What the label tells of the task, for :func:`~flexclim.sampling.labels.label_values`."""
        raise NotImplementedError

    @property
    def read(self) -> tuple[Variable, ...]:
        """The channels that the task encoder reads before static fields."""
        raise NotImplementedError

    @property
    def request(self) -> tuple[object, ...]:
        """What one request of the user has in common in all its regions."""
        raise NotImplementedError

    def seen(self, given: np.ndarray, statics: np.ndarray | None = None) -> Rows:
        """Return what makes some rows of what the network sees, and of how to read its answer."""
        raise NotImplementedError

    @property
    def origin(self) -> tuple[int, int]:
        """Canonical row and column of the first pixel that is made."""
        return 0, 0

    @property
    def active(self) -> tuple[tuple[int, ...], ...]:
        """For each step the windows to sample; empty: all."""
        return ()

    @property
    def parts(self) -> Sequence[Plan]:
        """The plans of the parts of the plane that are made each on its own; often just one."""
        return [self]

    @property
    def spacing_km(self) -> float:
        """Distance of neighbouring rows of the output in km; NaN where it is not known."""
        return self.grid.spacing_km

    @property
    def members_a_task(self) -> int:
        """Members computed together: enough to fill a batch, or ``together``."""
        return min(len(self.numbers), max(self.together, self.batch // self.tiles.count))

    @property
    def member_groups(self) -> list[tuple[int, ...]]:
        """Positions among ``numbers`` of the members that one task makes each."""
        count = len(self.numbers)
        ends = [0, *(end for end in self.breaks if end < count), count]
        return [
            tuple(range(start, min(start + self.members_a_task, stop)))
            for first, stop in pairwise(ends)
            for start in range(first, stop, self.members_a_task)
        ]

    def fine_grid(self, grid: Grid) -> Grid:
        """Return the output's grid, with the coordinates of ``grid``."""
        return grid

    def attributes(self) -> dict[str, str | int | float]:
        """Return what the output's attributes tell."""
        chosen: dict[str, str | int | float] = {
            "flexclim_model": self.model_name,
            "flexclim_model_sha256": self.model.sha256,
            "flexclim_seed": self.seed,
            "flexclim_steps": self.steps,
            "flexclim_sampler": self.method,
            "flexclim_batch": self.batch,
            "flexclim_device": self.device,
            "flexclim_precision": self.precision,
            "flexclim_tiles": json.dumps(self.tiles.describe()),
        }
        if self.compiled:
            chosen["flexclim_compiled"] = "true"
        if self.statics:
            chosen["flexclim_static"] = " ".join(self.statics)
        return chosen


def attributes_of(plans: Sequence[Plan]) -> dict[str, str | int | float]:
    """Return the attributes of an output of several plans; where they differ, by variable."""
    each = [plan.attributes() for plan in plans]
    together: dict[str, str | int | float] = {}
    for key in dict.fromkeys(key for one in each for key in one):
        values = [one.get(key) for one in each]
        if all(value == values[0] for value in values):
            together[key] = each[0][key]
            continue
        names: dict[str, list[str]] = {}
        for plan, value in zip(plans, values, strict=True):
            own = [target.name for target in plan.targets]
            names.setdefault("none" if value is None else str(value), []).extend(own)
        together[key] = "; ".join(f"{' '.join(own)}: {value}" for value, own in names.items())
    return together


def settle(
    source: xr.Dataset,
    inputs: Sequence[str],
    model: Model,
    settings: ModelSettings,
    options: Request,
    grid: Grid,
    tiles: TilePlan,
) -> dict[str, Any]:
    """Return what every plan takes as it is asked for, else as the model or the device says.

    Raises
    ------
    FlexclimError
        If the inputs do not go together, or another number of members is asked for than there are.
    ModelError
        If an input lacks a coordinate that the model needs.
    """
    field = source[inputs[0]]
    _check_alike([source[name] for name in inputs])
    lead = [str(dim) for dim in field.dims if dim not in (REALIZATION, grid.y, grid.x)]
    device, free = choose_device(options.device, bool(options.compile))
    precision = options.precision or ("float32" if device == "cpu" else "bf16")
    batch = options.batch or choose_batch(settings.network, device, precision, free)
    keeps = keeps_features(settings.network, tiles.count, batch)
    entire = options.entire or not any(is_dask_collection(source[name].data) for name in inputs)
    # They share features that are not kept, and on a GPU all that is done beside its passes.
    share = entire and not (keeps and device == "cpu")
    together = min(TOGETHER, TOGETHER_CELLS // math.prod(tiles.domain.shape)) if share else 1
    return {
        "inputs": tuple(inputs),
        "dims": (*lead, grid.y, grid.x),
        "grid": grid,
        "model": model.reference,
        "model_name": model.name,
        "tiles": tiles,
        "numbers": _numbers(field, options.members),
        "paired": REALIZATION in field.dims,
        "steps": options.steps or settings.steps,
        "method": settings.method,
        "seed": int(options.seed),
        "statics": tuple(static.name for static in settings.statics),
        "batch": batch,
        "device": device,
        "precision": precision,
        "keeps": keeps,
        "together": max(1, together),
        "compiled": bool(options.compile),
        "labels": _labels(field, lead, settings, model.name),
        "breaks": options.breaks,
    }


def _numbers(field: xr.DataArray, members: int | None) -> tuple[int, ...]:
    """Return the numbers of the members: those of an ensemble, else from 0 on."""
    if REALIZATION not in field.dims:
        return tuple(range(members or MEMBERS))
    count = field.sizes[REALIZATION]
    if members not in (None, count):
        raise FlexclimError(
            f"{field.name!r} has {count} members, and each gets one fine member: members={members} "
            "can't be. Leave members out, or select members first."
        )
    values = field[REALIZATION].values
    if values.dtype.kind not in "iu" or len(set(values.tolist())) < count or values.min() < 0:
        raise FlexclimError(
            f"{REALIZATION!r} of {field.name!r} must number its members by different whole numbers "
            f"from 0 on; it holds {', '.join(map(str, values[:3]))}. Give it such numbers with "
            f".assign_coords({REALIZATION}=range({count}))."
        )
    return tuple(values.tolist())


def _check_alike(fields: Sequence[xr.DataArray]) -> None:
    """Refuse inputs of different dimensions, or without values."""
    first = fields[0]
    for field in fields:
        if 0 in field.shape:
            raise FlexclimError(
                f"{field.name!r} has no values: its dimension "
                f"{field.dims[field.shape.index(0)]!r} has size 0. Select at least one."
            )
        if set(field.dims) != set(first.dims):
            raise FlexclimError(
                f"the model reads {first.name!r} {first.dims} and {field.name!r} {field.dims} "
                "together, but their dimensions differ. Select or broadcast to the same ones."
            )


def _labels(
    field: xr.DataArray, lead: Sequence[str], settings: ModelSettings, model: str
) -> tuple[str, ...]:
    """Return the coordinates that the label tells; refuse a field that lacks one.

    None where the model learnt to do without and one is lacking.
    """
    names = tuple(part.name for part in settings.labels if part.coordinate)
    if "day_of_year" in [part.name for part in settings.labels] and time_name(field) is None:
        raise ModelError(
            f"model {model!r} is told the day of the year, and {field.name!r} has no time. Give it "
            "the coordinate time."
        )
    for name in names:
        if name not in field.coords or not set(field[name].dims) <= set(lead):
            if settings.label_optional:
                return ()
            raise ModelError(
                f"model {model!r} is told {name}, and {field.name!r} has no such coordinate. Give "
                f"it one number with .assign_coords({name}=...)."
            )
    return names


def time_name(field: xr.DataArray) -> str | None:
    """Return the coordinate that holds valid time: of a dimension, or scalar."""
    for name, coordinate in field.coords.items():
        own = name in field.dims or (coordinate.ndim == 0 and name == "time")
        if own and is_time(coordinate):
            return str(name)
    return None


def whole(value: Any) -> bool:
    """Say whether a value is a whole number, Python's or numpy's."""
    return hasattr(value, "__index__") and not isinstance(value, bool)
