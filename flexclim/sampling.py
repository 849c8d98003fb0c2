"""Sample the residual of a whole field: the state is global, the network is tiled.

Legend: W windows, M members, T targets, C channels that the task encoder reads, L numbers of the
label, B windows in one network pass, Y X the fine field, h w one window.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from flexclim.engine import record
from flexclim.memory import is_out_of_memory
from flexclim.nn.allocation import return_memory
from flexclim.nn.copies import to_device, to_host
from flexclim.nn.diffusion import Diffusion
from flexclim.nn.flex import Flex, TaskFeatures
from flexclim.nn.sampler import Method, sample, time_grid
from flexclim.passes import run_passes
from flexclim.settings import SUPERRES
from flexclim.stitch import frame_field, unframe, weight, window
from flexclim.tiles import TilePlan

T = TypeVar("T")
# Features of all windows are kept between steps and members up to this size.
FEATURE_BYTES = 512 * 2**20
# Passes of a large field's region after which memory goes back to the system.
RETURN_EVERY = 16
TYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TiledSampler:
    """A network and a plan of tiles, ready to sample fields.

    Parameters
    ----------
    network
        In evaluation mode, on the device that samples.
    tiles
        Windows over the fine domain.
    batch
        B; the last pass is padded to it, because sizes of batches move results by rounding.
    precision
        ``"float32"``, ``"bf16"`` or ``"fp16"``: what convolutions and attention compute in.
    vectors, vectors_in
        Which of the T targets and of the C channels change sign across a pole; empty: none.
    spread
        Factor on the members' distance from the estimate at the first step, their mean.
    active
        For each step the numbers of the windows to sample, those of later steps among those of
        earlier ones; empty: all.
    task
        Which of the network's task encoders reads the inputs.
    """

    def __init__(
        self,
        network: Flex,
        diffusion: Diffusion,
        tiles: TilePlan,
        *,
        batch: int,
        precision: str = "float32",
        vectors: Sequence[bool] = (),
        vectors_in: Sequence[bool] = (),
        spread: float = 1.0,
        active: Sequence[Sequence[int]] = (),
        task: str = SUPERRES,
    ) -> None:
        self.spread, self.active, self.task = spread, active, task
        self.network, self.diffusion, self.tiles = network, diffusion, tiles
        self.batch, self.precision, self.pass_size = batch, precision, batch
        self.device = next(network.parameters()).device
        self.windows = tiles.count
        self._frame = tuple(torch.from_numpy(a).to(self.device) for a in tiles.frame())
        rows, columns = (torch.from_numpy(a).to(self.device) for a in tiles.weights())
        self._weights = rows, columns
        self._turning, self._turning_in = map(self._channels, (vectors, vectors_in))

    @torch.inference_mode()
    def encode(self, inputs: np.ndarray, label: np.ndarray) -> TaskFeatures | None:
        """Run the task encoder once on every window of fields with a label (L,).

        None where the features would not fit in memory: :meth:`sample` then makes them as it goes.

        Parameters
        ----------
        inputs
            (C, Y, X) or (N, C, Y, X).
        """
        framed, told = self._framed_inputs(inputs), self._labels(label)
        pairs = list(itertools.product(range(len(framed)), range(self.windows)))
        batches = [pairs[first : first + self.batch] for first in range(0, len(pairs), self.batch)]
        encode = [partial(self._encode, framed, told, some) for some in batches]
        parts = list(self._run(encode[:1]))
        size = sum(m.nbytes for m in parts[0].maps)
        if size / len(batches[0]) * len(pairs) > FEATURE_BYTES:
            return None
        return joined([*parts, *self._run(encode[1:])])

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
        """Sample the residuals of M members.

        Parameters
        ----------
        inputs
            (C, Y, X) float32, what the task encoder reads; (M, C, Y, X) where each member has its
            own.
        label
            (L,) float32, of all windows.
        noise
            (M, T, Y, X) float32 standard normal; on the device, best made there.
        features
            From :meth:`encode`.

        Returns
        -------
        ndarray
            (M, T, Y, X) float32.
        """
        framed, told = self._framed_inputs(inputs), self._labels(label)
        active = iter(self.active or itertools.repeat(range(self.windows)))
        mean = None

        def estimate(state: Tensor, time: float) -> Tensor:
            nonlocal mean
            clean = self._fused_estimate(state, time, next(active), framed, told, features)
            mean = clean if mean is None else mean
            return clean

        state = torch.as_tensor(noise, device=self.device)
        residual = sample(estimate, state, self.diffusion, time_grid(steps), method)
        if self.spread != 1:
            assert mean is not None
            residual = (residual - mean).mul_(self.spread).add_(mean)
        return to_host(residual)

    def _fused_estimate(
        self,
        state: Tensor,
        time: float,
        windows: Sequence[int],
        inputs: Tensor,
        label: Tensor,
        features: TaskFeatures | None,
    ) -> Tensor:
        """Estimate the clean residual (M, T, Y, X) window by window and fuse the estimates."""
        framed = frame_field(state, self.tiles, self._frame, vector=self._turning)
        canvas = torch.zeros_like(framed)
        t = torch.full((self.batch,), time, device=self.device)
        # Windows vary slowest, so that one batch has few of them to encode.
        every = list(itertools.product(windows, range(len(state))))

        def clean(places: Sequence[tuple[int, int]]) -> Tensor:
            noisy = torch.stack([window(framed[m], self.tiles, w) for w, m in places])
            noisy = _padded(noisy, self.batch)
            read = [(m if len(inputs) > 1 else 0, w) for w, m in places]
            once = list(dict.fromkeys(read))
            own = features or self._encode(inputs, label, once)
            index = torch.tensor(
                [n * self.windows + w if features else once.index((n, w)) for n, w in read],
                device=self.device,
            )
            own = own.take(_padded(index, self.batch))
            output = self._pass(_channels_last(noisy), t, own, label)
            return self.diffusion.clean(output.float(), noisy, t)[: len(places)]

        batches = [every[first : first + self.batch] for first in range(0, len(every), self.batch)]
        found = self._run([partial(clean, some) for some in batches])
        for number, (places, tiles) in enumerate(zip(batches, found, strict=True)):
            for (index_window, member), tile in zip(places, tiles, strict=True):
                place = window(canvas[member], self.tiles, index_window)
                place += tile * weight(self._weights, self.tiles, index_window).float()
            if self.active and number % RETURN_EVERY == 0:
                return_memory()
        return unframe(canvas, self.tiles)

    def _run(self, passes: Sequence[Callable[[], T]]) -> Iterator[T]:
        """Run passes on their threads, and tell if memory did not suffice for them whole."""
        before = self.pass_size
        try:
            own = [torch.inference_mode()(one) for one in passes]
            yield from run_passes(own, self.device.type)
        finally:
            if self.pass_size < before:
                record(
                    f"memory did not suffice for {before} tiles at once: passes of {self.batch} "
                    f"were split into passes of {self.pass_size}, so values equal others to 1e-5 "
                    "only"
                )

    def _pass(self, noisy: Tensor, t: Tensor, features: TaskFeatures, label: Tensor) -> Tensor:
        """Run the network on a batch."""

        def run(part: slice) -> Tensor:
            output: Tensor = self.network(noisy[part], t[part], features.part(part), label[part])
            return output

        return torch.cat(self._in_parts(run))

    def _in_parts(self, run: Callable[[slice], T]) -> list[T]:
        """Run on a batch, from the first time on that memory does not suffice in parts of it."""
        while True:
            size = self.pass_size
            parts = [slice(first, first + size) for first in range(0, self.batch, size)]
            try:
                with self._autocast():
                    return [run(part) for part in parts]
            except Exception as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
            # Outside of the handler, whose traceback holds tensors.
            self._halve(size)

    def _halve(self, size: int) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.pass_size = min(self.pass_size, -(-size // 2))  # another pass may have split it

    def _encode(
        self, framed: Tensor, label: Tensor, pairs: Sequence[tuple[int, int]]
    ) -> TaskFeatures:
        """Encode some pairs of a field and a window in a pass of the usual size."""
        inputs = torch.stack([window(framed[n], self.tiles, index) for n, index in pairs])
        inputs = _channels_last(_padded(inputs, self.batch))
        parts = self._in_parts(
            lambda part: self.network.encode(self.task, inputs[part], label[part])
        )
        features = parts[0] if len(parts) == 1 else joined(parts)
        return features.take(torch.arange(len(pairs), device=self.device))

    def _labels(self, label: np.ndarray) -> Tensor:
        """Return a label (L,) for each sample of a pass, (B, L); of none zeros."""
        numbers = torch.zeros(self.network.config.label_size, device=self.device)
        numbers[: label.size] = torch.from_numpy(label)
        return numbers.expand(self.batch, -1)

    def _framed_inputs(self, inputs: np.ndarray) -> Tensor:
        """Return fields with their frames, (N, C, Y + frame, X + frame)."""
        field = to_device(inputs, self.device)[None].flatten(0, -4)
        framed: Tensor = frame_field(field, self.tiles, self._frame, vector=self._turning_in)
        return framed

    def _channels(self, vectors: Sequence[bool]) -> Tensor | Literal[False]:
        """Return what marks channels that change sign across a pole, (channels, 1, 1)."""
        if not any(vectors):
            return False
        return torch.tensor(vectors, device=self.device)[:, None, None]

    def _autocast(self) -> AbstractContextManager[None]:
        context: AbstractContextManager[None] = torch.autocast(
            self.device.type, TYPES[self.precision], enabled=self.precision != "float32"
        )
        return context


def _padded(x: Tensor, size: int) -> Tensor:
    """Repeat the last sample until there are ``size``."""
    missing = size - x.shape[0]
    return x if missing == 0 else torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def joined(parts: Sequence[TaskFeatures]) -> TaskFeatures:
    """Put the features of several batches, or of several fields, one after the other."""
    tokens = [part.tokens for part in parts if part.tokens is not None]
    return TaskFeatures(
        tuple(torch.cat(maps) for maps in zip(*(part.maps for part in parts), strict=True)),
        tuple(torch.cat(s) for s in zip(*(part.token_skips for part in parts), strict=True)),
        torch.cat(tokens) if tokens else None,
    )
