"""Planes that a task takes together: their network inputs and their sampled members.

Downscaling and forecasting share these functions; a forecast has one plane at a time.

Legend: P planes, I inputs or past snapshots, T targets, M members, C channels of the network's
inputs, S static channels, Y X the sampled plane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from flexclim.cf.physical_bounds import Limits
from flexclim.errors import ModelError
from flexclim.execution.allocation import return_memory
from flexclim.execution.notes import record
from flexclim.grids.conservation import BlockMeans
from flexclim.grids.operators import ALL, row_bands
from flexclim.models.settings import FORECAST
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.planning.forecast_plan import ForecastPlan
from flexclim.planning.plan import SamplingPlan
from flexclim.sampling.labels import label_values
from flexclim.sampling.local_scaling import Rows, Scaled
from flexclim.sampling.network_inputs import downscaling_inputs, forecast_inputs, physical, stacked
from flexclim.sampling.plane_identity import PlaneIdentity
from flexclim.sampling.plane_noise import noise_of_planes
from flexclim.sampling.statics import static_channels
from flexclim.sampling.training_range import warn_if_strong, warn_of_sign

if TYPE_CHECKING:
    from torch import Tensor

    from flexclim.nn.flex import TaskFeatures
    from flexclim.sampling.tiled_sampler import TiledSampler

Plan = DownscalingPlan | ForecastPlan


@dataclass(frozen=True)
class Prepared:
    """Planes ready to be sampled; members may share them.

    Parameters
    ----------
    given
        Coarse planes (P, I, y, x), or past ones (1, K, T, Y, X), in the variables' units.
    inputs
        (P, C, Y, X), the network's inputs.
    missing
        (P, T, Y, X), cells without a value; None: there are none.
    limits
        Lowest and highest value of each target, for each plane.
    features
        Encoded windows of all planes; None where the plan does not keep them, or where they stayed
        on the GPU of another process.
    means
        Block means of curvilinear cells.
    """

    given: np.ndarray
    inputs: np.ndarray
    missing: np.ndarray | None
    limits: tuple[tuple[Limits, ...], ...]
    features: TaskFeatures | None
    means: BlockMeans | None = None

    def __reduce__(self) -> tuple[type[Prepared], tuple[object, ...]]:
        features = self.features
        if features is not None and features.maps[0].is_cuda:
            features = None
        return Prepared, (self.given, self.inputs, self.missing, self.limits, features, self.means)

    def __sizeof__(self) -> int:
        """Return the bytes of all arrays, by which dask decides what to move where."""
        arrays: list[np.ndarray | Tensor] = [self.given, self.inputs]
        if self.missing is not None:
            arrays.append(self.missing)
        if self.features is not None:
            arrays += self.features.tensors
        return sum(array.nbytes for array in arrays)


def predictors_of(
    statics: Mapping[str, np.ndarray] | None,
    plan: SamplingPlan,
    identities: Sequence[PlaneIdentity],
) -> np.ndarray | None:
    """Return the channels of static fields, (P, S, Y, X); None where the model takes none."""
    if statics is None:
        return None
    wanted, shape = plan.settings.statics, plan.tiles.domain.shape
    return stacked([static_channels(statics, wanted, shape, one.when) for one in identities])


def inputs_of(given: np.ndarray, plan: Plan, statics: np.ndarray | None) -> np.ndarray:
    """Return the network's inputs (P, C, Y, X) from planes and static fields (P, S, Y, X)."""
    rows_at = rows_of(given, plan, statics)
    parts = [rows_at(rows).inputs for rows in row_bands(plan.sampling.tiles.domain.shape)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-2)


def rows_of(given: np.ndarray, plan: Plan, statics: np.ndarray | None = None) -> Rows:
    """Return a function that computes network inputs, base and amplitude for a slice of rows."""
    settings = plan.sampling.settings
    if isinstance(plan, ForecastPlan):
        (past,), (own,) = given, (None,) if statics is None else statics
        alone = forecast_inputs(past, plan.lead, settings, own)
        return lambda rows: alone(rows).as_planes()
    return downscaling_inputs(given, plan.coarse, plan.factor, settings, statics)


def encode(
    inputs: np.ndarray, plan: Plan, identities: Sequence[PlaneIdentity]
) -> TaskFeatures | None:
    """Run the task encoder on all windows; None where features are not kept."""
    if not plan.sampling.keeps_features:
        return None
    sampler = sampler_of(plan.sampling)
    features = sampler.encode(inputs, _labels(plan, identities))
    _note_split(sampler, plan.sampling.run)
    return features


def sample(
    prepared: Sequence[Prepared],
    plan: Plan,
    identities: Sequence[PlaneIdentity],
    members: Sequence[int],
) -> np.ndarray:
    """Sample members of some planes.

    Parameters
    ----------
    prepared
        One that all members share, or one per member.
    identities
        Of the P planes.
    members
        Positions among the plan's ``member_numbers``.

    Returns
    -------
    ndarray
        (M, P, T, Y, X) in the targets' units, canonical; signs and block means are not corrected.

    Raises
    ------
    ModelError
        If the network returns NaN or infinite values.
    """
    shared = plan.sampling
    sampler = sampler_of(shared)
    labels = np.tile(_labels(plan, identities), (len(prepared), 1))
    inputs = _joined([one.inputs for one in prepared])
    features = _together([one.features for one in prepared])
    if shared.keeps_features and features is None:
        features = sampler.encode(inputs, labels)
    numbers = [shared.member_numbers[position] for position in members]
    noise = noise_of_planes(plan, identities, numbers)
    flat = noise.reshape(-1, *noise.shape[2:])
    residual = sampler.sample(inputs, labels, flat, shared.steps, shared.method, features)
    _note_split(sampler, shared.run)
    if shared.active:
        return_memory()
    residual = residual.reshape(noise.shape)
    residual = residual if shared.paired else residual.swapaxes(0, 1)
    _check_finite(residual, shared, identities)
    warn_if_strong(
        returned(residual, plan), lambda: _scaled_planes(prepared, plan), shared, identities
    )
    return _in_units(prepared, plan, residual)


def _check_finite(
    residual: np.ndarray, plan: SamplingPlan, identities: Sequence[PlaneIdentity]
) -> None:
    """Check residuals (M, P, T, Y, X): half precision overflows, and forecasts may grow."""
    sums = residual.sum(axis=(0, 2, 3, 4), dtype=np.float64)
    if np.isfinite(sums).all():
        return
    where = str(identities[int(np.argmin(np.isfinite(sums)))])
    if plan.precision != "float32":
        advice = f"{plan.precision} may not hold its values: pass precision='float32'."
    elif plan.task == FORECAST:
        advice = "The forecast is unstable: take fewer steps of time."
    else:
        advice = "Check values and units of the input."
    raise ModelError(
        f"model {plan.model.name!r} returned NaN or infinite values{f' ({where})' if where else ''}"
        f" in {plan.precision}. {advice}"
    )


def returned(planes: np.ndarray, plan: Plan) -> np.ndarray:
    """Return the cells of planes (..., Y, X) that are returned, without the margins of a part."""
    if isinstance(plan, ForecastPlan) or plan.part is None:
        return planes
    rows, columns = plan.part.core
    planes = planes[..., slice(*rows), :]
    whole = columns == (0, planes.shape[-1])
    return planes if whole else planes.take(range(*columns), -1, mode="wrap")


def _scaled_planes(prepared: Sequence[Prepared], plan: Plan) -> Scaled:
    """Return base and amplitude (M or 1, P, T, Y, X) of the cells that are returned."""
    whole = [rows_of(one.given, plan)(ALL) for one in prepared]
    base, inputs, amplitude = (
        np.stack([returned(getattr(one, name), plan) for one in whole])
        for name in ("base", "inputs", "amplitude")
    )
    return Scaled(base, inputs, amplitude)


def limits_of(given: np.ndarray, plan: SamplingPlan, where: str) -> tuple[Limits, ...]:
    """Return the limits of each target's values, and warn where a field breaks its bounds.

    Parameters
    ----------
    given
        Whole planes (I, y, x), or past ones (K, T, Y, X); NaN are missing.
    """
    limits = []
    for number, target in enumerate(plan.targets):
        if target.base is None and plan.task != FORECAST:
            limits.append(target.bounds.limits(None))
            continue
        field = given[..., number if target.base is None else target.base, :, :]
        if target.bounds.broken_by(field):
            warn_of_sign(field, target, plan, where)
        limits.append(target.bounds.limits(field))
    return tuple(limits)


def keep_within(fields: np.ndarray, limits: Sequence[Limits]) -> None:
    """Clip fields (T, Y, X) to the limits of each target, in place."""
    for field, (low, high) in zip(fields, limits, strict=True):
        if low > -np.inf or high < np.inf:
            np.clip(field, low, high, out=field)


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
        vectors_in=[variable.vector for variable in plan.input_channels]
        + [False] * settings.predictors,
        spread=settings.noise_scale_of(plan.task),
        active=plan.active,
        task=plan.task,
        compiled=plan.compiled,
    )


def _in_units(prepared: Sequence[Prepared], plan: Plan, residual: np.ndarray) -> np.ndarray:
    """Return members (M, P, T, Y, X) in the targets' units from the network's residuals."""
    targets, fine = plan.sampling.settings.targets, np.empty(residual.shape)
    assert targets is not None
    for number, one in enumerate(prepared):
        own, rows_at = number if len(prepared) > 1 else ALL, rows_of(one.given, plan)
        for rows in row_bands(plan.sampling.tiles.domain.shape):
            part = (own, ..., rows, ALL)
            fine[part] = physical(rows_at(rows), residual[part], targets)
    return fine


def _together(features: Sequence[TaskFeatures | None]) -> TaskFeatures | None:
    from flexclim.sampling.tiled_sampler import joined

    kept = [one for one in features if one is not None]
    return joined(kept) if len(kept) == len(features) else None


def _note_split(sampler: TiledSampler, run: str) -> None:
    """Leave a note if forward passes were split because memory did not suffice."""
    if sampler.pass_size < sampler.batch:
        record(
            run,
            f"memory did not suffice for forward passes of {sampler.batch} tiles, so they had "
            f"{sampler.pass_size}. Values may differ by rounding, about 1e-5, from those of other "
            "runs.",
        )


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Join arrays along their first dimension, without a copy if there is just one."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _labels(plan: Plan, identities: Sequence[PlaneIdentity]) -> np.ndarray:
    """Return the labels of planes, (P, L)."""
    return np.stack(
        [
            label_values(
                plan.sampling.settings.labels,
                factor=plan.factor if isinstance(plan, DownscalingPlan) else None,
                lead=plan.lead if isinstance(plan, ForecastPlan) else None,
                spacing_km=plan.sampling.spacing_km,
                along=plan.sampling.component,
                when=identity.when,
                variable=plan.sampling.targets[0].name,
                known=dict(identity.known),
            )
            for identity in identities
        ]
    )
