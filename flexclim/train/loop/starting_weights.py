"""Weights that a run starts from."""

from __future__ import annotations

from torch import Tensor

from flexclim.errors import ModelError, RecipeError
from flexclim.models.model import load_model
from flexclim.nn import weights_file as weights
from flexclim.nn.flex import Flex


def starting_weights(start: str, network: Flex) -> dict[str, Tensor]:
    """Return the weights of a trained model, for a network of the same sizes.

    Parameters
    ----------
    start
        Name of a bundled model, or a model folder.

    Raises
    ------
    RecipeError
        If there is no such model, or its network has other sizes.
    """
    try:
        found = load_model(start).network.state_dict()
        own = {name: tuple(part.shape) for name, part in network.state_dict().items()}
        weights.check_shapes(
            own, {name: tuple(part.shape) for name, part in found.items()}, f"model {start!r}"
        )
    except ModelError as error:
        raise RecipeError(f"start: {error}") from None
    return found
