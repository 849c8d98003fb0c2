"""AdamW, Lion, and the learning rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import nn
from torch.optim import Optimizer


def make_optimizer(
    kind: Literal["adamw", "lion"], parameters: Iterable[nn.Parameter], weight_decay: float
) -> Optimizer:
    """Return the optimizer; its learning rate is set before each step."""
    if kind == "lion":
        return Lion(parameters, weight_decay=weight_decay)
    return torch.optim.AdamW(parameters, weight_decay=weight_decay, fused=True)


class Lion(Optimizer):
    """Steps along the sign of the momentum (Chen et al. 2023, arXiv 2302.06675, algorithm 2).

    Every weight moves by the learning rate, so a third to a tenth of AdamW's learning rate is
    suitable, with three to ten times its weight decay.

    Parameters
    ----------
    betas
        Weight of the momentum in the step, and decay of the momentum.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step; closures are not supported."""
        assert closure is None
        for group in self.param_groups:
            rate, decay = group["lr"], group["weight_decay"]
            ahead, behind = group["betas"]
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                state = self.state[weights]
                if not state:
                    state["momentum"] = torch.zeros_like(weights)
                momentum = state["momentum"]
                direction = momentum.lerp(weights.grad, 1 - ahead).sign_()
                weights.mul_(1 - rate * decay).sub_(direction, alpha=rate)
                momentum.lerp_(weights.grad, 1 - behind)


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Return the learning rate at a step: linear warm-up, then cosine decay to 1 % of ``peak``.

    >>> learning_rate(0, 100, 10, 1.0), learning_rate(10, 100, 10, 1.0)
    (0.1, 1.0)
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
