"""Compare fields with the training range in a model's card.

Planning compares the grid spacing only; values are compared when they are computed, by plane.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexclim import errors
from flexclim.grids.domain import Domain
from flexclim.models.card import Coverage, ModelCard, span
from flexclim.models.channels import Variable
from flexclim.models.settings import FORECAST, SUPERRES
from flexclim.sampling.local_scaling import Scaled, local_scaling
from flexclim.sampling.network_inputs import transform

if TYPE_CHECKING:
    from flexclim.planning.plan import SamplingPlan, TargetPlan
    from flexclim.sampling.plane_identity import PlaneIdentity

# A card's ranges come from samples, so values slightly beyond them raise no warning.
FAR_SCALE, FAR_CONTRAST = 2.0, 1.5
FAR_VALUES = 0.25  # of the range of values
FAR_ANOMALY = 0.5  # standard deviations beyond the range of a predictor, which must extrapolate
HIGH = 0.999, 0.99  # quantiles of the local scale: of the training data, and of an input field
LOW = 0.01
# Root mean square of members' residuals, of which training had 1: patches of 64 x 64 fine cells of
# the fields that flex-nano was trained on have at most 2.5, apart from plains beside mountains. In
# fields that are nearly constant or linear, large residuals are small next to the field.
FAR_RESIDUAL, LARGE_DEPARTURE, FEWEST = 2.5, 0.5, 2048  # of the field's deviation; cells

# Runs and inputs with a warning already; each call by the user is a run.
_warned: set[tuple[str, tuple[str, ...]]] = set()
_lock = threading.Lock()


@dataclass(frozen=True)
class FieldStatistics:
    """Statistics of one plane that are compared: see :class:`flexclim.models.card.Coverage`."""

    lowest: float
    highest: float
    scale: np.ndarray
    contrast: float


def field_statistics(plane: np.ndarray, domain: Domain, variable: Variable) -> FieldStatistics:
    """Measure a plane (y, x) without NaN, in the variable's units."""
    mean, scale = local_scaling(field := transform(plane, variable), domain, vector=variable.vector)
    varies = scale > 0
    distance = np.abs(field - mean)[varies] / scale[varies]
    contrast = float(np.median(distance)) if varies.any() else math.nan
    return FieldStatistics(float(plane.min()), float(plane.max()), scale, contrast)


def summarise_coverage(
    statistics: Sequence[FieldStatistics],
    variable: str,
    units: str,
    spacing_km: float,
    task: str = SUPERRES,
) -> Coverage:
    """Summarise the statistics of one variable in the training data.

    Parameters
    ----------
    statistics
        Of patches of the training split.
    """
    scales = np.concatenate([one.scale.ravel() for one in statistics])
    contrasts = np.array(
        [one.contrast for one in statistics if math.isfinite(one.contrast)] or [1.0]
    )
    return Coverage(
        task=task,
        variable=variable,
        units=units,
        spacing_km=_short(spacing_km) if math.isfinite(spacing_km) else None,
        values=(
            _short(min(x.lowest for x in statistics)),
            _short(max(x.highest for x in statistics)),
        ),
        scale=(_short(np.quantile(scales, LOW)), _short(np.quantile(scales, HIGH[0]))),
        contrast=(_short(contrasts.min()), _short(contrasts.max())),
    )


def describe_departures(
    planes: np.ndarray,
    names: Sequence[str],
    domain: Domain,
    variables: Sequence[Variable],
    card: ModelCard,
    task: str = SUPERRES,
    *,
    anomalies: bool = False,
) -> list[str]:
    """Describe how input planes differ from the training data; empty if they do not.

    For a model of any variable, which knows no units, only the contrast is compared; for a model
    of specific variables also values and local scales.

    Parameters
    ----------
    planes
        (I, y, x) input planes without NaN.
    names
        Names of the inputs in the user's data.
    variables
        The inputs as the model names them.
    task
        Task of the model; the card has ranges for each.
    anomalies
        Whether values are compared as normalised anomalies, by a stricter limit: those of the
        predictors of another variable.
    """
    departures: list[str] = []
    named = bool(card.inputs or card.variables)
    covered = [part for part in card.coverage if part.task == task]
    for plane, name, variable in zip(planes, names, variables, strict=True):
        known = [part for part in covered if not named or part.variable == variable.name]
        if not known or plane.min() == plane.max():
            continue
        found = field_statistics(plane, domain, variable)
        if named:
            far = _far_anomalies if anomalies else _far_values
            departures += far(found, name, known, variable)
        departures += _departures(found, name, known, named=named)
    return departures


def _far_values(
    found: FieldStatistics, name: str, known: list[Coverage], variable: Variable
) -> Iterator[str]:
    """Yield where values leave the range of training by a share of it."""
    low, high = min(p.values[0] for p in known), max(p.values[1] for p in known)
    margin = FAR_VALUES * (high - low)
    units = f" {known[0].units}" if known[0].units not in ("", "1") else ""
    trained = f"training had {span((low, high))}"
    if found.lowest < low - margin:
        yield f"{name!r} falls to {found.lowest:.4g}{units}; {trained}"
    if found.highest > high + margin:
        yield f"{name!r} reaches {found.highest:.4g}{units}; {trained}"


def _far_anomalies(
    found: FieldStatistics, name: str, known: list[Coverage], variable: Variable
) -> Iterator[str]:
    """Yield where normalised anomalies of a predictor leave the range of training."""
    seen = min(p.values[0] for p in known), max(p.values[1] for p in known)
    units = f" {known[0].units}" if known[0].units not in ("", "1") else ""
    values = transform(np.array([found.lowest, found.highest, *seen]), variable)
    low, high, lowest, highest = ((values - variable.mean) / variable.std).tolist()
    for verb, value, anomaly, beyond in (
        ("falls to", found.lowest, low, lowest - low),
        ("reaches", found.highest, high, high - highest),
    ):
        if beyond > FAR_ANOMALY:
            yield (
                f"{name!r} {verb} {value:.4g}{units}, a normalised anomaly of {anomaly:.2g}; "
                f"training had {span(seen)}, {span((lowest, highest))}"
            )


def _departures(
    found: FieldStatistics, name: str, known: list[Coverage], *, named: bool
) -> Iterator[str]:
    if named:
        low, high = min(p.scale[0] for p in known), max(p.scale[1] for p in known)
        scale = float(np.quantile(found.scale, HIGH[1]))
        if not low <= scale <= FAR_SCALE * high:
            trained = f"training had {span((low, high))}"
            yield f"the local scale of {name!r} is up to {scale:.3g}; {trained}"
    low, high = min(p.contrast[0] for p in known), max(p.contrast[1] for p in known)
    if not low / FAR_CONTRAST <= found.contrast <= high * FAR_CONTRAST:
        kind = "smooth" if found.contrast > high else "rough"
        yield (
            f"{name!r} is too {kind}: half of it lies {found.contrast:.3g} local scales from its "
            f"local mean; training had {span((low, high))}"
        )


def warn_if_far(planes: np.ndarray, plan: SamplingPlan, where: str) -> None:
    """Warn if input planes (I, y, x) are far from the training data, once per call and inputs."""
    key = plan.run, plan.inputs
    card = plan.model.load().card
    with _lock:
        if not card.coverage or key in _warned:
            return
    read = plan.input_channels[: len(planes)]
    found = describe_departures(
        planes, plan.inputs, plan.grid.domain, read, card, plan.task,
        anomalies=plan.settings.perfect_prognosis,
    )  # fmt: skip
    with _lock:
        if not found or key in _warned:
            return
        _warned.add(key)
    warn(plan.model.name, found, where)


def warn_if_strong(
    residual: np.ndarray,
    scaled: Callable[[], Scaled],
    plan: SamplingPlan,
    identities: Sequence[PlaneIdentity],
) -> None:
    """Warn, once per call and target, if members depart much further than in training.

    Parameters
    ----------
    residual
        (M, P, T, Y, X) in the network's units, of the cells that are returned.
    scaled
        Returns what the residual is added to and its unit, (M or 1, P, T, Y, X).
    """
    members, *_, height, width = residual.shape
    card = plan.model.load().card
    if not card.coverage or height * width < FEWEST:
        return
    square = np.einsum("mptyx,mptyx->pt", residual, residual) / (members * height * width)
    for plane, number in np.argwhere(square > FAR_RESIDUAL**2):
        target, key = plan.targets[number], (plan.run, (plan.targets[number].name, "residual"))
        if key in _warned or (plan.task == SUPERRES and target.base is None):
            continue
        at = (slice(None), plane, number)
        field = scaled()
        departure = float(np.sqrt(np.mean((field.amplitude[at] * residual[at]) ** 2)))
        if departure <= LARGE_DEPARTURE * float(field.base[at].std()):
            continue
        with _lock:
            if key in _warned:
                continue
            _warned.add(key)
        base = "the time before" if plan.task == FORECAST else "interpolation"
        times = f"{square[plane, number] ** 0.5:.2g}"
        text = f"members of {target.name!r} depart {times} times as far from {base} as there"
        if plan.task == SUPERRES:
            text += ", as where neighbouring coarse cells hardly vary together"
        warn(plan.model.name, [text], str(identities[plane]))


def warn_of_sign(field: np.ndarray, target: TargetPlan, plan: SamplingPlan, where: str) -> None:
    """Warn, once per call and target, that a coarse field falls below its quantity's bound."""
    key = plan.run, (target.name, "sign")
    with _lock:
        if key in _warned:
            return
        _warned.add(key)
    place = f" ({where})" if where else ""
    found = f"{target.name!r} falls to {np.nanmin(field):.4g}{place}"
    if target.bounds.stated:
        errors.warn(
            f"{found}, and its values are stated to be non-negative: those of the input below 0 "
            "count as 0, in block means too. Mask them if they mark missing values."
        )
    else:
        errors.warn(
            f"{found}, though its names and units are those of values of at least 0. Such fields "
            "are not kept at 0 or above. Pass non_negative=False for differences or anomalies, "
            "non_negative=True to keep values at 0; mask values that mark missing ones."
        )


def warn(model: str, found: Sequence[str], where: str = "") -> None:
    """Warn that a field is far outside the training range of a model."""
    place = f" ({where})" if where else ""
    message = (
        f"far from what {model!r} was trained on{place}: {'; '.join(found)}. Check units and "
        f"values; `flexclim info {model}` shows what it covers."
    )
    errors.warn(message)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
