"""Averaged weights, which are validated, and which the finished model holds."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch_ema import ExponentialMovingAverage

from flexclim.errors import RecipeError
from flexclim.train.loop.checkpoint_files import Content


class Averages(ExponentialMovingAverage):  # type: ignore[misc]
    """An exponential moving average of float32 weights, with checks when it is restored.

    Parameters
    ----------
    network
        Network whose parameters are averaged; buffers are not.
    decay
        Weight of the past in each update; smaller during the first steps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        others = {p.dtype for p in network.parameters()} - {torch.float32}
        assert not others, f"averages drift in {others}"
        self._names = [name for name, _ in network.named_parameters()]
        super().__init__(network.parameters(), decay=decay)

    def update(self, parameters: Iterable[nn.Parameter] | None = None) -> None:
        """Move the averages towards the weights, reading memory once instead of three times."""
        self.num_updates += 1
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        with torch.no_grad():
            pairs = zip(self.shadow_params, self._get_parameters(parameters), strict=True)
            for average, weights in pairs:
                average.lerp_(weights, 1 - decay)

    def state_dict(self) -> Content:
        """Return the averages, without the copy of the weights that a validation leaves."""
        self.collected_params = None
        state: Content = super().state_dict()
        return state

    def load_state_dict(self, state_dict: Content) -> None:
        """Restore averages.

        Raises
        ------
        RecipeError
            If they belong to a network of other sizes, or are not float32.
        """
        found = state_dict["shadow_params"]
        if len(found) != len(self._names):
            raise RecipeError(
                f"the averaged weights are {len(found)} tensors, but the network has "
                f"{len(self._names)}; they belong to another network."
            )
        for name, own, other in zip(self._names, self.shadow_params, found, strict=True):
            if own.shape != other.shape or other.dtype != torch.float32:
                raise RecipeError(
                    f"the averaged {name} is {tuple(other.shape)} {other.dtype}, but the network "
                    f"has {tuple(own.shape)} float32; the averages belong to another network."
                )
        super().load_state_dict(state_dict)
