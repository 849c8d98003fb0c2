"""The noise of planes, keyed by the pixel, on the sampling device.

Legend: P planes, T targets, M members, Y X the sampled plane.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from flexclim.nn.keyed_noise import NoiseKey, correlated_normal, standard_normal
from flexclim.nn.noise_amplitude import TAPS, amplitudes, node_span
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.planning.forecast_plan import ForecastPlan
from flexclim.planning.plan import SamplingPlan, TargetPlan
from flexclim.sampling.network_inputs import stacked
from flexclim.sampling.plane_identity import PlaneIdentity

if TYPE_CHECKING:
    from torch import Tensor

AMPLITUDE = "noise amplitude"  # stands for a variable in the key of the amplitude's nodes


def noise_of_planes(
    plan: DownscalingPlan | ForecastPlan,
    identities: Sequence[PlaneIdentity],
    numbers: Sequence[int],
) -> np.ndarray | Tensor:
    """Return the noise of members by number, on the sampling device.

    It is (P, M, T, Y, X); (M, P, T, Y, X) where each member has planes of its own.
    """
    parts = [plane_noise(plan, identity, numbers) for identity in identities]
    paired = plan.sampling.paired
    if len(parts) == 1:
        return parts[0][:, None] if paired else parts[0][None]
    _, stack, _ = _noise_functions(plan.sampling.device)
    return stack(parts, 1 if paired else 0)


def plane_noise(
    plan: DownscalingPlan | ForecastPlan, identity: PlaneIdentity, numbers: Sequence[int]
) -> np.ndarray | Tensor:
    """Return the noise (M, T, Y, X) of members by number, on the sampling device."""
    shared = plan.sampling
    normal = partial(_normal, shared, identity, numbers, device=shared.device)
    _, stack, _ = _noise_functions(shared.device)
    shape = shared.tiles.domain.shape

    def related(target: TargetPlan) -> np.ndarray | Tensor:
        if target.noise_of is None:
            return normal(target.name, shape, shared.origin)
        other, correlation = target.noise_of
        common, rest = normal(other, shape, shared.origin), math.sqrt(1 - correlation**2)
        if not rest:
            return common
        return correlation * common + rest * normal(target.name, shape, shared.origin)

    drawn = [related(target) for target in shared.targets]
    noise = drawn[0][:, None] if len(drawn) == 1 else stack(drawn, 1)
    if isinstance(plan, DownscalingPlan) and shared.settings.noise_amplitude:
        return _times(noise, _amplitudes(plan, identity, numbers), shared.device)
    return noise


def _amplitudes(
    plan: DownscalingPlan, identity: PlaneIdentity, numbers: Sequence[int]
) -> np.ndarray:
    """Return the amplitude (M, 1, Y, X) of the noise, the same for all targets."""
    shared, spacing = plan.sampling, plan.factor
    domain, origin = shared.tiles.domain, shared.origin
    spans = [node_span(*axis) for axis in zip(domain.shape, (spacing,) * 2, origin, strict=True)]
    (top, height), (left, width) = spans
    if domain.wrap:
        width -= TAPS - 1  # the first nodes follow on the last
    nodes = _normal(shared, identity, numbers, AMPLITUDE, (height, width), (top, left), "cpu")
    nodes = np.pad(nodes, ((0, 0), (0, 0), (0, spans[1][1] - width)), "wrap")
    strength = shared.settings.noise_amplitude
    return amplitudes(nodes, domain.shape, strength, spacing, origin)[:, None]


def _times(noise: np.ndarray | Tensor, factors: np.ndarray, device: str) -> np.ndarray | Tensor:
    if device == "cpu":
        return noise * factors
    import torch

    from flexclim.nn.copies import to_device

    return noise * to_device(factors, torch.device(device))


def _normal(
    plan: SamplingPlan,
    identity: PlaneIdentity,
    numbers: Sequence[int],
    name: str,
    shape: tuple[int, int],
    origin: tuple[int, int],
    device: str,
) -> np.ndarray | Tensor:
    """Draw the normal numbers (M, Y, X) of a name for members by number."""
    draw, _, join = _noise_functions(device)
    timed = plan.noise == "independent"

    def draw_at(place: str, members: Sequence[int]) -> np.ndarray | Tensor:
        place = f"{place} stage {plan.stage}" if plan.stage else place
        key = NoiseKey(seed=plan.seed, variable=name, place=place)
        if plan.noise == "ar1":
            correlated: np.ndarray | Tensor = correlated_normal(
                shape, key, members, identity.seconds, plan.persistence, origin, draw
            )
            return correlated
        return draw(shape, key, members, origin)

    places = groupby(numbers, lambda number: identity.place(timed=timed, number=number))
    parts = [draw_at(place, [*members]) for place, members in places]
    return parts[0] if len(parts) == 1 else join(parts)


def _noise_functions(
    device: str,
) -> tuple[
    Callable[..., np.ndarray | Tensor],
    Callable[..., np.ndarray | Tensor],
    Callable[..., np.ndarray | Tensor],
]:
    """Return functions that draw noise (M, Y, X) on a device, stack and join arrays of it."""
    if device == "cpu":
        return _draw_on_host, np.stack, np.concatenate
    import torch

    from flexclim.nn.device_noise import device_normal

    return partial(device_normal, device=torch.device(device)), torch.stack, torch.cat


def _draw_on_host(
    shape: tuple[int, int], key: NoiseKey, numbers: Sequence[int], origin: tuple[int, int]
) -> np.ndarray:
    return stacked([standard_normal(shape, key, member, origin) for member in numbers])
