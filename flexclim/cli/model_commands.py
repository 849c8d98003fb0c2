"""Commands that list and import models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from flexclim.cli import options


def models() -> None:
    """List the models that can be given by name, and what each is for."""
    import flexclim

    typer.echo(str(flexclim.list_models()))


def import_minflex(
    checkpoint: Annotated[Path, typer.Argument(help="minFLEX checkpoint (.pt).")],
    folder: Annotated[Path, typer.Argument(help="Model folder to write.")],
    factor: options.Factor = 4,
    prediction: Annotated[
        Literal["v", "eps", "x"], typer.Option(help="Quantity that the network predicts.")
    ] = "v",
    weights: Annotated[
        Literal["ema", "raw"],
        typer.Option(help="Moving average of weights, or the last."),
    ] = "ema",
    num_heads: Annotated[
        int | None,
        typer.Option(
            callback=options.whole_number(1),
            help="Attention heads, if not minFLEX's default; the file does not record them.",
        ),
    ] = None,
) -> None:
    """Convert a minFLEX checkpoint into a model folder.

    Only weights are read; no code in the file is executed.

    \b
    Examples:
      flexclim import-minflex checkpoint.pt my-model
      flexclim import-minflex checkpoint.pt my-model --factor 8 --prediction eps
    """  # noqa: D301
    import flexclim

    options.need_folder(folder)
    model = flexclim.import_minflex(
        checkpoint, factor=factor, prediction=prediction, weights=weights, num_heads=num_heads
    )
    model.save(folder)
    typer.echo(str(folder))
