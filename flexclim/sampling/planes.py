"""Members of a plane: what names it, what the network is given, and what it answers.

Downscaling and forecasting both come through here.

Legend: N fields that are read, one or one a member; I inputs or past snapshots, T targets,
M members, Y X the plane that is made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from dask.highlevelgraph import HighLevelGraph
from dask.typing import Key

from flexclim.cf.description import REALIZATION
from flexclim.cf.fields import check_values
from flexclim.cf.times import seconds_of
from flexclim.execution.allocation import return_memory
from flexclim.grids.grid import Grid
from flexclim.grids.operators import ALL, row_bands
from flexclim.nn.keyed_noise import NoiseKey, correlated_normal, standard_normal
from flexclim.planning.plan import Plan, TargetPlan, time_name
from flexclim.sampling.labels import label_values
from flexclim.sampling.network_inputs import physical, stacked
from flexclim.sampling.statics import static_channels

if TYPE_CHECKING:
    from flexclim.nn.flex import TaskFeatures
    from flexclim.sampling.tiled_sampler import TiledSampler

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
    """What is read for one plane, ready to be sampled: members may share it.

    ``given`` holds coarse planes (I, y, x), or past ones (K, T, Y, X), ``inputs`` (C, Y, X) is
    what the network reads of them; ``missing`` is (T, Y, X). Features are None where the plan keeps
    none, and where they stayed on the GPU of another process.
    """

    given: np.ndarray
    inputs: np.ndarray
    missing: np.ndarray | None
    features: TaskFeatures | None

    def __reduce__(self) -> tuple[Any, ...]:
        features = self.features
        if features is not None and features.maps[0].is_cuda:
            features = None
        return Prepared, (self.given, self.inputs, self.missing, features)

    def __sizeof__(self) -> int:
        """Return the bytes of all arrays, by which dask decides what to move where."""
        arrays: list[Any] = [self.given, self.inputs]
        if self.missing is not None:
            arrays.append(self.missing)
        if self.features is not None:
            arrays += self.features.tensors
        return sum(array.nbytes for array in arrays)


def inputs_of(given: np.ndarray, plan: Plan, statics: np.ndarray | None) -> np.ndarray:
    """Return what the network reads of planes and of static fields (S, Y, X): (C, Y, X)."""
    seen = plan.seen(given, statics)
    parts = [seen(rows).inputs for rows in row_bands(plan.tiles.domain.shape)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-2)


def encode(inputs: np.ndarray, plan: Plan, place: Place) -> TaskFeatures | None:
    """Run the task encoder on all windows; None where features are not kept."""
    return sampler_of(plan).encode(inputs, _label(plan, place)) if plan.keeps else None


def sample(
    prepared: Sequence[Prepared], plan: Plan, place: Place, members: Sequence[int]
) -> np.ndarray:
    """Sample members of one plane.

    Parameters
    ----------
    prepared
        One that all share, or one a member.
    members
        Positions among ``plan.numbers``.

    Returns
    -------
    ndarray
        (M, T, Y, X) in the targets' units, canonical; signs and means are not mended yet.
    """
    sampler, label = sampler_of(plan), _label(plan, place)
    inputs = stacked([one.inputs for one in prepared])
    features = _together([one.features for one in prepared])
    if plan.keeps and features is None:
        features = sampler.encode(inputs, label)
    method = cast(Any, plan.method)
    residual = sampler.sample(
        inputs,
        label,
        _noise(plan, place, [plan.numbers[position] for position in members]),
        plan.steps,
        method,
        features,
    )
    if plan.active:
        return_memory()
    return _answered(prepared, plan, residual)


def _answered(prepared: Sequence[Prepared], plan: Plan, residual: np.ndarray) -> np.ndarray:
    """Return members (M, T, Y, X) in the targets' units, from what the network made of them."""
    targets, fine = plan.settings.targets, np.empty(residual.shape)
    assert targets is not None
    for number, one in enumerate(prepared):
        own, seen = number if len(prepared) > 1 else ALL, plan.seen(one.given)
        for rows in row_bands(plan.tiles.domain.shape):
            part = (own, ..., rows, ALL)
            fine[part] = physical(seen(rows), residual[part], targets)
    return fine


def signed(fields: np.ndarray, targets: Sequence[TargetPlan]) -> np.ndarray:
    """Raise to 0, in place, what is below where that makes no sense; (M, T, Y, X)."""
    floors = np.array([0.0 if target.non_negative else -np.inf for target in targets])
    return np.maximum(fields, floors[:, None, None], out=fields)


def _together(features: Sequence[TaskFeatures | None]) -> TaskFeatures | None:
    from flexclim.sampling.tiled_sampler import joined

    kept = [one for one in features if one is not None]
    return joined(kept) if len(kept) == len(features) else None


@contextmanager
def naming(place: Place, part: str = "") -> Iterator[None]:
    """Have an error say at which time, and in which part of the plane, it happened."""
    try:
        yield
    except Exception as error:
        error.add_note(" ".join(filter(None, ("time", place.time, place.rest))) + part)
        raise


def planes_of(field: xr.DataArray, plan: Plan) -> da.Array:
    """Return a field as one chunk a plane."""
    field = field.transpose(*([REALIZATION] if plan.paired else []), *plan.dims)
    data = field.data if isinstance(field.data, da.Array) else da.from_array(field.data, name=False)
    return data.rechunk({**dict.fromkeys(range(data.ndim - 2), 1), -2: -1, -1: -1})


def lazy_targets(
    layers: Mapping[str, Mapping[Key, object]],
    dependencies: Sequence[Any],
    chunks: Sequence[tuple[int, ...]],
    plan: Plan,
) -> dict[str, da.Array]:
    """Return the dask array (M, ..., Y, X) of each target.

    Parameters
    ----------
    layers
        Tasks by the name of their graph layer, each of which may read the ones before it. Those of
        the last make blocks (T, M, 1, ..., Y, X) by ``(name, 0, number of the group, ...)``.
    dependencies
        The dask collections that the tasks read.
    chunks
        Sizes of the blocks along (..., Y, X).
    """
    (first, tasks), *others = layers.items()
    graph = HighLevelGraph.from_collections(first, tasks, dependencies=dependencies)
    read = graph.dependencies[first] | {first}
    for name, tasks in others:
        graph = HighLevelGraph({**graph.layers, name: tasks}, {**graph.dependencies, name: read})
        read = read | {name}
    name = [*layers][-1]
    groups = tuple(len(group) for group in plan.member_groups)
    both = (len(plan.targets),), groups, *chunks
    together = da.Array(graph, name, both, dtype=_dtype_of(plan))
    return {
        target.name: together[number].astype(target.dtype)
        for number, target in enumerate(plan.targets)
    }


def block_of(made: np.ndarray, grid: Grid, plan: Plan) -> np.ndarray:
    """Return fields (M, T, Y, X) of a canonical grid as a block in stored order."""
    stored = grid.restore(made.swapaxes(0, 1))
    shape = *stored.shape[:2], *(1,) * len(plan.dims[:-2]), *stored.shape[-2:]
    return cast(np.ndarray, stored.reshape(shape).astype(_dtype_of(plan)))


def predictors_of(
    statics: Mapping[str, np.ndarray] | None, plan: Plan, place: Place
) -> np.ndarray | None:
    """Return the channels of static fields, (P, Y, X); None where the model takes none."""
    if statics is None:
        return None
    return static_channels(statics, plan.settings.statics, plan.tiles.domain.shape, place.when)


def _dtype_of(plan: Plan) -> np.dtype:
    """Return the type of the arrays of all targets together."""
    return np.result_type(*(target.dtype for target in plan.targets))


def stored_planes(planes: Sequence[np.ndarray], plan: Plan, where: str) -> np.ndarray:
    """Check planes as they are stored, and return them in canonical order, (I, y, x)."""
    turned = [plane.reshape(plane.shape[-2:]) for plane in planes]
    found = stacked([plan.grid.canonical(plane) for plane in turned])
    for plane, name in zip(found, itertools.cycle(plan.inputs)):
        check_values(plane, name, where)
    return found


def _noise(plan: Plan, place: Place, numbers: Sequence[int]) -> Any:
    """Return the noise of members of some numbers (M, T, Y, X), on the device that samples."""
    draw, stack = _drawing(plan.device)
    shape = plan.tiles.domain.shape
    time = place.time if plan.noise == "independent" else ""

    def one(target: TargetPlan) -> Any:
        where = f"{time} {place.rest}".strip()
        key = NoiseKey(seed=plan.seed, variable=target.name, place=where)
        if plan.noise == "ar1":
            return correlated_normal(
                shape, key, numbers, place.seconds, plan.timescale, plan.origin, draw
            )
        return draw(shape, key, numbers, plan.origin)

    drawn = [one(target) for target in plan.targets]
    return drawn[0][:, None] if len(drawn) == 1 else stack(drawn, 1)


def _drawing(device: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return what draws noise of members (M, Y, X) on a device, and what stacks it."""
    if device == "cpu":
        return _drawn_here, np.stack
    import torch

    from flexclim.nn.device_noise import device_normal

    return partial(device_normal, device=torch.device(device)), torch.stack


def _drawn_here(
    shape: tuple[int, int], key: NoiseKey, numbers: Sequence[int], origin: tuple[int, int]
) -> np.ndarray:
    return stacked([standard_normal(shape, key, member, origin) for member in numbers])


@lru_cache(maxsize=8)
def sampler_of(plan: Plan) -> TiledSampler:
    """Return what samples a plan's planes; kept for the next ones."""
    from flexclim.sampling.tiled_sampler import TiledSampler

    model, settings = plan.model.load(), plan.settings
    assert settings.targets is not None
    return TiledSampler(
        model.network_on(plan.device, plan.precision),
        model.diffusion,
        plan.tiles,
        batch=plan.batch,
        vectors=[target.vector for target in settings.targets],
        vectors_in=[variable.vector for variable in plan.read] + [False] * settings.predictors,
        spread=settings.noise_scale_of(plan.task),
        active=plan.active,
        task=plan.task,
        compiled=plan.compiled,
    )


def _label(plan: Plan, place: Place) -> np.ndarray:
    """Return what the network is told of a plane, (L,)."""
    return label_values(
        plan.settings.labels,
        **plan.told,
        when=place.when,
        variable=plan.targets[0].name,
        known=dict(place.known),
    )


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
            (text, seconds), when = time_text(value), value
        elif name in index or name in VERTICAL:
            rest.append(f"{name}={_text(value)}")
    plane = field.isel({name: n for name, n in index.items() if name in field.dims})
    known = tuple((name, float(plane[name])) for name in labels)
    return Place(text, seconds, " ".join(sorted(rest)), when, known)


def time_text(value: Any) -> tuple[str, float]:
    """Return a time as text, and in seconds since 1970 in its calendar."""
    if isinstance(value, np.datetime64):
        text = str(value.astype("datetime64[us]"))
    else:
        value = value.item() if isinstance(value, np.ndarray) else value
        text = str(value.isoformat(timespec="microseconds"))
    return text, float(seconds_of(value))


def _text(value: Any) -> str:
    number = pd.to_numeric(value, errors="coerce") if not isinstance(value, str) else np.nan
    return str(value) if pd.isna(number) else f"{float(number):g}"
