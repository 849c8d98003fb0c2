"""Fast forward passes of a network: CUDA graphs and ``torch.compile``.

On a CPU torch runs the network eagerly. On a GPU a forward pass launches about a thousand kernels
from Python, and other threads delay the launches, so a small network would leave the GPU idle most
of the time. The kernels are therefore recorded once as a CUDA graph and replayed with one call;
results are identical. ``torch.compile`` fuses kernels, which takes a minute or two at first.
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
# Recordings kept per program, one for each shape of its inputs; each holds the memory of a
# forward pass.
KEPT = 2
# Shapes, over all networks, that torch compiles a forward pass for; its own limit is 8.
COMPILED = 256
# Characters of torch's own message that an error quotes.
QUOTED = 200
_MAKING = threading.Lock()
_ALL: WeakSet[Recorded] = WeakSet()


def programs(
    network: Flex, compiled: bool
) -> tuple[Callable[..., Tensor], Callable[..., TaskFeatures]]:
    """Return fast versions of the network's ``forward`` and ``encode``.

    Parameters
    ----------
    network
        On a GPU both are recorded as CUDA graphs, one for each shape of the inputs.
    compiled
        Whether ``torch.compile`` compiles both; once per process.
    """
    if compiled or next(network.parameters()).is_cuda:
        with _MAKING:
            return _programs(network, compiled)
    return network, network.encode


def forget() -> None:
    """Free the memory of all recordings of all networks."""
    for one in list(_ALL):
        one.recordings.clear()


def check_compiler(device: str) -> None:
    """Compile a small function, since torch reports a missing compiler only then.

    Raises
    ------
    FlexclimError
        If ``torch.compile`` does not work here.
    """
    try:
        torch.compile(torch.neg, dynamic=False)(torch.ones(2, device=device))
    except Exception as error:
        reason = " ".join(str(error).partition("Set TORCH")[0].split()) or type(error).__name__
        raise FlexclimError(
            "compile=True needs a C++ compiler, on a GPU a C compiler and Triton, and torch can't "
            f"compile here: {reason[:QUOTED]}. Install what is missing, or leave out compile (in a "
            "new store)."
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

    def run(*given: object) -> Any:
        with torch.compiler.config.patch(recompile_limit=COMPILED):  # type: ignore[attr-defined]
            return made(*given)

    return run


class Recorded:
    """A function of tensors and features on a GPU, recorded for each shape of its inputs.

    ``work`` must launch the same kernels for all inputs of the same shapes, and must not
    synchronise with the GPU.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self.recordings: dict[object, _Recording] = {}
        _ALL.add(self)

    def __call__(self, *given: object) -> Any:
        """Replay the recording for these inputs; record first if their shapes are new."""
        names = [one for one in given if isinstance(one, str)]
        shapes = [(one.shape, one.dtype, one.stride()) for one in _tensors(given)]
        key = (*names, *shapes)
        if key not in self.recordings:
            while len(self.recordings) >= KEPT:
                del self.recordings[next(iter(self.recordings))]
            self.recordings[key] = _Recording(self._work, given)
        return self.recordings[key].replay(given)


class _Recording:
    """The kernels of one forward pass, with the tensors that they read and write."""

    def __init__(self, work: Work, given: Sequence[object]) -> None:
        self._read = [torch.empty_like(one) for one in _tensors(given)]
        own = list(_with(given, self._read))
        self._put(given)
        with torch.cuda.device(self._read[0].device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                work(*own)  # libraries select and compile kernels on their first call
            torch.cuda.current_stream().wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=side, capture_error_mode="thread_local"):
                self._made = work(*own)

    def _put(self, given: Sequence[object]) -> None:
        for own, one in zip(self._read, _tensors(given), strict=True):
            own.copy_(one)

    def replay(self, given: Sequence[object]) -> Any:
        self._put(given)
        self._graph.replay()
        (made,) = _with([self._made], [one.clone() for one in _tensors([self._made])])
        return made


def _tensors(values: Iterable[object]) -> list[Tensor]:
    """Return all tensors among the values, including those of features, in order."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, TaskFeatures):
            found.extend(value.tensors)
        elif isinstance(value, Tensor):
            found.append(value)
    return found


def _with(values: Iterable[object], tensors: Sequence[Tensor]) -> Iterator[object]:
    """Yield the values with their tensors replaced, in order."""
    left = iter(tensors)
    for value in values:
        if isinstance(value, TaskFeatures):
            yield value.of([next(left) for _ in value.tensors])
        else:
            yield next(left) if isinstance(value, Tensor) else value
