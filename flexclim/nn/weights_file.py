"""Weights of a network as a safetensors file, compact on disk and validated when read.

On disk, matrices and kernels may be bfloat16, float16, or int8 with a float32 scale for each
output channel (``NAME.scale``: weight = scale * integer). Next to int8, small ones are bfloat16:
they take little space, and most of the error. Vectors (norms, biases, Fourier frequencies) stay
float32. In memory all are float32.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from flexclim.errors import ModelError
from flexclim.nn.configuration import NetworkSettings
from flexclim.nn.flex import Flex

Precision = Literal["float32", "bf16", "fp16", "int8"]
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
ON_DISK = {"F32": 4, "BF16": 2, "F16": 2, "I8": 1}
LARGEST_HEADER = 2**20
LARGEST_INTEGER = 127
SCALE = ".scale"  # of an int8 tensor, behind its name
SCALE_BITS = 16
SMALL = 20_000  # values of a matrix or kernel, which is then not rounded to int8


def round_weights(network: Flex, precision: Precision) -> dict[str, Tensor]:
    """Copy all weights and buffers in the types that they have on disk.

    Raises
    ------
    ModelError
        If one is not finite, or overflows the precision, or if there is no such precision.
    """
    if precision not in get_args(Precision):
        raise ModelError(f"precision {precision!r} is not one of {', '.join(get_args(Precision))}.")
    rounded = {}
    for name, values in network.state_dict().items():
        values = values.detach()
        _check_finite(values, name, precision)
        if precision == "int8" and _is_large(values):
            rounded[name], rounded[name + SCALE] = to_int8(values.to("cpu", torch.float32))
            continue
        half = DTYPES["bf16" if precision == "int8" else precision]
        dtype = half if values.squeeze().ndim > 1 else torch.float32
        rounded[name] = values.to("cpu", dtype, copy=True).contiguous()
        _check_finite(rounded[name], name, precision)
    return rounded


def to_int8(values: Tensor) -> tuple[Tensor, Tensor]:
    """Round weights to integers from -127 to 127, with a scale for each output channel.

    A scale has 16 significant bits, so that its products with these integers are exact in float32
    and rounding again changes nothing.

    Parameters
    ----------
    values
        (output channels, ...), float32.

    Returns
    -------
    tuple of Tensor
        Integers of the same shape, and scales (output channels,).

    >>> to_int8(torch.tensor([[0.6, -1.0], [0.0, 0.0]]))[0].tolist()
    [[76, -127], [0, 0]]
    """
    flat = values.reshape(len(values), -1)
    mantissa, exponent = torch.frexp(flat.abs().amax(1) / LARGEST_INTEGER)
    scale = torch.ldexp(torch.ceil(mantissa * 2**SCALE_BITS), exponent - SCALE_BITS)
    scale = scale.clamp_min(torch.finfo(torch.float32).tiny)  # of channels that are 0
    integers = (flat / scale[:, None]).round().to(torch.int8)
    return integers.reshape(values.shape), scale


def to_float(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a file, or of :func:`round_weights`, as float32."""
    return {
        name: _scaled(values, state.get(name + SCALE))
        for name, values in state.items()
        if not name.endswith(SCALE)
    }


def _scaled(values: Tensor, scale: Tensor | None) -> Tensor:
    if scale is None:
        return values.float()
    return values.float() * scale.reshape(-1, *(1,) * (values.ndim - 1))


def _is_large(values: Tensor) -> bool:
    """Return whether a tensor is a large matrix or kernel, of several output channels."""
    return values.ndim > 1 and len(values) > 1 and values.numel() > SMALL


def compute_in(network: Flex, precision: str) -> Flex:
    """Convert a network to a precision in place; Fourier frequencies and phases stay float32."""
    for weights in network.parameters():
        weights.data = weights.data.to(DTYPES[precision])
    return network


def encode(state: dict[str, Tensor]) -> bytes:
    """Serialise weights; equal weights give equal bytes."""
    return save(state)


def build(config: NetworkSettings, state: dict[str, Tensor]) -> Flex:
    """Build a network in evaluation mode with the weights of ``state`` as float32."""
    return _filled(_empty(config), to_float(state))


def read(path: Path, config: NetworkSettings) -> Flex:
    """Read a weights file into the network of ``config``.

    Names, shapes, types and the size of the file are checked before any weight is read.

    Raises
    ------
    ModelError
        If the file is damaged, belongs to another network, or holds NaN.
    """
    network = _empty(config)
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            dtypes = {name: part.get_dtype() for name, part in slices.items()}
            wanted = _with_scales(_shapes_of(network), dtypes)
            check_shapes(
                wanted, {name: tuple(part.get_shape()) for name, part in slices.items()}, str(path)
            )
            _check_size(path, dtypes, wanted)
            state = to_float({name: file.get_tensor(name) for name in wanted})
            for name, values in state.items():
                _check_finite(values, name, str(path))
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, ModelError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} can't be read as safetensors: {reason}.") from None
    return _filled(network, state)


def shapes(config: NetworkSettings) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight and buffer, without allocating memory for them."""
    return _shapes_of(_empty(config))


def check_shapes(
    wanted: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]], place: str
) -> None:
    """Raise an error for missing, surplus and misshapen weights; it names the first."""
    if missing := sorted(wanted.keys() - found.keys()):
        raise ModelError(f"{place} lacks {missing[0]} (and {len(missing) - 1} more).")
    if surplus := sorted(found.keys() - wanted.keys()):
        raise ModelError(
            f"{place} holds {surplus[0][:100]!r} (and {len(surplus) - 1} more), which this network "
            "does not have."
        )
    for name, shape in wanted.items():
        if found[name] != shape:
            raise ModelError(
                f"{place}: {name} has shape {found[name]}, but the network's sizes require {shape}."
            )


def _with_scales(
    shapes: dict[str, tuple[int, ...]], dtypes: dict[str, str]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of weights, and of the scales of those that are int8."""
    scales = {name + SCALE: shape[:1] for name, shape in shapes.items() if dtypes.get(name) == "I8"}
    return shapes | scales


def _check_size(path: Path, dtypes: dict[str, str], wanted: dict[str, tuple[int, ...]]) -> None:
    if odd := sorted({dtype for dtype in dtypes.values() if dtype not in ON_DISK}):
        raise ModelError(f"{path} holds weights of type {odd[0]}; known are {', '.join(ON_DISK)}.")
    content = sum(ON_DISK[dtypes[name]] * math.prod(shape) for name, shape in wanted.items())
    header = path.stat().st_size - content
    if not 8 < header <= LARGEST_HEADER:
        raise ModelError(f"{path} is {path.stat().st_size} bytes, but its weights {content}.")


def _check_finite(values: Tensor, name: str, place: str) -> None:
    if not torch.isfinite(values).all():
        raise ModelError(f"{name} holds NaN or infinite weights ({place}).")


def _shapes_of(network: Flex) -> dict[str, tuple[int, ...]]:
    return {name: tuple(values.shape) for name, values in network.state_dict().items()}


def _filled(network: Flex, state: dict[str, Tensor]) -> Flex:
    network.load_state_dict(state, strict=True, assign=True)
    return network.requires_grad_(False).eval()


def _empty(config: NetworkSettings) -> Flex:
    """Return the network with weights on the meta device, which take no memory."""
    with torch.device("meta"):
        return Flex(config)
