"""The members of one field as a lazy array: one task prepares a time, others sample members."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from flexclim.cf import check_values
from flexclim.conserve import BlockMeans
from flexclim.fields import fill_missing, scale
from flexclim.noise import NoiseKey, correlated_normal, standard_normal
from flexclim.plan import FieldPlan, time_name
from flexclim.regrid import interpolate

if TYPE_CHECKING:
    from flexclim.nn.flex import TaskFeatures
    from flexclim.sampling import TiledSampler

VERTICAL = "level", "lev", "plev", "pressure_level", "isobaricInhPa", "height", "depth", "altitude"


@dataclass(frozen=True)
class Place:
    """Where a plane belongs: by value, so that a sub-period keeps its noise.

    ``time`` is a text, ``seconds`` the same since 1970 (in the calendar's own seconds), ``rest``
    names other coordinates.
    """

    time: str = ""
    seconds: float = 0.0
    rest: str = ""


@dataclass(frozen=True)
class Prepared:
    """One coarse plane, ready to be sampled: what all members share."""

    coarse: np.ndarray
    base: np.ndarray
    inputs: np.ndarray
    amplitude: np.ndarray
    missing: np.ndarray | None
    features: TaskFeatures | None


def lazy_members(field: xr.DataArray, plan: FieldPlan) -> da.Array:
    """Return the dask array (realization, ..., y', x') of all members of a field.

    One chunk holds ``plan.members_a_task`` members at one time (and level, ...): slicing computes
    no other.
    """
    lead = plan.dims[:-2]
    field = field.transpose(*plan.dims)
    data = field.data if isinstance(field.data, da.Array) else da.from_array(field.data, name=False)
    planes = data.rechunk({**dict.fromkeys(range(len(lead)), 1), -2: -1, -1: -1})
    indices = list(itertools.product(*(range(field.sizes[dim]) for dim in lead)))
    groups = [
        tuple(range(first, min(first + plan.members_a_task, plan.members)))
        for first in range(0, plan.members, plan.members_a_task)
    ]
    token = tokenize(planes.name, plan)
    prepare, members = f"prepare-{plan.name}-{token}", f"downscale-{plan.name}-{token}"
    tasks: dict[Any, Any] = {}
    for index in indices:
        place = _place(field, dict(zip(lead, index, strict=True)))
        plane = (planes.name, *index, 0, 0)
        tasks[(prepare, *index)] = (prepare_plane, plane, plan, place)
        for number, group in enumerate(groups):
            task = (sample_members, (prepare, *index), plan, place, group)
            tasks[(members, number, *index, 0, 0)] = task
    graph = HighLevelGraph.from_collections(members, tasks, dependencies=[planes])
    chunks = (
        tuple(len(group) for group in groups),
        *((1,) * field.sizes[dim] for dim in lead),
        *((size,) for size in plan.tiles.domain.shape),
    )
    return da.Array(graph, members, chunks, dtype=plan.dtype)


def prepare_plane(plane: np.ndarray, plan: FieldPlan, place: Place) -> Prepared:
    """Check, fill and scale one coarse plane, and run the task encoder on its windows."""
    where = " ".join(filter(None, (place.time, place.rest)))
    coarse = plan.grid.canonical(plane.reshape(plane.shape[-2:]).astype(float))
    check_values(coarse, plan.name, where)
    missing = np.isnan(coarse)
    coarse = fill_missing(coarse)
    settings = plan.model.load().settings
    if settings.operator == "minflex":
        from flexclim.minflex_operator import minflex_interpolate

        base = minflex_interpolate(coarse, plan.factor)
        inputs, amplitude = base.astype(np.float32), np.ones_like(base)
    else:
        scaled = scale(coarse, plan.coarse, plan.factor, vector=plan.vector)
        base, inputs, amplitude = scaled.base, scaled.inputs, scaled.amplitude
        amplitude = amplitude * settings.residual_scale[plan.factor]
    features = _sampler(plan).encode(inputs)
    fine_missing = _fine_missing(missing, plan) if missing.any() else None
    return Prepared(coarse, base, inputs, amplitude, fine_missing, features)


def sample_members(
    prepared: Prepared, plan: FieldPlan, place: Place, members: tuple[int, ...]
) -> np.ndarray:
    """Sample some members of one plane; (members, 1, ..., y', x') in stored order."""
    noise = np.stack([_noise(plan, place, member) for member in members])
    residual = _sampler(plan).sample(
        prepared.inputs, noise, plan.steps, cast(Any, plan.method), prepared.features
    )
    fine = prepared.base + prepared.amplitude * residual
    if plan.non_negative:
        fine = np.maximum(fine, 0.0)
    if plan.conserve:
        fine = np.stack([_conserved(member, prepared.coarse, plan) for member in fine])
    if prepared.missing is not None:
        fine = np.where(prepared.missing, np.nan, fine)
    stored = plan.grid.refined(plan.factor).restore(fine)
    shape = len(members), *(1,) * len(plan.dims[:-2]), *stored.shape[-2:]
    return stored.reshape(shape).astype(plan.dtype)


def _noise(plan: FieldPlan, place: Place, member: int) -> np.ndarray:
    shape = plan.tiles.domain.shape
    time = place.time if plan.noise == "independent" else ""
    key = NoiseKey(seed=plan.seed, variable=plan.name, place=f"{time} {place.rest}".strip())
    if plan.noise == "ar1":
        return correlated_normal(shape, key, member, place.seconds, plan.timescale)
    return standard_normal(shape, key, member)


def _conserved(fine: np.ndarray, coarse: np.ndarray, plan: FieldPlan) -> np.ndarray:
    means = _block_means(plan)
    return means.multiply(fine, coarse) if plan.non_negative else means.add(fine, coarse)


@lru_cache(maxsize=8)
def _block_means(plan: FieldPlan) -> BlockMeans:
    fine = plan.grid.refined(plan.factor)
    return BlockMeans(plan.coarse, plan.factor, fine.row_area)


@lru_cache(maxsize=8)
def _sampler(plan: FieldPlan) -> TiledSampler:
    from flexclim.sampling import TiledSampler

    model = plan.model.load()
    settings = model.settings
    return TiledSampler(
        model.network_on(plan.device),
        model.diffusion,
        plan.tiles,
        label=float(np.log2(plan.factor)) - 2 if settings.label == "factor" else 0.0,
        batch=plan.batch,
        precision=plan.precision,
        vector=plan.vector,
        spread=settings.noise_scale,
    )


def _fine_missing(missing: np.ndarray, plan: FieldPlan) -> np.ndarray:
    """Return fine cells whose nearest coarse cell is missing."""
    marked = interpolate(missing.astype(float), plan.coarse, plan.factor, "nearest")
    return cast(np.ndarray, marked > 0)


def _place(field: xr.DataArray, index: dict[str, int]) -> Place:
    """Name the plane at ``index`` by the values of its coordinates."""
    time = time_name(field)
    text, seconds, rest = "", 0.0, []
    for name in (*index, *(n for n in field.coords if field[n].ndim == 0)):
        if name not in field.coords:
            rest.append(f"{name}#{index[str(name)]}")
            continue
        coordinate = field[name]
        value = coordinate.values[index[str(name)]] if coordinate.ndim else coordinate.values[()]
        if name == time:
            text, seconds = _time(value)
        elif name in index or name in VERTICAL:
            rest.append(f"{name}={_text(value)}")
    return Place(text, seconds, " ".join(sorted(rest)))


def _time(value: Any) -> tuple[str, float]:
    if isinstance(value, np.datetime64):
        micro = value.astype("datetime64[us]")
        return str(micro), float(micro.astype(np.int64)) / 1e6
    import cftime

    value = value.item() if isinstance(value, np.ndarray) else value
    seconds = cftime.date2num(value, "seconds since 1970-01-01", calendar=value.calendar)
    return str(value.isoformat(timespec="microseconds")), float(seconds)


def _text(value: Any) -> str:
    number = pd.to_numeric(value, errors="coerce") if not isinstance(value, str) else np.nan
    return str(value) if pd.isna(number) else f"{float(number):g}"
