"""One plane of an ensemble: its identity, its network inputs, and its sampled members.

Downscaling and forecasting share these functions.

Legend: N input fields, one in all or one per member; I inputs or past snapshots, T targets, M
members, Y X the sampled plane.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, cast

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph
from dask.typing import DaskCollection, Key

from flexclim.cf.description import REALIZATION
from flexclim.cf.fields import check_values
from flexclim.cf.times import seconds_of
from flexclim.execution.allocation import return_memory
from flexclim.execution.notes import record
from flexclim.grids.grid import Grid
from flexclim.grids.operators import ALL, row_bands
from flexclim.nn.keyed_noise import NoiseKey, correlated_normal, standard_normal
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.planning.forecast_plan import ForecastPlan
from flexclim.planning.leads import Time
from flexclim.planning.plan import SamplingPlan, TargetPlan
from flexclim.sampling.labels import label_values
from flexclim.sampling.local_scaling import Rows
from flexclim.sampling.network_inputs import downscaling_inputs, forecast_inputs, physical, stacked
from flexclim.sampling.statics import static_channels

if TYPE_CHECKING:
    from torch import Tensor

    from flexclim.nn.flex import TaskFeatures
    from flexclim.sampling.tiled_sampler import TiledSampler

Plan = DownscalingPlan | ForecastPlan

VERTICAL = "level", "lev", "plev", "pressure_level", "isobaricInhPa", "height", "depth", "altitude"


@dataclass(frozen=True)
class Place:
    """The identity of a plane: values of coordinates, so that a sub-period keeps its noise.

    Parameters
    ----------
    time, seconds, when
        Valid time as text, in seconds since 1970 of its own calendar, and as it is stored.
    rest
        Other coordinates, as text.
    known
        Scalar coordinates that the model's label holds.
    """

    time: str = ""
    seconds: float = 0.0
    rest: str = ""
    when: Time | None = None
    known: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Prepared:
    """One plane ready to be sampled; members may share it.

    Parameters
    ----------
    given
        Coarse planes (I, y, x), or past ones (K, T, Y, X), in the variables' units.
    inputs
        (C, Y, X), the network's inputs.
    missing
        (T, Y, X), cells without a value; None: there are none.
    features
        Encoded windows; None where the plan does not keep them, or where they stayed on the GPU
        of another process.
    """

    given: np.ndarray
    inputs: np.ndarray
    missing: np.ndarray | None
    features: TaskFeatures | None

    def __reduce__(self) -> tuple[type[Prepared], tuple[object, ...]]:
        features = self.features
        if features is not None and features.maps[0].is_cuda:
            features = None
        return Prepared, (self.given, self.inputs, self.missing, features)

    def __sizeof__(self) -> int:
        """Return the bytes of all arrays, by which dask decides what to move where."""
        arrays: list[np.ndarray | Tensor] = [self.given, self.inputs]
        if self.missing is not None:
            arrays.append(self.missing)
        if self.features is not None:
            arrays += self.features.tensors
        return sum(array.nbytes for array in arrays)


def rows_of(given: np.ndarray, plan: Plan, statics: np.ndarray | None = None) -> Rows:
    """Return a function that computes network inputs, base and amplitude for a slice of rows."""
    settings = plan.sampling.settings
    if isinstance(plan, ForecastPlan):
        return forecast_inputs(given, plan.lead, settings, statics)
    return downscaling_inputs(given, plan.coarse, plan.factor, settings, statics)


def inputs_of(given: np.ndarray, plan: Plan, statics: np.ndarray | None) -> np.ndarray:
    """Return the network's inputs (C, Y, X) from planes and static fields (S, Y, X)."""
    rows_at = rows_of(given, plan, statics)
    parts = [rows_at(rows).inputs for rows in row_bands(plan.sampling.tiles.domain.shape)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-2)


def encode(inputs: np.ndarray, plan: Plan, place: Place) -> TaskFeatures | None:
    """Run the task encoder on all windows; None where features are not kept."""
    if not plan.sampling.keeps:
        return None
    sampler = sampler_of(plan.sampling)
    features = sampler.encode(inputs, _label(plan, place))
    _note_split(sampler, plan.sampling.run)
    return features


def _note_split(sampler: TiledSampler, run: str) -> None:
    """Leave a note if forward passes were split because memory did not suffice."""
    if sampler.pass_size < sampler.batch:
        record(
            run,
            f"memory did not suffice for {sampler.batch} tiles at once: forward passes were split "
            f"into passes of {sampler.pass_size}, so values equal others to 1e-5 only",
        )


def sample(
    prepared: Sequence[Prepared], plan: Plan, place: Place, members: Sequence[int]
) -> np.ndarray:
    """Sample members of one plane.

    Parameters
    ----------
    prepared
        One that all members share, or one per member.
    members
        Positions among the plan's ``numbers``.

    Returns
    -------
    ndarray
        (M, T, Y, X) in the targets' units, canonical; signs and block means are not corrected.
    """
    shared = plan.sampling
    sampler, label = sampler_of(shared), _label(plan, place)
    inputs = stacked([one.inputs for one in prepared])
    features = _together([one.features for one in prepared])
    if shared.keeps and features is None:
        features = sampler.encode(inputs, label)
    residual = sampler.sample(
        inputs,
        label,
        _noise(shared, place, [shared.numbers[position] for position in members]),
        shared.steps,
        shared.method,
        features,
    )
    _note_split(sampler, shared.run)
    if shared.active:
        return_memory()
    return _in_units(prepared, plan, residual)


def _in_units(prepared: Sequence[Prepared], plan: Plan, residual: np.ndarray) -> np.ndarray:
    """Return members (M, T, Y, X) in the targets' units from the network's residuals."""
    targets, fine = plan.sampling.settings.targets, np.empty(residual.shape)
    assert targets is not None
    for number, one in enumerate(prepared):
        own, rows_at = number if len(prepared) > 1 else ALL, rows_of(one.given, plan)
        for rows in row_bands(plan.sampling.tiles.domain.shape):
            part = (own, ..., rows, ALL)
            fine[part] = physical(rows_at(rows), residual[part], targets)
    return fine


def signed(fields: np.ndarray, targets: Sequence[TargetPlan]) -> np.ndarray:
    """Raise negative values of non-negative targets to 0, in place; (M, T, Y, X)."""
    floors = np.array([0.0 if target.non_negative else -np.inf for target in targets])
    np.maximum(fields, floors[:, None, None], out=fields)
    return fields


def _together(features: Sequence[TaskFeatures | None]) -> TaskFeatures | None:
    from flexclim.sampling.tiled_sampler import joined

    kept = [one for one in features if one is not None]
    return joined(kept) if len(kept) == len(features) else None


@contextmanager
def naming(place: Place, part: str = "") -> Iterator[None]:
    """Add the time and the part of the plane to an error as a note."""
    try:
        yield
    except Exception as error:
        error.add_note(" ".join(filter(None, ("time", place.time, place.rest))) + part)
        raise


def planes_of(field: xr.DataArray, plan: SamplingPlan) -> da.Array:
    """Return a field as a dask array with one chunk per plane."""
    field = field.transpose(*([REALIZATION] if plan.paired else []), *plan.dims)
    data = field.data if isinstance(field.data, da.Array) else da.from_array(field.data, name=False)
    chunked: da.Array = data.rechunk({**dict.fromkeys(range(data.ndim - 2), 1), -2: -1, -1: -1})
    return chunked


def lazy_targets(
    layers: Mapping[str, Mapping[Key, object]],
    dependencies: Sequence[da.Array | Delayed],
    chunks: Sequence[tuple[int, ...]],
    plan: SamplingPlan,
) -> dict[str, da.Array]:
    """Return the dask array (M, ..., Y, X) of each target.

    Parameters
    ----------
    layers
        Tasks by the name of their graph layer, each of which may depend on the ones before it.
        Tasks of the last layer return blocks (T, M, 1, ..., Y, X) by key ``(name, 0, group number,
        ...)``.
    dependencies
        The dask collections that the tasks read.
    chunks
        Sizes of the blocks along (..., Y, X).
    """
    (first, tasks), *others = layers.items()
    graph = HighLevelGraph.from_collections(
        first, tasks, dependencies=cast(Sequence[DaskCollection], dependencies)
    )
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


def block_of(made: np.ndarray, grid: Grid, plan: SamplingPlan) -> np.ndarray:
    """Return fields (M, T, Y, X) of a canonical grid as a block in stored order."""
    stored = grid.restore(made.swapaxes(0, 1))
    shape = *stored.shape[:2], *(1,) * len(plan.dims[:-2]), *stored.shape[-2:]
    return cast(np.ndarray, stored.reshape(shape).astype(_dtype_of(plan)))


def predictors_of(
    statics: Mapping[str, np.ndarray] | None, plan: SamplingPlan, place: Place
) -> np.ndarray | None:
    """Return the channels of static fields, (P, Y, X); None where the model takes none."""
    if statics is None:
        return None
    return static_channels(statics, plan.settings.statics, plan.tiles.domain.shape, place.when)


def _dtype_of(plan: SamplingPlan) -> np.dtype:
    """Return the common dtype of all targets."""
    return np.result_type(*(target.dtype for target in plan.targets))


def stored_planes(planes: Sequence[np.ndarray], plan: SamplingPlan, where: str) -> np.ndarray:
    """Check planes as they are stored, and return them in canonical order, (I, y, x)."""
    turned = [plane.reshape(plane.shape[-2:]) for plane in planes]
    found = stacked([plan.grid.canonical(plane) for plane in turned])
    for plane, name in zip(found, itertools.cycle(plan.inputs)):
        check_values(plane, name, where)
    return found


def _noise(plan: SamplingPlan, place: Place, numbers: Sequence[int]) -> np.ndarray | Tensor:
    """Return the noise (M, T, Y, X) of members by number, on the sampling device."""
    draw, stack = _noise_functions(plan.device)
    shape = plan.tiles.domain.shape
    time = place.time if plan.noise == "independent" else ""

    def draw_target(target: TargetPlan) -> np.ndarray | Tensor:
        where = f"{time} {place.rest}".strip()
        key = NoiseKey(seed=plan.seed, variable=target.name, place=where)
        if plan.noise == "ar1":
            correlated: np.ndarray | Tensor = correlated_normal(
                shape, key, numbers, place.seconds, plan.timescale, plan.origin, draw
            )
            return correlated
        return draw(shape, key, numbers, plan.origin)

    drawn: list[np.ndarray | Tensor] = [draw_target(target) for target in plan.targets]
    return drawn[0][:, None] if len(drawn) == 1 else stack(drawn, 1)


def _noise_functions(
    device: str,
) -> tuple[Callable[..., np.ndarray | Tensor], Callable[..., np.ndarray | Tensor]]:
    """Return functions that draw noise (M, Y, X) on a device and stack arrays of it."""
    if device == "cpu":
        return _draw_on_host, np.stack
    import torch

    from flexclim.nn.device_noise import device_normal

    return partial(device_normal, device=torch.device(device)), torch.stack


def _draw_on_host(
    shape: tuple[int, int], key: NoiseKey, numbers: Sequence[int], origin: tuple[int, int]
) -> np.ndarray:
    return stacked([standard_normal(shape, key, member, origin) for member in numbers])


@lru_cache(maxsize=8)
def sampler_of(plan: SamplingPlan) -> TiledSampler:
    """Return the sampler for a plan; it is cached."""
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
    """Return the label of a plane, (L,)."""
    return label_values(
        plan.sampling.settings.labels,
        factor=plan.factor if isinstance(plan, DownscalingPlan) else None,
        lead=plan.lead if isinstance(plan, ForecastPlan) else None,
        when=place.when,
        variable=plan.sampling.targets[0].name,
        known=dict(place.known),
    )


def place_of(field: xr.DataArray, index: Mapping[str, int], plan: SamplingPlan) -> Place:
    """Identify the plane at ``index`` by the values of its coordinates."""
    text, seconds, when, rest = "", 0.0, None, []
    for name in (*index, *(n for n in field.coords if field[n].ndim == 0)):
        if name not in field.coords:
            rest.append(f"{name}#{index[str(name)]}")
            continue
        coordinate = field[name]
        value = coordinate.values[index[str(name)]] if coordinate.ndim else coordinate.values[()]
        if name == plan.time:
            (text, seconds), when = time_text(value), value
        elif name in index or name in VERTICAL:
            rest.append(f"{name}={_text(value)}")
    plane = field.isel({name: n for name, n in index.items() if name in field.dims})
    known = tuple((name, float(plane[name])) for name in plan.labels)
    return Place(text, seconds, " ".join(sorted(rest)), when, known)


def time_text(value: Time) -> tuple[str, float]:
    """Return a time as text, and in seconds since 1970 in its calendar."""
    if isinstance(value, np.datetime64):
        text = str(value.astype("datetime64[us]"))
    else:
        value = value.item() if isinstance(value, np.ndarray) else value
        text = str(value.isoformat(timespec="microseconds"))
    return text, float(seconds_of(value))


def _text(value: object) -> str:
    number = pd.to_numeric(value, errors="coerce") if not isinstance(value, str) else np.nan
    return str(value) if pd.isna(number) else f"{float(number):g}"
