"""How many planes and members one task samples: enough to fill forward passes, and no more.

Fields of a few hundred cells fill a forward pass only together. A task takes several of their
planes, which share what is done once per task; the graph of decades of days stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

# Fine cells of all members that a task samples.
TOGETHER_CELLS = 2**22
# Members of a task that share the inputs of a field.
TOGETHER = 4
# Forward passes that a task takes for a sampler step, if its fields are small: some seconds of
# work, so that a slice of a lazy result computes little else.
PASSES = 8
# Features that are kept for the planes of a task, over those that may be kept for one plane.
KEPT = 2
# Cost of the task encoder over that of the network, and the share of the lowest cost of a plane
# by which a smaller task may be dearer.
ENCODER, SLACK = 1 / 3, 0.02


@dataclass(frozen=True, kw_only=True)
class TaskSize:
    """How much one task samples.

    Parameters
    ----------
    planes
        Number of planes along one dimension, a power of two.
    members
        Minimum number of members.
    """

    planes: int = 1
    members: int = 1


def choose_task_size(
    *,
    planes: int,
    members: int,
    tiles: int,
    batch: int,
    cells: int,
    kept_tiles: int,
    entire: bool,
    share: bool,
) -> TaskSize:
    """Choose how many planes and members a task samples.

    Parameters
    ----------
    planes, members
        How many there are: along the dimension that tasks divide, and in the ensemble.
    tiles, cells
        Windows and fine cells of a plane.
    batch
        Windows of a forward pass.
    kept_tiles
        Windows of a plane of which features may be kept.
    entire
        Whether all members will be computed. Otherwise a member should not be computed with more
        others than fill a forward pass.
    share
        Whether members should be sampled together even if they fill forward passes alone.

    Examples
    --------
    >>> sizes = {"planes": 365, "members": 8, "batch": 16, "kept_tiles": 35, "share": False}
    >>> choose_task_size(tiles=6, cells=96 * 128, entire=True, **sizes)
    TaskSize(planes=4, members=8)
    >>> choose_task_size(tiles=6, cells=96 * 128, entire=False, **sizes)
    TaskSize(planes=8, members=2)
    >>> choose_task_size(tiles=500, cells=720 * 1440, entire=False, **sizes)
    TaskSize(planes=1, members=1)
    """
    wanted = PASSES * batch
    together = min(TOGETHER, TOGETHER_CELLS // cells) if share else 1
    together = max(1, together, batch // tiles)
    if entire:
        together = max(together, min(wanted // tiles, TOGETHER_CELLS // cells))
    together = min(members, together)
    most = min(planes, TOGETHER_CELLS // (cells * together))
    if tiles <= kept_tiles:
        most = min(most, KEPT * kept_tiles // tiles)
    most = min(most, 2 * ceil(wanted / (together * tiles)) - 1)
    powers = [1 << n for n in range(max(1, most).bit_length())]

    def cost(count: int) -> float:
        """Return the forward passes of a step for each of ``count`` planes in one task."""
        network, encoder = ceil(count * together * tiles / batch), ceil(count * tiles / batch)
        return (network + ENCODER * encoder) / count

    enough = [n for n in powers if n * together * tiles >= wanted] or powers[-1:]
    lowest = min(map(cost, powers))
    cheap = [n for n in powers if cost(n) <= (1 + SLACK) * lowest]
    return TaskSize(planes=max(enough[0], cheap[0]), members=together)


def spans_of(count: int, side: int, breaks: Sequence[int]) -> list[tuple[int, int]]:
    """Cut ``count`` positions into spans of at most ``side`` that start anew at breaks.

    >>> spans_of(7, 4, [5])
    [(0, 4), (4, 5), (5, 7)]
    """
    ends = [0, *(end for end in breaks if 0 < end < count), count]
    return [
        (start, min(start + side, stop))
        for first, stop in pairwise(ends)
        for start in range(first, stop, side)
    ]
