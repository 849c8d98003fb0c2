"""Building blocks of the FLEX network.

Legend: B batch, C channels, H W rows and columns of a feature map, N tokens, E channels of the
bottleneck and of every embedding. Submodule names follow the published checkpoints.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from flexclim.nn.configuration import GROUPS

Resample = Literal["down", "up"] | None
# Cells of a channels-last map below which torch normalises it with another kernel.
SMALL_MAP = 1024


class MPFourier(nn.Module):
    """Random Fourier features of the time, cos(t f + phi) sqrt(2), drawn once and saved."""

    freqs: Tensor
    phases: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("freqs", 2 * math.pi * torch.randn(size))
        self.register_buffer("phases", 2 * math.pi * torch.rand(size))

    def forward(self, t: Tensor) -> Tensor:
        """Map (B,) times in [0, 1] to (B, size)."""
        angle = t.float()[:, None] * self.freqs.float() + self.phases.float()
        return angle.cos() * math.sqrt(2)


def embedding(inputs: int, width: int) -> nn.Sequential:
    """Two linear layers from (B, inputs) to (B, width)."""
    return nn.Sequential(nn.Linear(inputs, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))


class Recomputable(nn.Module):
    """A block with optional gradient checkpointing: it recomputes its activations when needed."""

    checkpointing = False

    def forward(self, *inputs: Tensor | None) -> Tensor:
        """Run the block."""
        if self.checkpointing and torch.is_grad_enabled():
            result: Tensor = checkpoint(self.compute, *inputs, use_reentrant=False)
            return result
        return self.compute(*inputs)

    def compute(self, *inputs: Any) -> Tensor:
        """Run the block without checkpointing."""
        raise NotImplementedError


class GroupNorm(nn.GroupNorm):
    """Group normalisation that is fast in channels-last memory, on a GPU and in bf16 on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        if torch.is_grad_enabled():
            return super().forward(x)
        if x.is_cuda:
            return self.by_channel(x)
        small = x.shape[-2] * x.shape[-1] < SMALL_MAP and not x.is_contiguous()
        if small and x.dtype in (torch.bfloat16, torch.float16):
            return self.in_float32(x)
        return super().forward(x)

    def in_float32(self, x: Tensor) -> Tensor:
        """Normalise in float32.

        torch's CPU kernel for small channels-last maps takes thrice as long in bf16.
        """
        weight, bias = self.weight.float(), self.bias.float()
        return F.group_norm(x.float(), self.num_groups, weight, bias, self.eps).to(x.dtype)

    def by_channel(self, x: Tensor) -> Tensor:
        """Normalise with the moments of groups, computed from those of their channels.

        torch's GPU kernel expects contiguous channels, so it would copy the tensor twice.
        """
        values, grouped = x.float(), "b (g c) -> b g c"
        variance, mean = torch.var_mean(values, dim=(2, 3), correction=0)
        means = rearrange(mean, grouped, g=self.num_groups)
        within = rearrange(variance, grouped, g=self.num_groups).mean(-1, keepdim=True)
        between, centre = torch.var_mean(means, dim=-1, correction=0, keepdim=True)
        factor = (within + between + self.eps).rsqrt().expand_as(means).flatten(1) * self.weight
        shift = self.bias - centre.expand_as(means).flatten(1) * factor
        return (values * factor[..., None, None] + shift[..., None, None]).to(x.dtype)


class ResBlock(Recomputable):
    """Residual block of two 3 x 3 convolutions, scaled and shifted by an embedding."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        embedding_width: int,
        dropout: float,
        resample: Resample = None,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.in_layers = nn.Sequential(
            GroupNorm(GROUPS, channels_in),
            nn.SiLU(),
            nn.Conv2d(channels_in, channels_out, 3, padding=1),
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding_width, 2 * channels_out))
        self.out_layers = nn.Sequential(
            GroupNorm(GROUPS, channels_out),
            nn.SiLU(),
            nn.Dropout(dropout),
            _zero(nn.Conv2d(channels_out, channels_out, 3, padding=1)),
        )
        self.skip_connection: nn.Module = (
            nn.Identity()
            if channels_in == channels_out
            else nn.Conv2d(channels_in, channels_out, 3, padding=1)
        )

    def compute(self, x: Tensor, emb: Tensor) -> Tensor:
        """Map (B, C_in, H, W) and (B, E) to (B, C_out, H', W')."""
        norm, _, conv = self.in_layers
        h = conv(self._resampled(_silu(norm(x))))
        scale, shift = self.emb_layers(emb)[:, :, None, None].chunk(2, dim=1)
        norm, _, drop, conv = self.out_layers
        h = _plus(_times(norm(h), 1 + scale), shift)
        return _plus(conv(drop(_silu(h))), self.skip_connection(self._resampled(x)))

    def _resampled(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        if self.resample == "up":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        return x


class Attention(nn.Module):
    """Multi-head self-attention over tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, E) to (B, N, E)."""
        pattern = "b n (qkv heads dim) -> qkv b heads n dim"
        q, k, v = rearrange(self.qkv(x), pattern, qkv=3, heads=self.heads)
        joined = F.scaled_dot_product_attention(q, k, v)
        projected: Tensor = self.proj(rearrange(joined, "b heads n dim -> b n (heads dim)"))
        return projected


class Mlp(nn.Module):
    """Two linear layers with a GELU (tanh form) between them."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, E) to (B, N, E)."""
        hidden = self.drop(F.gelu(self.fc1(x), approximate="tanh"))
        output: Tensor = self.drop(self.fc2(hidden))
        return output


class Block(Recomputable):
    """Transformer block; one of the decoder first joins a skip from the encoder."""

    def __init__(
        self, width: int, heads: int, mlp_ratio: float, dropout: float, *, skip: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, int(width * mlp_ratio), dropout)
        self.skip_linear = nn.Linear(2 * width, width) if skip else None

    def compute(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """Map (B, N, E), and a skip of the same shape, to (B, N, E)."""
        if self.skip_linear is not None:
            assert skip is not None
            x = self.skip_linear(torch.cat([x, skip], dim=-1))
        x = x + self.attn(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


def initialise_linear(module: nn.Module) -> None:
    """Set linear layers to Xavier uniform weights and zero bias."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


# Apart from its convolutions a forward pass is bound by memory bandwidth. Without gradients these
# functions overwrite their first argument, to which no one else refers. Results are identical.
def _silu(x: Tensor) -> Tensor:
    return F.silu(x, inplace=not torch.is_grad_enabled())


def _times(x: Tensor, y: Tensor) -> Tensor:
    return x.mul_(y) if _may_hold(x, y) else x * y


def _plus(x: Tensor, y: Tensor) -> Tensor:
    return x.add_(y) if _may_hold(x, y) else x + y


def _may_hold(x: Tensor, y: Tensor) -> bool:
    return not torch.is_grad_enabled() and torch.promote_types(x.dtype, y.dtype) == x.dtype


def _zero(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def output_convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    """Normalise, activate and map to the output channels; zero at the start of training."""
    return nn.Sequential(
        GroupNorm(GROUPS, channels_in),
        nn.SiLU(),
        _zero(nn.Conv2d(channels_in, channels_out, 3, padding=1)),
    )
