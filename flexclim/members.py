"""The members of fields as lazy arrays: one task prepares a time, others sample members.

Legend: I inputs, T targets, M members, y x the coarse plane, y' x' the fine one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from dask.base import tokenize
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph

from flexclim.cf import check_values
from flexclim.channels import physical, see
from flexclim.conserve import BlockMeans
from flexclim.coverage import far_values, told, warn_once
from flexclim.fields import Scaled, fill_missing
from flexclim.labels import label_values
from flexclim.noise import NoiseKey, correlated_normal, standard_normal
from flexclim.plan import FieldPlan, TargetPlan, time_name
from flexclim.regrid import interpolate
from flexclim.statics import static_channels

if TYPE_CHECKING:
    from flexclim.nn.flex import TaskFeatures
    from flexclim.sampling import TiledSampler

VERTICAL = "level", "lev", "plev", "pressure_level", "isobaricInhPa", "height", "depth", "altitude"


@dataclass(frozen=True)
class Place:
    """Where a plane belongs: by value, so that a sub-period keeps its noise.

    ``time`` is a text, ``seconds`` the same since 1970 (in the calendar's own seconds), ``when``
    the value itself; ``rest`` names other coordinates; ``known`` are those that the model's label
    tells.
    """

    time: str = ""
    seconds: float = 0.0
    rest: str = ""
    when: Any = None
    known: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Prepared:
    """The coarse planes of one time, ready to be sampled: what all members share.

    ``coarse`` is (I, y, x), ``missing`` (T, y', x'). Features that lie on a GPU stay in their
    process: one that they were ``left`` out for makes them anew.
    """

    coarse: np.ndarray
    scaled: Scaled
    missing: np.ndarray | None
    features: TaskFeatures | None
    left: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        features, left = self.features, self.left
        if features is not None and features.maps[0].is_cuda:
            features, left = None, True
        return Prepared, (self.coarse, self.scaled, self.missing, features, left)

    def __sizeof__(self) -> int:
        """Return the bytes of all arrays, by which dask decides what to move where."""
        arrays: list[Any] = [
            self.coarse,
            self.scaled.base,
            self.scaled.inputs,
            self.scaled.amplitude,
        ]
        if self.missing is not None:
            arrays.append(self.missing)
        if self.features is not None:
            arrays += self.features.maps
        return sum(array.nbytes for array in arrays)


def lazy_members(
    fields: Sequence[xr.DataArray], plan: FieldPlan, statics: Sequence[Delayed] = ()
) -> dict[str, da.Array]:
    """Return the dask array (realization, ..., y', x') of all members of each target.

    One task samples ``plan.members_a_task`` members of all targets at one time (and level, ...) in
    one region: slicing computes no other.

    Parameters
    ----------
    fields
        The plan's inputs.
    statics
        What :func:`flexclim.statics.static_fields` returns, one a region; empty: the model takes
        none.
    """
    lead, first = plan.dims[:-2], fields[0]
    planes = [_planes(field, plan.dims) for field in fields]
    indices = list(itertools.product(*(range(first.sizes[dim]) for dim in lead)))
    groups = plan.member_groups
    keys = [delayed.key for delayed in statics]
    token = tokenize([plane.name for plane in planes], keys, plan)
    prepare, members = f"prepare-{token}", f"downscale-{token}"
    parts = [(region, plan.of(region)) for region in plan.regions]
    tasks: dict[Any, Any] = {}
    for index in indices:
        place = place_of(first, dict(zip(lead, index, strict=True)), plan.labels)
        own = [(plane.name, *index, 0, 0) for plane in planes]
        for (region, part), static in itertools.zip_longest(parts, keys):
            prepared = (prepare, *index, *region.index)
            tasks[prepared] = (prepare_planes, own, static, part, place)
            for number, group in enumerate(groups):
                task = (sample_members, prepared, part, place, group)
                tasks[(members, 0, number, *index, *region.index)] = task
    dependencies: list[Any] = [*planes, *statics]
    graph = HighLevelGraph.from_collections(members, tasks, dependencies=dependencies)
    chunks = (
        (len(plan.targets),),
        tuple(len(group) for group in groups),
        *((1,) * first.sizes[dim] for dim in lead),
        *(
            tuple(min(side, size - start) for start in range(0, size, side))
            for size, side in zip(plan.tiles.domain.shape, plan.region, strict=True)
        ),
    )
    together = da.Array(graph, members, chunks, dtype=_dtype(plan))
    return {
        target.name: together[number].astype(target.dtype)
        for number, target in enumerate(plan.targets)
    }


def prepare_planes(
    planes: list[np.ndarray],
    statics: dict[str, np.ndarray] | None,
    plan: FieldPlan,
    place: Place,
) -> Prepared:
    """Check, fill and scale the coarse planes, and run the task encoder on their windows."""
    with _naming(plan, place):
        return _prepared(planes, statics, plan, place)


def _prepared(
    planes: list[np.ndarray],
    statics: dict[str, np.ndarray] | None,
    plan: FieldPlan,
    place: Place,
) -> Prepared:
    where = " ".join(filter(None, (place.time, place.rest)))
    turned = [plane.reshape(plane.shape[-2:]).astype(float) for plane in planes]
    coarse = np.stack([plan.grid.canonical(plane) for plane in turned])
    for plane, name in zip(coarse, plan.inputs, strict=True):
        check_values(plane, name, where)
    missing = np.isnan(coarse)
    coarse = fill_missing(coarse)
    if plan.part is not None:
        inside = (..., slice(*plan.part.rows), slice(*plan.part.columns))
        coarse, missing = coarse[inside], missing[inside]
    _judge(coarse, plan, where)
    settings = plan.settings
    predictors = None
    if statics is not None:
        shape = plan.tiles.domain.shape
        predictors = static_channels(statics, settings.statics, shape, place.when)
    scaled = see(coarse, plan.coarse, plan.factor, settings, predictors)
    features = _sampler(plan).encode(scaled.inputs, _label(plan, place))
    fine_missing = _fine_missing(missing, plan) if missing.any() else None
    return Prepared(coarse, scaled, fine_missing, features)


def sample_members(
    prepared: Prepared, plan: FieldPlan, place: Place, members: tuple[int, ...]
) -> np.ndarray:
    """Sample some members of one time; (targets, members, 1, ..., y', x') in stored order."""
    with _naming(plan, place):
        return _sampled(prepared, plan, place, members)


def _sampled(
    prepared: Prepared, plan: FieldPlan, place: Place, members: tuple[int, ...]
) -> np.ndarray:
    targets, settings = plan.targets, plan.settings
    noise, sampler = _noise(plan, place, members), _sampler(plan)
    inputs, label, features = prepared.scaled.inputs, _label(plan, place), prepared.features
    if prepared.left:
        features = sampler.encode(inputs, label)
    method = cast(Any, plan.method)
    residual = sampler.sample(inputs, label, noise, plan.steps, method, features)
    assert settings.targets is not None
    fine = physical(prepared.scaled, residual, settings.targets)
    finished = [
        _finished(fine[:, number], target, prepared, plan) for number, target in enumerate(targets)
    ]
    if prepared.missing is not None:
        finished = [
            np.where(hidden, np.nan, field)
            for hidden, field in zip(prepared.missing, finished, strict=True)
        ]
    made = np.stack(finished)
    if plan.part is not None:
        rows, columns = plan.part.core
        made = made[..., slice(*rows), slice(*columns)]
    stored = plan.grid.refined(plan.factor).restore(made)
    shape = len(targets), len(members), *(1,) * len(plan.dims[:-2]), *stored.shape[-2:]
    return stored.reshape(shape).astype(_dtype(plan))


def _finished(
    fine: np.ndarray, target: TargetPlan, prepared: Prepared, plan: FieldPlan
) -> np.ndarray:
    """Give the members (M, y', x') of one target their sign and their block means."""
    if target.non_negative:
        fine = np.maximum(fine, 0.0)
    if not target.conserve:
        return fine
    assert target.base is not None
    means, coarse = _block_means(plan), prepared.coarse[target.base]
    correct = means.multiply if target.non_negative else means.add
    return np.stack([correct(member, coarse) for member in fine])


@contextmanager
def _naming(plan: FieldPlan, place: Place) -> Iterator[None]:
    """Have an error say at which time and in which region it happened."""
    try:
        yield
    except Exception as error:
        where = " ".join(filter(None, ("time", place.time, place.rest)))
        if plan.part is not None:
            rows, columns = (
                f"{first + low} to {first + high}"
                for first, (low, high) in zip(plan.part.origin, plan.part.core, strict=True)
            )
            where += f", rows {rows}, columns {columns}"
        error.add_note(where)
        raise


def _judge(coarse: np.ndarray, plan: FieldPlan, where: str) -> None:
    """Warn once if planes are far from what the model was trained on."""
    card = plan.model.load().card
    if card.coverage and not told(plan.request):
        said = far_values(coarse, plan.inputs, plan.coarse, plan.settings, card)
        warn_once(plan.request, plan.model_name, said, where)


def _planes(field: xr.DataArray, dims: tuple[str, ...]) -> da.Array:
    """Return a field as one chunk a plane."""
    field = field.transpose(*dims)
    data = field.data if isinstance(field.data, da.Array) else da.from_array(field.data, name=False)
    lead = range(len(dims) - 2)
    return data.rechunk({**dict.fromkeys(lead, 1), -2: -1, -1: -1})


def _dtype(plan: FieldPlan) -> np.dtype:
    return np.result_type(*(target.dtype for target in plan.targets))


def _noise(plan: FieldPlan, place: Place, members: tuple[int, ...]) -> Any:
    """Return the noise of some members (M, T, y', x'), on the device that samples."""
    draw, stack = _drawing(plan.device)
    shape = plan.tiles.domain.shape
    origin = (0, 0) if plan.part is None else plan.part.origin
    time = place.time if plan.noise == "independent" else ""

    def one(target: TargetPlan, member: int) -> Any:
        where = f"{time} {place.rest}".strip()
        key = NoiseKey(seed=plan.seed, variable=target.name, place=where)
        if plan.noise == "ar1":
            return correlated_normal(
                shape, key, member, place.seconds, plan.timescale, origin, draw
            )
        return draw(shape, key, member, origin)

    return stack([stack([one(target, member) for target in plan.targets]) for member in members])


def _drawing(device: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return what draws noise on a device, and what stacks it."""
    if device == "cpu":
        return standard_normal, np.stack
    import torch

    from flexclim.nn.noise import device_normal

    return partial(device_normal, device=device), torch.stack


@lru_cache(maxsize=8)
def _block_means(plan: FieldPlan) -> BlockMeans:
    fine = plan.grid.refined(plan.factor)
    return BlockMeans(plan.coarse, plan.factor, fine.row_area)


@lru_cache(maxsize=8)
def _sampler(plan: FieldPlan) -> TiledSampler:
    from flexclim.sampling import TiledSampler

    model, settings = plan.model.load(), plan.settings
    assert settings.inputs is not None
    assert settings.targets is not None
    predictors = sum(static.channels for static in settings.statics)
    return TiledSampler(
        model.network_on(plan.device),
        model.diffusion,
        plan.tiles,
        batch=plan.batch,
        precision=plan.precision,
        vectors=[target.vector for target in settings.targets],
        vectors_in=[variable.vector for variable in settings.inputs] + [False] * predictors,
        spread=settings.noise_scale,
        active=() if plan.part is None else plan.part.windows,
    )


def _label(plan: FieldPlan, place: Place) -> np.ndarray:
    """Return what the network is told of a plane, (L,)."""
    known = dict(place.known)
    return label_values(
        plan.settings.labels,
        factor=plan.factor,
        when=place.when,
        variable=plan.targets[0].name,
        known=known,
    )


def _fine_missing(missing: np.ndarray, plan: FieldPlan) -> np.ndarray:
    """Return fine cells (T, y', x') whose nearest coarse cell is missing.

    What counts is the input that a target adds to, else all inputs.
    """
    coarse = [missing.all(0) if t.base is None else missing[t.base] for t in plan.targets]
    marked = interpolate(np.stack(coarse).astype(float), plan.coarse, plan.factor, "nearest")
    return cast(np.ndarray, marked > 0)


def place_of(field: xr.DataArray, index: dict[str, int], labels: Sequence[str] = ()) -> Place:
    """Name the plane at ``index`` by the values of its coordinates; ``labels`` are told too."""
    time = time_name(field)
    text, seconds, when, rest = "", 0.0, None, []
    for name in (*index, *(n for n in field.coords if field[n].ndim == 0)):
        if name not in field.coords:
            rest.append(f"{name}#{index[str(name)]}")
            continue
        coordinate = field[name]
        value = coordinate.values[index[str(name)]] if coordinate.ndim else coordinate.values[()]
        if name == time:
            (text, seconds), when = _time(value), value
        elif name in index or name in VERTICAL:
            rest.append(f"{name}={_text(value)}")
    plane = field.isel({name: n for name, n in index.items() if name in field.dims})
    known = tuple((name, float(plane[name])) for name in labels)
    return Place(text, seconds, " ".join(sorted(rest)), when, known)


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
