"""The network's inputs from fields, and fields from its outputs, in training and sampling.

Legend: I inputs, S static channels, T targets, h w the coarse field, Y X the fine one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from flexclim.grids.domain import Domain
from flexclim.grids.minflex_operator import minflex_interpolator
from flexclim.grids.operators import interpolator
from flexclim.sampling.local_scaling import Rows, Scaled, scale_locally

if TYPE_CHECKING:
    from flexclim.models.channels import Target, Variable
    from flexclim.models.settings import ModelSettings


def downscaling_inputs(
    coarse: np.ndarray,
    domain: Domain,
    factor: int,
    settings: ModelSettings,
    statics: np.ndarray | None = None,
) -> Rows:
    """Return a function that computes network inputs for a slice of fine rows.

    Parameters
    ----------
    coarse
        (..., I, h, w) on ``domain``, without NaN, in the variables' units.
    domain
        The coarse domain.
    factor
        Fine cells along one side of a coarse cell.
    settings
        From :meth:`ModelSettings.named`: with inputs and targets.
    statics
        (..., S, Y, X) float32 from :mod:`flexclim.sampling.statics`; None: the model takes none.

    Returns
    -------
    Rows
        For a slice of fine rows: ``inputs`` (..., I + S, Y, X) float32; in transformed units
        ``base`` (..., T, Y, X) float64, to which the residual is added, and ``amplitude``
        (..., T, Y, X) float64, one unit of the network's output (0 where the field is constant).
    """
    assert settings.inputs is not None
    assert settings.targets is not None
    assert coarse.shape[-3] == len(settings.inputs), coarse.shape
    inputs, targets = settings.inputs, settings.targets
    scaled = {
        one.name: _input_rows(transform(field, one), domain, factor, settings, one)
        for one, field in zip(inputs, np.moveaxis(coarse, -3, 0), strict=True)
    }

    def scaled_rows(rows: slice) -> Scaled:
        parts = {name: one(rows) for name, one in scaled.items()}
        read = [part.inputs for part in parts.values()]
        base, amplitude = [], []
        for target, size in zip(targets, settings.residual_scale[factor], strict=True):
            if target.base is None:
                base.append(np.full(read[0].shape, target.mean))
                amplitude.append(np.full(read[0].shape, size))
            else:
                shift = _shift(target, settings)
                base.append(parts[target.base].base + shift if shift else parts[target.base].base)
                amplitude.append(parts[target.base].amplitude * size)
        if statics is not None:
            read += list(np.moveaxis(statics[..., rows, :], -3, 0))
        return Scaled(stacked(base, -3), stacked(read, -3), stacked(amplitude, -3))

    return scaled_rows


def forecast_inputs(
    past: np.ndarray,
    lead: float,
    settings: ModelSettings,
    statics: np.ndarray | None = None,
) -> Rows:
    """Return a function that computes network inputs from past snapshots, for a slice of rows.

    Parameters
    ----------
    past
        (K, T, Y, X) targets at the last K times, a time step apart in chronological order, without
        NaN, in their units.
    lead
        The time step in hours.
    settings
        Of a model that forecasts.
    statics
        (S, Y, X) float32; None: the model takes none.

    Returns
    -------
    Rows
        For a slice of rows: ``inputs`` (K T + S, Y, X) float32 in chronological order; ``base``
        (T, Y, X) float64, the last snapshot, transformed; ``amplitude``, one unit of the network's
        output.
    """
    assert settings.targets is not None
    assert settings.forecast is not None
    targets, forecast = settings.targets, settings.forecast
    mean, std = (
        np.array([getattr(target, name) for target in targets])[:, None, None]
        for name in ("mean", "std")
    )
    scale = forecast.residual_scale[forecast.leads.index(lead)]
    amplitude = std * np.array(scale)[:, None, None]

    def scaled_rows(rows: slice) -> Scaled:
        fields = past[..., rows, :]
        transformed = np.stack(
            [transform(fields[:, index], target) for index, target in enumerate(targets)], 1
        )
        normalised = ((transformed - mean) / std).astype(np.float32)
        inputs = normalised.reshape(-1, *normalised.shape[-2:])
        if statics is not None:
            inputs = np.concatenate([inputs, statics[:, rows]])
        base = transformed[-1].astype(float)
        return Scaled(base, inputs, np.broadcast_to(amplitude, base.shape))

    return scaled_rows


def physical(scaled: Scaled, residual: np.ndarray, targets: Sequence[Target]) -> np.ndarray:
    """Return the targets (..., T, Y, X) in their units from the network's residuals.

    Parameters
    ----------
    scaled
        From :func:`downscaling_inputs`.
    residual
        (..., T, Y, X) in the network's units.
    """
    fine = np.asarray(scaled.amplitude * residual)
    fine += scaled.base
    for index, target in enumerate(targets):
        fine[..., index, :, :] = untransform(fine[..., index, :, :], target)
    return fine


def residual(scaled: Scaled, fine: np.ndarray, targets: Sequence[Target]) -> np.ndarray:
    """Return the residuals that correspond to fine fields: the inverse of :func:`physical`.

    Parameters
    ----------
    scaled
        From :func:`downscaling_inputs`.
    fine
        (..., T, Y, X) targets in their units.

    Returns
    -------
    ndarray
        (..., T, Y, X); NaN where ``fine`` is, and where the amplitude is 0.
    """
    transformed = np.stack(
        [transform(fine[..., index, :, :], target) for index, target in enumerate(targets)], -3
    )
    varies = scaled.amplitude > 0
    amplitude = np.where(varies, scaled.amplitude, 1.0)
    return np.where(varies, (transformed - scaled.base) / amplitude, np.nan)


def transform(values: np.ndarray, variable: Variable) -> np.ndarray:
    """Apply the variable's transform; an odd function, so that small negative values are harmless.

    >>> from flexclim.models.channels import Variable
    >>> transform(np.array([-4.0, 0.0, 4.0]), Variable(name="tp", transform="sqrt"))
    array([-2., 0., 2.])
    """
    if variable.transform == "none":
        return values
    share = np.abs(values) / variable.unit
    size = np.log1p(share) if variable.transform == "log1p" else np.sqrt(share)
    return np.asarray(np.copysign(size, values))


def untransform(values: np.ndarray, variable: Variable) -> np.ndarray:
    """Undo :func:`transform`.

    >>> from flexclim.models.channels import Variable
    >>> rain = Variable(name="tp", transform="log1p", unit=0.1)
    >>> untransform(transform(np.array([0.0, 2.5]), rain), rain)
    array([0. , 2.5])
    """
    if variable.transform == "none":
        return values
    size = np.abs(values)
    share = np.expm1(size) if variable.transform == "log1p" else size**2
    return np.asarray(np.copysign(share * variable.unit, values))


def _shift(target: Target, settings: ModelSettings) -> float:
    """Return what is added to a target's base: of another quantity, the difference of means."""
    if not settings.perfect_prognosis:
        return 0.0
    assert settings.inputs is not None
    return target.mean - next(one.mean for one in settings.inputs if one.name == target.base)


def _input_rows(
    field: np.ndarray,
    domain: Domain,
    factor: int,
    settings: ModelSettings,
    variable: Variable,
) -> Rows:
    """Return a function that interpolates and scales one transformed input."""
    if settings.scaling == "local":
        return scale_locally(field, domain, factor, vector=variable.vector)
    if settings.operator == "minflex":
        fine = minflex_interpolator(field, factor)
    else:
        fine = interpolator(field, domain, factor, "bicubic", vector=variable.vector)

    def scaled_rows(rows: slice) -> Scaled:
        base = fine(rows)
        inputs = (base - variable.mean) / variable.std
        return Scaled(base, inputs.astype(np.float32), np.ones_like(base))

    return scaled_rows


def stacked(arrays: Sequence[np.ndarray], axis: int = 0) -> np.ndarray:
    """Stack arrays along a new dimension, without a copy if there is just one."""
    return np.expand_dims(arrays[0], axis) if len(arrays) == 1 else np.stack(arrays, axis)
