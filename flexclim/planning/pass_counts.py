"""How many forward passes a plan takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
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


def passes_of_field(plan: DownscalingPlan, sizes: Mapping[Hashable, int]) -> PassCounts:
    """Count the passes that sample all members of all planes of a field, in all its regions.

    Parameters
    ----------
    sizes
        Of the dimensions before (y, x).
    """
    shared = plan.sampling
    groups: Counter[int] = Counter({1: 1})  # how many tasks take so many planes
    for dim in shared.dims[:-2]:
        lengths = Counter(s.stop - s.start for s in shared.plane_groups(dim, sizes[dim]))
        pairs = product(groups.items(), lengths.items())
        groups = Counter()
        for (planes, count), (more, times) in pairs:
            groups[planes * more] += count * times
    counts = (
        passes_of(part.sampling, planes) * times
        for part in plan.parts
        for planes, times in groups.items()
    )
    return sum(counts, PassCounts())


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


def passes_of(plan: SamplingPlan, planes: int = 1) -> PassCounts:
    """Count the passes that sample all members of planes that tasks take together.

    The planes are whole, or those of one part of the field.
    """
    total = PassCounts()
    windows = [len(step) for step in plan.active] or [plan.tiles.count] * plan.steps
    if plan.keeps_features:
        inputs = len(plan.member_numbers) if plan.paired else 1
        total += PassCounts(0, ceil(windows[0] * planes / plan.batch)) * inputs
    for group in plan.member_groups:
        for count in windows:
            total += _of_step(plan, count * planes, len(group))
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
