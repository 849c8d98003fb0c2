"""Sample the residual of a whole field: the state is global, the network is evaluated on tiles.

Legend: W windows, M fields to sample, N input fields (each of M / N of these), T targets, C input
channels of the task encoder, L numbers of the label, B windows per forward pass, P places (each a
window of a field to sample), Y X the fine field, h w one window.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from operator import itemgetter
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from flexclim.execution.allocation import return_memory
from flexclim.execution.batch_size import is_out_of_memory
from flexclim.execution.forward_passes import run_passes
from flexclim.execution.progress import count_pass
from flexclim.models.settings import SUPERRES
from flexclim.nn.compilation import forget, programs
from flexclim.nn.configuration import Method
from flexclim.nn.copies import to_device, to_host
from flexclim.nn.diffusion import Diffusion
from flexclim.nn.flex import Flex, TaskFeatures
from flexclim.nn.sampler import sample, time_grid
from flexclim.planning.tiles import TilePlan
from flexclim.sampling.fusion import frame_field, unframe, window

T = TypeVar("T")
# Forward passes on a region of a large field after which memory is returned to the system.
RETURN_EVERY = 16


class TiledSampler:
    """A network with a tile plan, ready to sample fields.

    Parameters
    ----------
    network
        In evaluation mode, on the device and in the precision of the sampling.
    tiles
        Windows over the fine domain.
    batch
        B; the last batch is padded to it, since results differ by rounding between batch sizes.
    vectors, vectors_in
        Which of the T targets and of the C channels change sign across a pole; empty: none.
    spread
        Factor on the members' deviation from the estimate at the first step, their mean.
    active
        For each step the numbers of the windows to evaluate, each a subset of those of the step
        before; empty: all.
    task
        Which of the network's task encoders reads the inputs.
    compiled
        Whether the network is compiled with ``torch.compile``, once per process.
    """

    def __init__(
        self,
        network: Flex,
        diffusion: Diffusion,
        tiles: TilePlan,
        *,
        batch: int,
        vectors: Sequence[bool] = (),
        vectors_in: Sequence[bool] = (),
        spread: float = 1.0,
        active: Sequence[Sequence[int]] = (),
        task: str = SUPERRES,
        compiled: bool = False,
    ) -> None:
        self.spread, self.active, self.task = spread, active, task
        self.network, self.diffusion, self.tiles = network, diffusion, tiles
        self._forward, self._encoder = programs(network, compiled)
        self.batch, self.pass_size = batch, batch
        self.device = next(network.parameters()).device
        self.windows = tiles.count
        # The windows whose features are encoded, in order.
        self._read = torch.tensor(active[0] if active else range(tiles.count), device=self.device)
        self._pixels = tuple(
            (torch.tensor(axis.starts)[:, None] + axis.before + torch.arange(axis.tile)).to(
                self.device
            )
            for axis in (tiles.rows, tiles.columns)
        )
        rows, columns, turned = (torch.from_numpy(a).to(self.device) for a in tiles.frame())
        self._frame = rows, columns, turned
        rows, columns = (torch.from_numpy(a).to(self.device) for a in tiles.weights())
        self._weights = rows, columns
        self._turning, self._turning_in = map(self._channels, (vectors, vectors_in))

    @torch.inference_mode()
    def encode(self, inputs: np.ndarray, label: np.ndarray) -> TaskFeatures:
        """Run the task encoder once on every window of fields that is evaluated.

        Parameters
        ----------
        inputs
            (C, Y, X) or (N, C, Y, X).
        label
            (L,) or (N, L).
        """
        framed, labels = self._framed_inputs(inputs), self._labels(label)
        labels = labels.expand(len(framed), -1)
        every = torch.cartesian_prod(torch.arange(len(framed), device=self.device), self._read)

        def encode_batch(places: Tensor) -> TaskFeatures:
            features = self._encode(framed, labels, *places.T)
            return features.part(slice(len(places)))

        passes = [partial(encode_batch, places) for places in torch.split(every, self.batch)]
        return joined(list(self._run(passes)))

    @torch.inference_mode()
    def sample(
        self,
        inputs: np.ndarray,
        label: np.ndarray,
        noise: np.ndarray | Tensor,
        steps: int,
        method: Method,
        features: TaskFeatures | None = None,
    ) -> np.ndarray:
        """Sample the residuals of M fields, such as the members of N planes.

        Parameters
        ----------
        inputs
            (C, Y, X) or (N, C, Y, X) float32 inputs of the task encoder: each for M / N fields
            that follow on each other.
        label
            (L,) or (N, L) float32.
        noise
            (M, T, Y, X) float32 standard normal, preferably on the sampling device.
        features
            From :meth:`encode`; None: recomputed at each step, for few windows at a time.

        Returns
        -------
        ndarray
            (M, T, Y, X) float32.
        """
        framed, labels = self._framed_inputs(inputs), self._labels(label)
        labels = labels.expand(len(framed), -1)
        active = iter(self.active or itertools.repeat(range(self.windows)))
        mean = None

        def estimate(state: Tensor, at: float) -> Tensor:
            nonlocal mean
            clean = self._fused_estimate(state, at, next(active), framed, labels, features)
            mean = clean if mean is None else mean
            return clean

        state = torch.as_tensor(noise, device=self.device)
        residual = sample(estimate, state, self.diffusion, time_grid(steps), method)
        if self.spread != 1:
            assert mean is not None
            residual = (residual - mean).mul_(self.spread).add_(mean)
        return to_host(residual)

    @torch.inference_mode()
    def time_passes(self) -> tuple[float, float]:
        """Return seconds per forward pass of the network, and of the task encoder.

        As many run at once as in sampling.
        """
        size, config = (self.batch, *self.network.config.tile), self.network.config
        # Channels last in memory, as in sampling.
        noisy, inputs = (
            torch.randn((*size, channels), device=self.device).permute(0, 3, 1, 2)
            for channels in (config.channels, config.conditions[self.task])
        )
        label = self._labels(np.empty(0)).expand(self.batch, -1)
        t = torch.full((self.batch,), 0.5, device=self.device)

        def encode() -> TaskFeatures:
            return joined(
                self._in_parts(lambda part: self._encoder(self.task, inputs[part], label[part]))
            )

        (features,) = self._run([encode])
        forward = partial(self._denoise, noisy, t, features, label)
        return self._seconds(forward), self._seconds(encode)

    def _seconds(self, one: Callable[[], object]) -> float:
        """Return the seconds that each of some passes takes, after one that warms up."""
        cpu = self.device.type == "cpu"
        count = torch.get_num_threads() if cpu else 4
        start = 0.0
        for passes in (1, count):
            start = time.perf_counter()
            list(self._run([one] * passes))
            if not cpu:
                torch.cuda.synchronize(self.device)
        return (time.perf_counter() - start) / count

    def _fused_estimate(
        self,
        state: Tensor,
        at: float,
        windows: Sequence[int],
        inputs: Tensor,
        label: Tensor,
        features: TaskFeatures | None,
    ) -> Tensor:
        """Estimate the clean residual (M, T, Y, X) window by window and fuse the estimates."""
        framed = frame_field(state, self.tiles, self._frame, vector=self._turning)
        canvas = torch.zeros_like(framed)
        t = torch.full((self.batch,), at, device=self.device)
        # Windows vary slowest: fields with the same inputs share the features of a window.
        places = list(itertools.product(windows, range(len(state))))
        each = len(state) // len(inputs)
        sharing = each if features is None else 1
        size = self.batch * sharing
        batches = [places[first : first + size] for first in range(0, len(places), size)]

        def weighted(batch: Sequence[tuple[int, int]]) -> Tensor:
            index, members = to_device(np.array(batch).T.copy(), self.device)
            fields = members // each
            own: Iterable[Tensor | None] = itertools.repeat(None)
            if features is not None:
                read = features
                encoded = torch.searchsorted(self._read, index)
                own = torch.split(fields * len(self._read) + encoded, self.batch)
            else:
                read = self._encode(inputs, label, fields[::sharing], index[::sharing])
                if sharing > 1:
                    shared = torch.arange(len(batch), device=self.device) // sharing
                    own = torch.split(shared, self.batch)
            split = (torch.split(one, self.batch) for one in (label[fields], members, index))
            passes = zip(*split, own, strict=False)
            return torch.cat([self._weighted(framed, t, read, *args) for args in passes])

        results = self._run([partial(weighted, batch) for batch in batches])
        for number, (batch, tiles) in enumerate(zip(batches, results, strict=True)):
            first = 0
            for index, run in itertools.groupby(batch, key=itemgetter(0)):
                members = [member for _, member in run]
                place = window(canvas[members[0] : members[-1] + 1], self.tiles, index)
                place += tiles[first : first + len(members)]
                first += len(members)
            if self.active and number % RETURN_EVERY == 0:
                return_memory()
        return unframe(canvas, self.tiles)

    def _weighted(
        self,
        framed: Tensor,
        t: Tensor,
        features: TaskFeatures,
        label: Tensor,
        members: Tensor,
        index: Tensor,
        own: Tensor | None,
    ) -> Tensor:
        """Estimate the clean residual of up to B places and weight its pixels, (P, T, h, w).

        ``own`` are the indices of each place's features; None: they are in the same order.
        """
        count = len(members)
        members, index, label = (_padded(one, self.batch) for one in (members, index, label))
        noisy = self._cut(framed, members, index)
        if own is not None:
            features = features.take(_padded(own, self.batch))
        output = self._denoise(noisy, t, features, label)
        clean = self.diffusion.clean(output.float(), noisy, t)
        row, column = self._row_column(index)
        rows, columns = self._weights[0][row], self._weights[1][column]
        return (clean * (rows[:, None, :, None] * columns[:, None, None, :]).float())[:count]

    def _run(self, passes: Sequence[Callable[[], T]]) -> Iterator[T]:
        """Run forward passes on their threads."""
        own = [torch.inference_mode()(one) for one in passes]
        yield from run_passes(own, self.device.type)

    def _denoise(self, noisy: Tensor, t: Tensor, features: TaskFeatures, label: Tensor) -> Tensor:
        """Run the network on a batch."""

        def run(part: slice) -> Tensor:
            return self._forward(noisy[part], t[part], features.part(part), label[part])

        denoised = torch.cat(self._in_parts(run))
        count_pass()
        return denoised

    def _in_parts(self, run: Callable[[slice], T]) -> list[T]:
        """Run on a batch; once memory has not sufficed, in parts of it."""
        while True:
            size = self.pass_size
            parts = [slice(first, first + size) for first in range(0, self.batch, size)]
            try:
                with self._exact():
                    return [run(part) for part in parts]
            except Exception as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
            # Outside the handler, whose traceback holds tensors.
            self._halve(size)

    def _halve(self, size: int) -> None:
        forget()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.pass_size = min(self.pass_size, -(-size // 2))  # another pass may have split it

    def _encode(self, framed: Tensor, label: Tensor, fields: Tensor, index: Tensor) -> TaskFeatures:
        """Encode up to B windows of fields; the result is padded to B with the last window."""
        fields, index = _padded(fields, self.batch), _padded(index, self.batch)
        inputs, own = self._cut(framed, fields, index), label[fields]
        parts = self._in_parts(lambda part: self._encoder(self.task, inputs[part], own[part]))
        return joined(parts)

    def _cut(self, framed: Tensor, fields: Tensor, index: Tensor) -> Tensor:
        """Return windows of framed fields (N, channels, ...): (P, channels, h, w)."""
        row, column = self._row_column(index)
        rows, columns = self._pixels[0][row][:, :, None], self._pixels[1][column][:, None]
        # Channels last in memory, the layout that the network uses.
        return framed[fields[:, None, None], :, rows, columns].permute(0, 3, 1, 2)

    def _row_column(self, index: Tensor) -> tuple[Tensor, Tensor]:
        across = len(self.tiles.columns.starts)
        return index // across, index % across

    def _exact(self) -> AbstractContextManager[None]:
        """Prevent convolutions in float32 from rounding to TF32, the default on GPUs."""
        if self.device.type == "cpu" or self.network.dtype != torch.float32:
            return nullcontext()
        exact: AbstractContextManager[None] = torch.backends.cudnn.flags(
            enabled=True, allow_tf32=False
        )
        return exact

    def _labels(self, label: np.ndarray) -> Tensor:
        """Return labels (L,) or (N, L) as (1, L) or (N, L); zeros for empty ones."""
        known = np.atleast_2d(label)
        numbers = np.zeros((len(known), self.network.config.label_size), np.float32)
        numbers[:, : known.shape[1]] = known
        return to_device(numbers, self.device)

    def _framed_inputs(self, inputs: np.ndarray) -> Tensor:
        """Return fields with their frames, (N, C, Y + frame, X + frame)."""
        field = to_device(inputs, self.device)[None].flatten(0, -4)
        framed: Tensor = frame_field(field, self.tiles, self._frame, vector=self._turning_in)
        return framed

    def _channels(self, vectors: Sequence[bool]) -> Tensor | Literal[False]:
        """Return a mask of channels that change sign across a pole, (channels, 1, 1)."""
        if not any(vectors):
            return False
        return torch.tensor(vectors, device=self.device)[:, None, None]


def _padded(rows: Tensor, size: int) -> Tensor:
    """Pad a tensor to ``size`` rows by repeating its last one."""
    return torch.cat([rows, rows[-1:].expand(size - len(rows), *rows.shape[1:])])


def joined(parts: Sequence[TaskFeatures]) -> TaskFeatures:
    """Concatenate the features of several batches or fields."""
    first, *others = parts
    if not others:
        return first
    return first.of([torch.cat(same) for same in zip(*(p.tensors for p in parts), strict=True)])
