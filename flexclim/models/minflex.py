"""Import checkpoints of minFLEX (arXiv 2505.17351) without executing any of their code.

A checkpoint is a zip archive of ``torch.save``. The sizes of the network follow from the shapes of
its tensors; factor, prediction and attention heads, which it does not store, are parameters.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

from flexclim.errors import ModelError, suggest_options
from flexclim.models import archives
from flexclim.models.card import ModelCard
from flexclim.models.channels import Target, Variable
from flexclim.models.model import Model, new_model
from flexclim.models.settings import ModelSettings
from flexclim.models.strict_settings import first_problem
from flexclim.nn.configuration import SIZES, DiffusionSettings, NetworkSettings
from flexclim.nn.weights_file import build, check_shapes, shapes

S = TypeVar("S", bound=BaseModel)
# Parts of a checkpoint in the order of its averaged weights, and where they go.
PARTS = {"encoder": "encoder", "decoder": "decoder", "superres_encoder": "tasks.superres"}
BUFFERS = re.compile(r"MPFourier\.(freqs|phases)$")
HEADS = {size["model_channels"][-1]: size["num_heads"] for size in SIZES.values()}

State = dict[str, Tensor]


@suggest_options
def import_minflex(
    path: str | os.PathLike[str],
    factor: int = 4,
    prediction: Literal["v", "eps", "x"] = "v",
    weights: Literal["ema", "raw"] = "ema",
    num_heads: int | None = None,
) -> Model:
    """Import a checkpoint of minFLEX.

    The model keeps minFLEX's coarse operator (every n-th point) and does not scale its inputs, so
    that it computes what minFLEX computes.

    Parameters
    ----------
    path
        File written by minFLEX's training.
    factor
        Refinement factor of its training.
    prediction
        Prediction of the network: velocity, noise or the residual.
    weights
        ``"ema"``: averaged weights, which are better for sampling. ``"raw"``: those of the last
        step.
    num_heads
        Attention heads; default: 4, 8 or 16 for the published small, medium and big networks.

    Returns
    -------
    Model
        In memory; :meth:`Model.save` writes a model folder.

    Raises
    ------
    ModelError
        If the file is damaged, is not a checkpoint of minFLEX, or holds anything but weights.

    >>> model = import_minflex("checkpoint.pt", factor=4)  # doctest: +SKIP
    >>> model.save("my-model")  # doctest: +SKIP
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"there is no file {path}; give a checkpoint (.pt) of minFLEX.")
    content = archives.read(path)
    parts = {part: _state(content, part, path) for part in PARTS}
    if weights == "ema":
        parts = _averaged(content, parts, path)
    elif weights != "raw":
        raise ModelError(f"weights={weights!r} is not one of 'ema', 'raw'.")
    network = _sizes(parts, num_heads, path)
    state = {
        f"{PARTS[part]}.{name}": values
        for part, own in parts.items()
        for name, values in own.items()
    }
    check_shapes(shapes(network), {n: tuple(v.shape) for n, v in state.items()}, str(path))
    settings = _settings(network, factor, prediction)
    card = _card(path, settings, weights, content)
    return new_model(build(network, state), settings, card)


def _settings(network: NetworkSettings, factor: int, prediction: str) -> ModelSettings:
    read, made = network.conditions["superres"], network.channels
    names = [f"channel_{index}" for index in range(max(read, made))]
    named = {
        "inputs": tuple(Variable(name=name) for name in names[:read]),
        "targets": tuple(
            Target(name=name, base=name if name in names[:read] else None) for name in names[:made]
        ),
    }
    return _checked(
        ModelSettings,
        network=network,
        diffusion=_checked(DiffusionSettings, prediction=prediction, loss="absolute"),
        method="ddim",
        steps=2,
        scaling="fixed",
        residual_scale={factor: (1.0,) * made},
        label="none",
        operator="minflex",
        conserve=False,
        halo=min(network.tile) // 4,
        factors=(factor,),
        **(named if len(names) > 1 else {}),
    )


def _card(
    path: Path, settings: ModelSettings, weights: str, content: dict[str, object]
) -> ModelCard:
    epoch = content.get("epoch")
    trained = f", epoch {epoch}" if isinstance(epoch, int) else ""
    return ModelCard(
        name=re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).lstrip("._-")[:100] or "minflex",
        description=f"imported from minFLEX, x{settings.factors[0]}",
        factors=settings.factors,
        notes=f"{weights} weights{trained}. Reads every {settings.factors[0]}th point of a field, "
        "not block means. Its training data and licence are those of the checkpoint.",
    )


def _state(content: dict[str, object], part: str, path: Path) -> State:
    """Return one part's state dict."""
    found = content.get(part)
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        has = ", ".join(map(str, content))[:150]
        raise ModelError(f"{path} is not a minFLEX checkpoint: it lacks {part!r} (has {has}).")
    return {name: _weight(values, f"{part}.{name}", path) for name, values in found.items()}


def _weight(values: object, name: str, path: Path) -> Tensor:
    """Check that a weight is a dense tensor of numbers within the file, and return it."""
    if (
        not isinstance(values, Tensor)
        or values.layout != torch.strided
        or values.device.type != "cpu"
        or not values.is_floating_point()
    ):
        raise ModelError(f"{path}: {name[:100]} is not a tensor of numbers.")
    if values.numel() * values.element_size() > values.untyped_storage().nbytes():
        raise ModelError(f"{path}: {name[:100]} is larger than what the file holds.")
    return values.detach()


def _averaged(content: dict[str, object], parts: dict[str, State], path: Path) -> dict[str, State]:
    """Return the averaged weights; buffers are those of the last step."""
    ema = content.get("ema")
    shadow = ema.get("shadow_params") if isinstance(ema, Mapping) else None
    if not isinstance(shadow, list):
        raise ModelError(
            f"{path} holds no averaged weights; use those of the last step: weights='raw'."
        )
    names = [(part, name) for part in PARTS for name in parts[part] if not BUFFERS.search(name)]
    if len(names) != len(shadow):
        raise ModelError(
            f"{path} holds {len(shadow)} averaged weights for {len(names)} parameters; "
            "use those of the last step: weights='raw'."
        )
    averaged = {part: dict(own) for part, own in parts.items()}
    for (part, name), values in zip(names, shadow, strict=True):
        averaged[part][name] = _weight(values, f"averaged {part}.{name}", path)
    return averaged


def _sizes(parts: dict[str, State], num_heads: int | None, path: Path) -> NetworkSettings:
    """Infer the sizes of the network from the shapes of its weights."""
    encoder, decoder, task = (parts[part] for part in PARTS)
    try:
        _, tokens, width = encoder["pos_embed"].shape
        side = math.isqrt(tokens - 1)
        if side**2 != tokens - 1:
            raise ModelError(
                f"{path} has a tile that is not square; only square tiles can be imported."
            )
        ends = _level_ends(decoder)
        lasts = [decoder[f"output_blocks.{end}.0.in_layers.2.weight"] for end in ends]
        sizes: dict[str, Any] = {
            "tile": (side * 2 ** len(ends),) * 2,
            "channels": decoder["final_layer.2.weight"].shape[0],
            "conditions": {"superres": task["input_blocks.0.0.weight"].shape[1]},
            "model_channels": tuple(last.shape[0] for last in reversed(lasts)),
            "res_blocks": tuple(
                end - start - 1 for start, end in zip([0, *ends], ends, strict=False)
            )[::-1],
            "depth": 2 * len(_indices(r"tr_blocks\.(\d+)\.", encoder)) + 1,
            "mlp_ratio": encoder["mid_block.mlp.fc1.weight"].shape[0] / width,
            "dropout": 0.1,
            "unshuffle": 1,
            "use_transf": "pos_embed" in task,
            "label_size": encoder["cond_embed.0.weight"].shape[1],
        }
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"{path} is not a minFLEX checkpoint: its weights have other names or shapes ({error})."
        ) from None
    heads = HEADS.get(width) if num_heads is None else num_heads
    if heads is None:
        raise ModelError(
            f"{path} does not store its attention heads, and no published network has a width of "
            f"{width}: give num_heads."
        )
    return _checked(NetworkSettings, num_heads=heads, **sizes)


def _level_ends(decoder: State) -> list[int]:
    """Return the last stage of each level; all levels but the last end with upsampling."""
    last = max(_indices(r"output_blocks\.(\d+)\.", decoder))
    return sorted({*_indices(r"output_blocks\.(\d+)\.1\.", decoder), last})


def _indices(pattern: str, state: State) -> set[int]:
    return {int(found[1]) for name in state if (found := re.match(pattern, name))}


def _checked(kind: type[S], **values: object) -> S:
    """Make settings, with a ModelError for invalid ones."""
    try:
        return kind(**values)
    except ValidationError as error:
        raise ModelError(first_problem(error)) from None
