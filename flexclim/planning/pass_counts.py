"""How many forward passes a plan takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.planning.plan import SamplingPlan


@dataclass(frozen=True)
class PassCounts:
    """Numbers of passes, each of a batch of tiles: of the network, and of its task encoder."""

    network: int = 0
    encoder: int = 0

    def __add__(self, other: PassCounts) -> PassCounts:
        return PassCounts(self.network + other.network, self.encoder + other.encoder)

    def __mul__(self, times: int) -> PassCounts:
        return PassCounts(self.network * times, self.encoder * times)


def passes_of_parts(plan: DownscalingPlan) -> PassCounts:
    """Count the passes that sample all members of one plane, in all its regions."""
    return sum((passes_of(part.sampling) for part in plan.parts), PassCounts())


def passes_of(plan: SamplingPlan) -> PassCounts:
    """Count the passes that sample all members of one plane, or of one part of it."""
    total = PassCounts()
    windows = [len(step) for step in plan.active] or [plan.tiles.count] * plan.steps
    if plan.keeps_features:
        planes = len(plan.member_numbers) if plan.paired else 1
        total += PassCounts(0, ceil(windows[0] / plan.batch)) * planes
    for group in plan.member_groups:
        for count in windows:
            total += _of_step(plan, count, len(group))
    return total


def _of_step(plan: SamplingPlan, windows: int, members: int) -> PassCounts:
    """Count the passes of one sampler step, as the tiled sampler cuts it into batches."""
    if plan.keeps_features:
        return PassCounts(ceil(windows * members / plan.batch))
    if plan.paired:
        count = ceil(windows * members / plan.batch)
        return PassCounts(count, count)
    whole, rest = divmod(windows, plan.batch)
    return PassCounts(
        whole * members + ceil(rest * members / plan.batch), ceil(windows / plan.batch)
    )
