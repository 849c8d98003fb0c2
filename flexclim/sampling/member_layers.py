"""Graph layers of large lazy planes, whose tasks are made when it is known what is computed.

Chunks are cut from the box that they are computed in. If all chunks of a plane are computed, boxes
are its regions, and the network is evaluated as often as without chunks. If only some are, boxes
hold no more than these.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import EllipsisType
from typing import Any, cast

import numpy as np

# Tasks of static fields may be tuples, dask's older form.
from dask._task_spec import convert_legacy_graph
from dask.base import tokenize
from dask.delayed import Delayed
from dask.highlevelgraph import Layer
from dask.typing import Key

from flexclim.execution.network_tasks import network_layer
from flexclim.planning.block_sizes import Block, Box, Sizes, boxes_of
from flexclim.planning.downscaling_plan import DownscalingPlan
from flexclim.sampling.downscaling_graph import prepare_planes, sample_members
from flexclim.sampling.part_readers import Reader
from flexclim.sampling.plane_identity import PlaneIdentities

# Numbers of a group of members, and of a plane along each dimension.
Members = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class LazyPlanes:
    """Planes of all times, and how members are sampled from them.

    Parameters
    ----------
    names
        Of dask arrays (..., y, x) that hold the inputs, with one chunk per plane.
    lead
        Sizes of the dimensions between members and (y, x).
    statics, means
        Return the static fields and the block means of a part; None: there are none.
    token
        A hash of all of it.
    """

    names: Sequence[str]
    lead: Mapping[str, int]
    plan: DownscalingPlan
    identities: PlaneIdentities
    statics: Reader | None
    means: Reader | None
    token: str


class Tasks(dict[Key, Any]):
    """Tasks by key, and what each depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.dependencies: dict[Key, set[Key]] = {}

    def add(self, key: Key, task: object, read: Iterable[Key]) -> Key:
        """Add a task that reads others."""
        self[key], self.dependencies[key] = task, set(read)
        return key

    def add_delayed(self, found: Delayed) -> Key:
        """Add the tasks of a delayed value."""
        for key, node in convert_legacy_graph(dict(found.dask)).items():
            self.add(key, node, node.dependencies)
        last: Key = found.key
        return last


class ChunkLayer(Layer):
    """Chunks of a target: (name, group of members, *plane, row, column) of blocks.

    Tasks are made when the layer is culled, or all of them when it is read.

    Parameters
    ----------
    number
        Of the target.
    sizes, first
        Of the chunks along rows and columns, and the first stored row and column.
    """

    has_legacy_tasks = False

    def __init__(
        self, name: str, planes: LazyPlanes, number: int, sizes: tuple[Sizes, Sizes], first: Block
    ) -> None:
        super().__init__(network_layer({}, planes.plan.sampling.run).annotations)
        self.name, self.planes, self.number = name, planes, number
        self.sizes, self.first = sizes, first

    @cached_property
    def _all(self) -> dict[Key, Any]:
        return self._make(self.get_output_keys())

    def __getitem__(self, key: Key) -> Any:
        return self._all[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def is_materialized(self) -> bool:
        """Return whether all tasks were made."""
        return "_all" in self.__dict__

    def get_output_keys(self) -> set[Key]:
        """Return the keys of all chunks."""
        groups = range(len(self.planes.plan.sampling.member_groups))
        lead = map(range, self.planes.lead.values())
        blocks = (range(len(one)) for one in self.sizes)
        return {(self.name, *key) for key in itertools.product(groups, *lead, *blocks)}

    def cull(
        self, keys: set[Key], all_hlg_keys: Collection[Key]
    ) -> tuple[Layer, Mapping[Key, set[Key]]]:
        """Return a layer of the tasks that some keys need, and what each depends on."""
        made = self._make({key for key in keys if isinstance(key, tuple) and key[0] == self.name})
        return network_layer(made, self.planes.plan.sampling.run), made.dependencies

    def _make(self, keys: Iterable[Key]) -> Tasks:
        asked: dict[Members, set[Block]] = defaultdict(set)
        for key in keys:
            numbers = cast(tuple[Any, ...], key)[1:]
            asked[numbers[:-2]].add(numbers[-2:])
        tasks, targets = Tasks(), self.planes.plan.sampling.targets
        number, dtype = self.number if len(targets) > 1 else ..., targets[self.number].dtype
        places: dict[frozenset[Block], list[tuple[Block, _Place]]] = {}
        for members, blocks in asked.items():
            same = frozenset(blocks)
            if same not in places:
                places[same] = self._places(same, tasks)
            for block, place in places[same]:
                box = place.sampled.members(members, tasks)
                task = (cut, box, number, *place.inside, dtype)
                tasks.add((self.name, *members, *block), task, [box])
        return tasks

    def _places(self, blocks: Collection[Block], tasks: Tasks) -> list[tuple[Block, _Place]]:
        """Return for each chunk the box that it is cut from, and its place in it."""
        ends = [np.cumsum([first, *one]) for first, one in zip(self.first, self.sizes, strict=True)]
        found, sampled = [], {}
        for block, box in boxes_of(blocks, ends, self.planes.plan.region).items():
            if box not in sampled:
                sampled[box] = _Sampled(self.planes, box, tasks)
            inside = [
                slice(int(end[number] - start), int(end[number + 1] - start))
                for end, number, (start, _) in zip(
                    ends, block, (box.rows, box.columns), strict=True
                )
            ]
            found.append((block, _Place(sampled[box], (inside[0], inside[1]))))
        return found


@dataclass(frozen=True)
class _Place:
    """The place of a chunk within the box that it is cut from."""

    sampled: _Sampled
    inside: tuple[slice, slice]


class _Sampled:
    """Adds the tasks that sample members in a box."""

    def __init__(self, planes: LazyPlanes, box: Box, tasks: Tasks) -> None:
        self.planes, self.part = planes, planes.plan.within(box)
        self.token = f"{planes.token}-{tokenize(box)}"
        readers = planes.statics, planes.means
        self.read = [one and tasks.add_delayed(one(self.part)) for one in readers]

    def members(self, members: Members, tasks: Tasks) -> Key:
        """Return the key of a block of a group of members, as in :func:`sample_members`."""
        key: Key = (f"downscale-{self.token}", *members)
        if key in tasks:
            return key
        shared = self.planes.plan.sampling
        group, *index = members
        where = {dim: slice(n, n + 1) for dim, n in zip(self.planes.lead, index, strict=True)}
        identities = self.planes.identities.part(where)
        numbers = shared.member_groups[group]
        prepared: list[Key] = []
        for number in numbers if shared.paired else (0,):
            one: Key = (f"prepare-{self.token}", number, *index)
            if one not in tasks:
                at = (number, *index) if shared.paired else index
                own: list[Key] = [(name, *at, 0, 0) for name in self.planes.names]
                task = (prepare_planes, own, *self.read, self.part, identities)
                tasks.add(one, task, [*own, *filter(None, self.read)])
            prepared.append(one)
        return tasks.add(key, (sample_members, prepared, self.part, identities, numbers), prepared)


def cut(
    block: np.ndarray, number: int | EllipsisType, rows: slice, columns: slice, dtype: str
) -> np.ndarray:
    """Return rows and columns of one target of a block (T, M, 1, ..., y', x').

    ``number`` is that of the target; ``...``: there is only one, and the block has no T.
    """
    part: np.ndarray = block[number][..., rows, columns]
    # A view would keep the whole block.
    return part.astype(dtype, copy=part.size < block.size)
