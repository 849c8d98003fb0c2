"""Settings of the network and of the diffusion process; importing them does not load torch.

Model folders and training recipes embed these classes, so each default and each description stands
here only.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flexclim.errors import ModelError

Prediction = Literal["v", "eps", "x"]
Loss = Literal["squared", "absolute"]
Method = Literal["ddim", "euler"]

Side = Annotated[int, Field(ge=8, le=4096)]
Width = Annotated[int, Field(ge=32, le=8192)]
Blocks = Annotated[int, Field(ge=0, le=32)]
TaskName = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,30}$")]

GROUPS = 32  # of each group normalisation


class Settings(BaseModel):
    """Frozen settings; an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    def __dask_tokenize__(self) -> tuple[str, str]:
        return type(self).__name__, self.model_dump_json()


class Architecture(Settings):
    """Sizes of the FLEX network that do not depend on the data.

    Raises
    ------
    pydantic.ValidationError
        If a size is out of bounds, or sizes do not fit together.
    """

    tile: tuple[Side, Side] = Field(
        default=(64, 64), description="rows and columns of a tile, in fine cells"
    )
    other_tiles: tuple[tuple[Side, Side], ...] = Field(
        default=(),
        max_length=8,
        description="smaller tiles in the proportions of tile: each training step takes patches of "
        "one of all sizes, at random; a field that fits into a smaller tile is not padded to tile",
    )
    model_channels: tuple[Width, ...] = Field(
        default=(32, 64, 128),
        min_length=1,
        max_length=8,
        description="channels of each level; the last is the width of the bottleneck",
    )
    res_blocks: tuple[Blocks, ...] = Field(
        default=(2, 2, 2),
        min_length=1,
        max_length=8,
        description="residual blocks of each level",
    )
    depth: int = Field(
        default=5,
        ge=1,
        le=100,
        description="transformer blocks: half in the encoder, one in the middle, half in the "
        "decoder",
    )
    num_heads: int = Field(default=4, ge=1, le=1024, description="attention heads")
    mlp_ratio: float = Field(
        default=2.0,
        gt=0,
        le=16,
        description="hidden width of a transformer block's MLP, as a multiple of its width",
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="fraction of activations dropped in training"
    )
    unshuffle: int = Field(
        default=2,
        ge=1,
        le=16,
        description="fold blocks of this many cells a side into channels first; 1: no folding",
    )
    use_transf: bool = Field(
        default=False, description="give the task encoders transformer blocks too"
    )
    conditioning: Literal["both", "weak", "strong"] = Field(
        default="both",
        description="where features of the task encoder enter: weak, in each stage of the common "
        "encoder; strong, in the bottleneck and the skips of the decoder; both, as published",
    )

    @property
    def width(self) -> int:
        """Channels of the bottleneck, E."""
        return self.model_channels[-1]

    @property
    def tiles(self) -> tuple[tuple[int, int], ...]:
        """All sizes of tiles, the largest first."""
        return self.tile, *self.other_tiles

    @property
    def stride(self) -> int:
        """Fine cells along one side of a bottleneck cell."""
        return self.unshuffle << len(self.model_channels)

    @property
    def bottleneck(self) -> tuple[int, int]:
        """Rows and columns of the bottleneck of the largest tile, (h, w)."""
        return self.tile[0] // self.stride, self.tile[1] // self.stride

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        levels, stride = len(self.model_channels), self.stride
        for height, width in self.tiles:
            if height % stride or width % stride:
                raise ValueError(
                    f"tile {height} x {width} is not divisible by {stride} "
                    f"({levels} levels, unshuffle {self.unshuffle}); choose multiples of {stride}"
                )
        for height, width in self.other_tiles:
            if height >= self.tile[0] or height * self.tile[1] != width * self.tile[0]:
                raise ValueError(
                    f"other_tiles holds {height} x {width}, which is not smaller than tile "
                    f"{self.tile[0]} x {self.tile[1]} in the same proportions"
                )
        if len(self.res_blocks) != levels:
            raise ValueError(
                f"res_blocks has {len(self.res_blocks)} numbers, model_channels {levels}; "
                "give one per level"
            )
        if odd := [channels for channels in self.model_channels if channels % GROUPS]:
            raise ValueError(
                f"model_channels holds {odd[0]}, which is not divisible by {GROUPS}; "
                f"choose multiples of {GROUPS}"
            )
        if self.use_transf and self.conditioning == "weak":
            raise ValueError(
                "weak conditioning uses no tokens of task encoders; set use_transf to false"
            )
        if self.width % self.num_heads:
            raise ValueError(
                f"{self.width} channels of the last level are not divisible by {self.num_heads} "
                "heads; change num_heads or model_channels"
            )
        return self


class NetworkSettings(Architecture, strict=True):
    """All sizes of a network: its architecture, and its channels, which follow from the data."""

    channels: int = Field(default=1, ge=1, le=1024, description="channels of the diffused field")
    conditions: dict[TaskName, int] = Field(
        default={"superres": 1}, description="input channels of each task encoder"
    )
    label_size: int = Field(default=1, ge=1, le=1024, description="numbers in the label")


class DiffusionSettings(Settings, strict=True, allow_inf_nan=False):
    """The diffusion process; see :class:`flexclim.nn.diffusion.Diffusion`."""

    prediction: Prediction = Field(
        default="v",
        description="what the network predicts: v, velocity; eps, noise; x, the residual itself",
    )
    loss: Loss = Field(
        default="squared",
        description="error of the prediction; absolute estimates medians, and ensembles come out "
        "underdispersive",
    )
    shift: float = Field(
        default=1.0,
        gt=0,
        description="shift of the noise schedule in training and sampling; above 1: more noise at "
        "the same time",
    )


SIZES: dict[str, dict[str, Any]] = {
    "small": {"model_channels": (64, 128, 128, 256), "res_blocks": (2, 3, 3, 3), "num_heads": 4},
    "medium": {"model_channels": (64, 128, 256, 512), "res_blocks": (2, 3, 3, 4), "num_heads": 8},
    "big": {
        "model_channels": (128, 256, 512, 1152),
        "res_blocks": (2, 3, 3, 3),
        "num_heads": 16,
        "depth": 21,
    },
}
PUBLISHED: dict[str, Any] = {"tile": (128, 128), "depth": 13, "dropout": 0.1, "unshuffle": 1}


def published_network(size: str, **changes: Any) -> NetworkSettings:
    """Return the sizes of a published network (arXiv 2505.17351), with changes.

    Parameters
    ----------
    size
        ``"small"``, ``"medium"`` or ``"big"``.
    changes
        Fields of :class:`NetworkSettings`.

    Raises
    ------
    ModelError
        If there is no such size.

    >>> published_network("medium", channels=2).width
    512
    """
    if size not in SIZES:
        raise ModelError(f"network size {size!r} is not one of {', '.join(SIZES)}.")
    return NetworkSettings(**(PUBLISHED | SIZES[size] | changes))
