"""Averaged weights: what is validated, and what a finished model holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch_ema import ExponentialMovingAverage

from flexclim.errors import RecipeError


class Averages(ExponentialMovingAverage):
    """An exponential moving average of float32 weights that refuses those of another network.

    Parameters
    ----------
    network
        Whose parameters are averaged; buffers are not.
    decay
        Weight of the past at each update; less during the first steps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        odd = {p.dtype for p in network.parameters()} - {torch.float32}
        assert not odd, f"averages drift in {odd}"
        self._names = [name for name, _ in network.named_parameters()]
        super().__init__(network.parameters(), decay=decay)

    def update(self, parameters: Iterable[nn.Parameter] | None = None) -> None:
        """Move the averages towards the weights, in one pass over memory instead of three."""
        self.num_updates += 1
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        with torch.no_grad():
            pairs = zip(self.shadow_params, self._get_parameters(parameters), strict=True)
            for average, weights in pairs:
                average.lerp_(weights, 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Return the averages, without the copy that a validation left behind."""
        self.collected_params = None
        state: dict[str, Any] = super().state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up averages.

        Raises
        ------
        RecipeError
            If they are of a network of other sizes, or not float32.
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
                    f"asks for {tuple(own.shape)} float32; they belong to another network."
                )
        super().load_state_dict(state_dict)
