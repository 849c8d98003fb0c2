"""What a network sees of a field, and how to read what it answers.

Training and sampling both come through here, so that both see the same numbers.

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
    from flexclim.models.settings import ModelSettings, Target, Variable


def downscaling_inputs(
    coarse: np.ndarray,
    domain: Domain,
    factor: int,
    settings: ModelSettings,
    statics: np.ndarray | None = None,
) -> Rows:
    """Return what brings a model's inputs to some rows of the fine grid, as its network sees them.

    Parameters
    ----------
    coarse
        (I, h, w) on ``domain``, without NaN, in the variables' units.
    domain
        The coarse domain.
    factor
        Fine cells along one side of a coarse cell.
    settings
        From :meth:`ModelSettings.named`: with inputs and targets.
    statics
        (S, Y, X) float32 from :mod:`flexclim.sampling.statics`; None: the model takes none.

    Returns
    -------
    Rows
        ``inputs`` (I + S, Y, X) float32; ``base`` and ``amplitude`` (T, Y, X) float64, in
        transformed units: what the network adds to, and one unit of its output (0 where nothing
        varies). Of the fine rows of a slice.
    """
    assert settings.inputs is not None
    assert settings.targets is not None
    assert len(coarse) == len(settings.inputs), coarse.shape
    inputs, targets = settings.inputs, settings.targets
    seen = {
        one.name: _see_one(transform(field, one), domain, factor, settings, one)
        for one, field in zip(inputs, coarse, strict=True)
    }

    def some(rows: slice) -> Scaled:
        parts = {name: one(rows) for name, one in seen.items()}
        read = [part.inputs for part in parts.values()]
        base, amplitude = [], []
        for target, size in zip(targets, settings.residual_scale[factor], strict=True):
            if target.base is None:
                base.append(np.full(read[0].shape, target.mean))
                amplitude.append(np.full(read[0].shape, size))
            else:
                base.append(parts[target.base].base)
                amplitude.append(parts[target.base].amplitude * size)
        if statics is not None:
            read += list(statics[:, rows])
        return Scaled(stacked(base), stacked(read), stacked(amplitude))

    return some


def forecast_inputs(
    past: np.ndarray,
    lead: float,
    settings: ModelSettings,
    statics: np.ndarray | None = None,
) -> Rows:
    """Return what brings some rows of past snapshots to the way in which a network sees them.

    Parameters
    ----------
    past
        (K, T, Y, X) targets at the last K times, a lead apart and the last one last, without NaN,
        in their units.
    lead
        Hours to what the network makes.
    settings
        Of a model that forecasts.
    statics
        (S, Y, X) float32; None: the model takes none.

    Returns
    -------
    Rows
        ``inputs`` (K T + S, Y, X) float32, the last snapshot's last; ``base`` (T, Y, X) float64 is
        the last snapshot, transformed, and ``amplitude`` one unit of the network's output. Of the
        rows of a slice.
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

    def some(rows: slice) -> Scaled:
        fields = past[..., rows, :]
        changed = np.stack(
            [transform(fields[:, index], target) for index, target in enumerate(targets)], 1
        )
        seen = ((changed - mean) / std).astype(np.float32)
        inputs = seen.reshape(-1, *seen.shape[-2:])
        if statics is not None:
            inputs = np.concatenate([inputs, statics[:, rows]])
        base = changed[-1].astype(float)
        return Scaled(base, inputs, np.broadcast_to(amplitude, base.shape))

    return some


def physical(scaled: Scaled, residual: np.ndarray, targets: Sequence[Target]) -> np.ndarray:
    """Return the targets (..., T, Y, X) in their units, from what the network made of them.

    Parameters
    ----------
    scaled
        From :func:`downscaling_inputs`.
    residual
        (..., T, Y, X) in the network's units.
    """
    fine = scaled.amplitude * residual
    fine += scaled.base
    for index, target in enumerate(targets):
        fine[..., index, :, :] = untransform(fine[..., index, :, :], target)
    return fine


def residual(scaled: Scaled, fine: np.ndarray, targets: Sequence[Target]) -> np.ndarray:
    """Return what a network should answer: the inverse of :func:`physical`.

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
    known = scaled.amplitude > 0
    return np.where(
        known, (transformed - scaled.base) / np.where(known, scaled.amplitude, 1.0), np.nan
    )


def transform(values: np.ndarray, variable: Variable) -> np.ndarray:
    """Apply the variable's transform; an odd function, so that small negative values are harmless.

    >>> from flexclim.models.settings import Variable
    >>> transform(np.array([-4.0, 0.0, 4.0]), Variable(name="tp", transform="sqrt"))
    array([-2., 0., 2.])
    """
    if variable.transform == "none":
        return values
    share = np.abs(values) / variable.unit
    return np.copysign(np.log1p(share) if variable.transform == "log1p" else np.sqrt(share), values)


def untransform(values: np.ndarray, variable: Variable) -> np.ndarray:
    """Undo :func:`transform`.

    >>> from flexclim.models.settings import Variable
    >>> rain = Variable(name="tp", transform="log1p", unit=0.1)
    >>> untransform(transform(np.array([0.0, 2.5]), rain), rain)
    array([0. , 2.5])
    """
    if variable.transform == "none":
        return values
    size = np.abs(values)
    share = np.expm1(size) if variable.transform == "log1p" else size**2
    return np.copysign(share * variable.unit, values)


def _see_one(
    field: np.ndarray,
    domain: Domain,
    factor: int,
    settings: ModelSettings,
    variable: Variable,
) -> Rows:
    """Scale one transformed input; the amplitude is that of the residual."""
    if settings.scaling == "local":
        return scale_locally(field, domain, factor, vector=variable.vector)
    if settings.operator == "minflex":
        fine = minflex_interpolator(field, factor)
    else:
        fine = interpolator(field, domain, factor, "bicubic", vector=variable.vector)

    def some(rows: slice) -> Scaled:
        base = fine(rows)
        inputs = (base - variable.mean) / variable.std
        return Scaled(base, inputs.astype(np.float32), np.ones_like(base))

    return some


def stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Put arrays one after the other; a single one is not copied."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
