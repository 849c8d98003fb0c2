"""The FLEX network (arXiv 2505.17351): task encoders, a common encoder, a decoder.

Legend: B batch, C channels of the diffused field, K channels of a condition, H W fine grid of one
tile, h w bottleneck, E channels of the bottleneck, N = 1 + h w tokens, L levels.
Submodule names follow the published checkpoints, so that their state dicts load as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from flexclim.errors import ModelError
from flexclim.nn.configuration import NetworkSettings
from flexclim.nn.layers import (
    Block,
    MPFourier,
    Recomputable,
    ResBlock,
    embedding,
    initialise_linear,
    output_convolution,
)


@dataclass(frozen=True)
class TaskFeatures:
    """Features of a condition from a task encoder, shared by all members and sampler steps."""

    maps: tuple[Tensor, ...]
    token_skips: tuple[Tensor, ...] = ()
    tokens: Tensor | None = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors in order."""
        return (*self.maps, *self.token_skips, *(() if self.tokens is None else (self.tokens,)))

    def of(self, tensors: Sequence[Tensor]) -> TaskFeatures:
        """Return features with these tensors, in the order of :attr:`tensors`."""
        maps, skips = len(self.maps), len(self.maps) + len(self.token_skips)
        tokens = None if self.tokens is None else tensors[skips]
        return TaskFeatures(tuple(tensors[:maps]), tuple(tensors[maps:skips]), tokens)

    def take(self, index: Tensor) -> TaskFeatures:
        """Return the features of the samples at ``index`` (B',) of the batch."""
        return self.of([one[index] for one in self.tensors])  # index_select changes the layout

    def part(self, samples: slice) -> TaskFeatures:
        """Return the features of a slice of the batch, without a copy."""
        return self.of([one[samples] for one in self.tensors])


class Encoder(nn.Module):
    """Convolutional encoder, followed by transformer blocks if ``tokens``."""

    def __init__(
        self, config: NetworkSettings, channels_in: int, *, time: bool, tokens: bool
    ) -> None:
        super().__init__()
        width = config.width
        self.cond_embed = embedding(config.label_size, width)
        self.MPFourier = MPFourier(width) if time else None
        self.time_embed = embedding(width, width) if time else None
        self.input_blocks = _input_blocks(config, channels_in)
        self.tr_blocks: nn.ModuleList | None = None
        if tokens:
            self.bottleneck = height, breadth = config.bottleneck
            self.pos_embed = nn.Parameter(torch.zeros(1, 1 + height * breadth, width))
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
            self.tr_blocks = nn.ModuleList(_block(config) for _ in range(config.depth // 2))
            self.mid_block = _block(config)

    def embed(self, t: Tensor | None, label: Tensor) -> Tensor:
        """Return the (B, E) embedding of time and label."""
        emb: Tensor = self.cond_embed(label)
        if self.time_embed is not None and self.MPFourier is not None:
            assert t is not None
            emb = emb + self.time_embed(self.MPFourier(t).to(emb.dtype))
        return emb

    def forward(
        self, x: Tensor, emb: Tensor, weak: tuple[Tensor, ...] | None = None
    ) -> TaskFeatures:
        """Map (B, C, H, W) to feature maps and tokens; ``weak`` is added after each stage."""
        maps = []
        for index, stage in enumerate(self.input_blocks):
            for layer in stage.children():
                x = layer(x, emb) if isinstance(layer, ResBlock) else layer(x)
            if weak is not None:
                x = x + weak[index]
            maps.append(x)
        if self.tr_blocks is None:
            return TaskFeatures(tuple(maps))
        cells = rearrange(x, "b e h w -> b (h w) e")
        tokens = torch.cat([emb[:, None].to(x.dtype), cells], dim=1)
        tokens = tokens + self._positions(x.shape[-2], x.shape[-1])
        skips = []
        for block in self.tr_blocks:
            tokens = block(tokens)
            skips.append(tokens)
        return TaskFeatures(tuple(maps), tuple(skips), self.mid_block(tokens))

    def _positions(self, height: int, width: int) -> Tensor:
        """Return the (1, N, E) embedding of positions; in a small tile, means of the largest's."""
        if (height, width) == self.bottleneck:
            return self.pos_embed
        whole = rearrange(self.pos_embed[:, 1:], "b (h w) e -> b e h w", h=self.bottleneck[0])
        means = F.adaptive_avg_pool2d(whole, (height, width))
        return torch.cat([self.pos_embed[:, :1], rearrange(means, "b e h w -> b (h w) e")], dim=1)


class Decoder(nn.Module):
    """Decoder from tokens and skips of the common and the task encoder to a field."""

    def __init__(self, config: NetworkSettings, channels_out: int) -> None:
        super().__init__()
        width = config.width
        self.MPFourier = MPFourier(width)
        self.time_embed = embedding(width, width)
        self.cond_embed = embedding(config.label_size, width)
        self.tr_blocks = nn.ModuleList(_block(config, skip=True) for _ in range(config.depth // 2))
        self.norm = nn.LayerNorm(width)
        self.output_blocks = _output_blocks(config)
        self.final_layer = output_convolution(config.model_channels[0], channels_out)

    def forward(
        self, t: Tensor, label: Tensor, common: TaskFeatures, task: TaskFeatures | None
    ) -> Tensor:
        """Map the features of both encoders, or of the common one alone, to (B, C, H, W)."""
        emb = self.cond_embed(label)
        emb = emb + self.time_embed(self.MPFourier(t).to(emb.dtype))
        assert common.tokens is not None
        first = common.tokens[:, :1] + emb[:, None]
        tokens = torch.cat([first, common.tokens[:, 1:]], dim=1)
        skips = common.token_skips
        if task is not None and task.tokens is not None:
            tokens = tokens + task.tokens
            skips = tuple(a + b for a, b in zip(skips, task.token_skips, strict=True))
        for block, skip in zip(self.tr_blocks, reversed(skips), strict=True):
            tokens = block(tokens, skip)
        height = common.maps[-1].shape[-2]
        x = rearrange(self.norm(tokens)[:, 1:], "b (h w) e -> b e h w", h=height)
        x = x.to(memory_format=_memory_format(common.maps[-1]))
        if task is not None and task.tokens is None:
            x = x + task.maps[-1]
        others = repeat(None, len(common.maps)) if task is None else reversed(task.maps)
        for stage, own, other in zip(
            self.output_blocks, reversed(common.maps), others, strict=True
        ):
            x = torch.cat([x, own if other is None else own + other], dim=1)
            for layer in stage.children():
                x = layer(x, emb)
        field: Tensor = self.final_layer(x)
        return field


class Flex(nn.Module):
    """One backbone with an encoder for each task.

    ``encode`` runs a task encoder once per condition; ``forward`` then predicts from any number of
    noisy fields with that condition.
    """

    def __init__(self, config: NetworkSettings) -> None:
        super().__init__()
        self.config, self.tiles = config, config.tiles
        fold = config.unshuffle**2
        self.encoder = Encoder(config, config.channels * fold, time=True, tokens=True)
        self.tasks = nn.ModuleDict(
            {
                task: Encoder(config, channels * fold, time=False, tokens=config.use_transf)
                for task, channels in config.conditions.items()
            }
        )
        self.decoder = Decoder(config, config.channels * fold)
        self.apply(initialise_linear)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights, in which the network computes."""
        return self.decoder.norm.weight.dtype

    def encode(self, task: str, condition: Tensor, label: Tensor | None = None) -> TaskFeatures:
        """Run the encoder of ``task`` on (B, K, H, W)."""
        encoder = self.tasks[task]
        assert isinstance(encoder, Encoder)
        label = self._label(label, condition)
        features: TaskFeatures = encoder(self._fold(condition), encoder.embed(None, label))
        return features

    def forward(
        self, x: Tensor, t: Tensor, features: TaskFeatures, label: Tensor | None = None
    ) -> Tensor:
        """Predict from noisy fields.

        Parameters
        ----------
        x
            (B, C, H, W) noisy residuals.
        t
            (B,) times in [0, 1].
        features
            Of the same B samples, from :meth:`encode`.
        label
            (B, label_size); default: zeros.

        Returns
        -------
        Tensor
            (B, C, H, W), the prediction as the diffusion process defines it.
        """
        label = self._label(label, x)
        where = self.config.conditioning
        weak = None if where == "strong" else features.maps
        common = self.encoder(self._fold(x), self.encoder.embed(t, label), weak)
        prediction: Tensor = self.decoder(t, label, common, None if where == "weak" else features)
        if self.config.unshuffle > 1:
            prediction = F.pixel_shuffle(prediction, self.config.unshuffle)
        return prediction

    def recompute(self, on: bool) -> None:
        """Switch gradient checkpointing on or off: recompute activations to save memory."""
        for module in self.modules():
            if isinstance(module, Recomputable):
                module.checkpointing = on

    def _fold(self, x: Tensor) -> Tensor:
        if tuple(x.shape[-2:]) not in self.tiles:
            sizes = " or ".join(f"{height} x {width}" for height, width in self.tiles)
            raise ModelError(
                f"the network was built for tiles of {sizes}, not {x.shape[-2]} x {x.shape[-1]}."
            )
        x = x.to(self.dtype)
        if self.config.unshuffle == 1:
            return x
        folded = F.pixel_unshuffle(x, self.config.unshuffle)
        return folded.contiguous(memory_format=_memory_format(x))

    def _label(self, label: Tensor | None, like: Tensor) -> Tensor:
        if label is None:
            label = like.new_zeros(like.shape[0], self.config.label_size)
        return label.to(self.dtype)


def _memory_format(x: Tensor) -> torch.memory_format:
    dense = x.is_contiguous()
    last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last and not dense else torch.contiguous_format


def _block(config: NetworkSettings, *, skip: bool = False) -> Block:
    return Block(config.width, config.num_heads, config.mlp_ratio, config.dropout, skip=skip)


def _input_blocks(config: NetworkSettings, channels_in: int) -> nn.ModuleList:
    channels = config.model_channels[0]
    stages = [nn.Sequential(nn.Conv2d(channels_in, channels, 3, padding=1))]
    for level_channels, blocks in zip(config.model_channels, config.res_blocks, strict=True):
        for _ in range(blocks):
            stages.append(_stage(config, channels, level_channels))
            channels = level_channels
        down = ResBlock(channels, channels, config.width, config.dropout, "down")
        stages.append(nn.Sequential(down))
    return nn.ModuleList(stages)


def _output_blocks(config: NetworkSettings) -> nn.ModuleList:
    # Channels of the skips, in the order of the encoder's stages.
    skips = [config.model_channels[0]]
    for level_channels, blocks in zip(config.model_channels, config.res_blocks, strict=True):
        skips += [level_channels] * (blocks + 1)
    channels = config.width
    up = ResBlock(channels + skips.pop(), channels, config.width, config.dropout, "up")
    stages = [nn.Sequential(up)]
    for level in reversed(range(len(config.model_channels))):
        level_channels = config.model_channels[level]
        for index in range(config.res_blocks[level] + 1):
            stage = _stage(config, channels + skips.pop(), level_channels)
            channels = level_channels
            if level > 0 and index == config.res_blocks[level]:
                stage.append(ResBlock(channels, channels, config.width, config.dropout, "up"))
            stages.append(stage)
    assert not skips
    return nn.ModuleList(stages)


def _stage(config: NetworkSettings, channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(ResBlock(channels_in, channels_out, config.width, config.dropout))
