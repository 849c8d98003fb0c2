"""How passes of a network run on a device.

On a CPU torch runs the network as it is written. On a GPU a pass is a thousand kernels, each asked
for by Python, which other threads keep waiting: a small network would leave the GPU idle for most
of the time. So they are recorded once, as a CUDA graph, and then run at one call, with the same
numbers. ``torch.compile`` makes fewer kernels of them, which takes a minute or two at first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any
from weakref import WeakSet

import torch
import torch.compiler.config
from torch import Tensor

from flexclim.errors import FlexclimError
from flexclim.nn.flex import Flex, TaskFeatures

Work = Callable[..., Any]
# Recordings kept of each program, one for each shape of its inputs; each holds a pass's memory.
KEPT = 2
# Shapes, of all networks together, that torch compiles a pass for; by itself it gives up at 8.
COMPILED = 256
# Letters of torch's own words that an error repeats.
TOLD = 200
_MAKING = threading.Lock()
_ALL: WeakSet[Recorded] = WeakSet()


def programs(
    network: Flex, compiled: bool
) -> tuple[Callable[..., Tensor], Callable[..., TaskFeatures]]:
    """Return what does as the network, and as its ``encode``; compiled ones once a process."""
    if compiled or next(network.parameters()).is_cuda:
        with _MAKING:
            return _programs(network, compiled)
    return network, network.encode


def forget() -> None:
    """Give back the memory of all recordings, also of other networks."""
    for one in list(_ALL):
        one.recordings.clear()


def check_compiler(device: str) -> None:
    """Compile something small: what a machine lacks for it shows only then.

    Raises
    ------
    FlexclimError
        If ``torch.compile`` does not work here.
    """
    try:
        torch.compile(torch.neg, dynamic=False)(torch.ones(2, device=device))
    except Exception as error:
        told = " ".join(str(error).partition("Set TORCH")[0].split()) or type(error).__name__
        raise FlexclimError(
            "compile=True needs a C++ compiler, on a GPU a C compiler and Triton, and torch can't "
            f"compile here: {told[:TOLD]}. Install what is missing; a new store can do without "
            "compile."
        ) from error


@lru_cache(maxsize=8)
def _programs(network: Flex, compiled: bool) -> tuple[Work, Work]:
    own: tuple[Work, Work] = network, network.encode
    if compiled:
        own = _compiled(own[0]), _compiled(own[1])
    if next(network.parameters()).is_cuda:
        own = Recorded(own[0]), Recorded(own[1])
    return own


def _compiled(work: Work) -> Work:
    made = torch.compile(work, dynamic=False, fullgraph=True)

    def run(*given: Any) -> Any:
        with torch.compiler.config.patch(recompile_limit=COMPILED):  # type: ignore[attr-defined]
            return made(*given)

    return run


class Recorded:
    """Work on tensors and features of a GPU, recorded for each shape of them that comes.

    ``work`` must do the same for all inputs of the same shapes, and wait for nothing of the GPU.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self.recordings: dict[object, _Recording] = {}
        _ALL.add(self)

    def __call__(self, *given: Any) -> Any:
        """Return what the work makes of what is given."""
        told = [one for one in given if isinstance(one, str)]
        shapes = [(one.shape, one.dtype, one.stride()) for one in _tensors(given)]
        key = (*told, *shapes)
        if key not in self.recordings:
            while len(self.recordings) >= KEPT:
                del self.recordings[next(iter(self.recordings))]
            self.recordings[key] = _Recording(self._work, given)
        return self.recordings[key].replay(given)


class _Recording:
    """The kernels of one pass, what they read and what they write."""

    def __init__(self, work: Work, given: Sequence[Any]) -> None:
        self._read = [torch.empty_like(one) for one in _tensors(given)]
        own = list(_with(given, self._read))
        self._put(given)
        with torch.cuda.device(self._read[0].device):
            beside = torch.cuda.Stream()
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                work(*own)  # what libraries choose, and compile, at a first call
            torch.cuda.current_stream().wait_stream(beside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=beside, capture_error_mode="thread_local"):
                self._made = work(*own)

    def _put(self, given: Sequence[Any]) -> None:
        for own, one in zip(self._read, _tensors(given), strict=True):
            own.copy_(one)

    def replay(self, given: Sequence[Any]) -> Any:
        self._put(given)
        self._graph.replay()
        (made,) = _with([self._made], [one.clone() for one in _tensors([self._made])])
        return made


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    """Return tensors, and those of features, one after the other."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, TaskFeatures):
            found.extend(value.tensors)
        elif isinstance(value, Tensor):
            found.append(value)
    return found


def _with(values: Iterable[Any], tensors: Sequence[Tensor]) -> Iterator[Any]:
    """Yield values with other tensors in the place of their own."""
    left = iter(tensors)
    for value in values:
        if isinstance(value, TaskFeatures):
            yield value.of([next(left) for _ in value.tensors])
        else:
            yield next(left) if isinstance(value, Tensor) else value
