"""Commands that list and import models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def models() -> None:
    """List the models that a name is enough for, and what each is for."""
    import flexclim

    typer.echo(str(flexclim.list_models()))


def import_minflex(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint (.pt) of minFLEX.")],
    folder: Annotated[Path, typer.Argument(help="The model folder to write.")],
    factor: Annotated[int, typer.Option("--factor", "-f", min=2, help="Its factor.")] = 4,
    prediction: Annotated[
        Literal["v", "eps", "x"], typer.Option(help="What its network predicts.")
    ] = "v",
    weights: Annotated[
        Literal["ema", "raw"], typer.Option(help="Averaged weights, or those of the last step.")
    ] = "ema",
    num_heads: Annotated[
        int | None, typer.Option(min=1, help="Attention heads, which the file does not tell.")
    ] = None,
) -> None:
    """Turn a checkpoint of minFLEX into a model folder, weights only, nothing executed.

    \b
    Examples:
      flexclim import-minflex checkpoint.pt my-model
      flexclim import-minflex checkpoint.pt my-model --factor 8 --prediction eps
    """  # noqa: D301
    import flexclim

    model = flexclim.import_minflex(
        checkpoint, factor=factor, prediction=prediction, weights=weights, num_heads=num_heads
    )
    model.save(folder)
    typer.echo(str(folder))
