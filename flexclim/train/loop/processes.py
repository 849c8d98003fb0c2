"""The processes of a run: a single one, or those started by ``torchrun``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch
from torch import Tensor, distributed

T = TypeVar("T")

# Other ranks wait at the next sum while rank 0 writes and scores.
TIMEOUT = timedelta(minutes=30)
CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """One process among those of a run.

    Parameters
    ----------
    rank
        Number of this process, from 0.
    world
        Number of processes.
    device
        Device that this process computes on.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over ranks of a tensor, which has the same shape on all of them."""
        if self.world == 1:
            return values
        total = values.to(self.device, copy=True)
        distributed.all_reduce(total)
        return total.to(values.device)

    def sums(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the sums over ranks of named numbers; all ranks pass the same names."""
        total = self.sum(torch.tensor(list(values.values()), dtype=torch.float64))
        return dict(zip(values, total.tolist(), strict=True))

    def largest(self, number: int) -> int:
        """Return the largest of the ranks' numbers."""
        if self.world == 1:
            return number
        packed = torch.tensor(number, device=self.device)
        distributed.all_reduce(packed, distributed.ReduceOp.MAX)
        return int(packed)

    def from_first(self, value: T) -> T:
        """Return the JSON value of rank 0; those of other ranks are ignored."""
        if self.world == 1:
            return value
        content = json.dumps(value).encode() if self.first else b""
        size = torch.tensor(len(content), device=self.device)
        distributed.broadcast(size, 0)
        packed = torch.empty(int(size), dtype=torch.uint8, device=self.device)
        if self.first:
            packed.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        distributed.broadcast(packed, 0)
        return cast(T, json.loads(bytes(packed.tolist())))

    def wait(self) -> None:
        """Wait until all ranks get here."""
        self.sums({"": 0.0})

    def share(self, count: int) -> range:
        """Return this rank's share of ``count`` items, a contiguous range.

        >>> [list(Ranks(rank=rank, world=2).share(5)) for rank in (0, 1)]
        [[0, 1], [2, 3, 4]]
        """
        return range(count * self.rank // self.world, count * (self.rank + 1) // self.world)


@contextmanager
def join_ranks(device: str | None = None) -> Iterator[Ranks]:
    """Join the processes of a run that ``torchrun`` started, and leave them at the end.

    Parameters
    ----------
    device
        Such as ``"cuda"``; default: a GPU if there is one. Each rank of a node uses its own.
    """
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if "RANK" not in os.environ:
        yield Ranks(device=torch.device(kind))
        return
    if kind == "cuda":
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(own)
    else:
        own = torch.device(kind)
    backend = "nccl" if own.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=TIMEOUT)
    yield Ranks(rank=distributed.get_rank(), world=distributed.get_world_size(), device=own)
    # Not after an error: other ranks may be waiting for this one, and torchrun ends them.
    distributed.destroy_process_group()
