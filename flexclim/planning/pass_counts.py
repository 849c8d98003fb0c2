"""How many forward passes a plan takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from flexclim.planning.block_sizes import boxes_of
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


def passes_at(plan: DownscalingPlan, places: Sequence[tuple[slice, ...]]) -> PassCounts:
    """Count the passes that sample the chunks of one plane that lie at some places.

    Passes of smaller batches count by their share of a full one.
    """
    assert plan.blocks is not None
    ends = [np.cumsum([0, *one]) for one in plan.blocks]
    blocks = [
        (int(np.searchsorted(ends[0], y.start)), int(np.searchsorted(ends[1], x.start)))
        for y, x in places
    ]
    total = PassCounts()
    for box in dict.fromkeys(boxes_of(blocks, ends, plan.region).values()):
        part = plan.within(box).sampling
        found = passes_of(part)
        share = part.batch / plan.sampling.batch
        total += PassCounts(ceil(found.network * share), ceil(found.encoder * share))
    return total


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
