"""Commands that list, publish, fetch and import models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from flexclim.cli import options

models = typer.Typer(rich_markup_mode=None)


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context) -> None:
    """List the models that can be given by name, publish a model, or fetch one.

    \b
    Examples:
      flexclim models
      flexclim models push runs/gfs/model s3://bucket/models
      flexclim models pull s3://bucket/models/gfs-wind-x4 gfs-wind
    """  # noqa: D301
    if context.invoked_subcommand is None:
        import flexclim

        typer.echo(str(flexclim.list_models()))


@models.command()
def push(
    model: Annotated[str, typer.Argument(help="Name or folder of the model.")],
    place: Annotated[
        str, typer.Argument(help="Folder or URL of published models, such as s3://bucket/models.")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a different model of the same name.")
    ] = False,
) -> None:
    """Publish a model: PLACE/NAME with its card, and its entry in PLACE/registry.json.

    The folder is laid out as the Hugging Face hub expects it.

    \b
    Examples:
      flexclim models push runs/gfs/model /group/models
      flexclim models push runs/gfs/model s3://bucket/models
    """  # noqa: D301
    from flexclim.models import sharing

    typer.echo(sharing.push(model, place, overwrite=overwrite))


@models.command()
def pull(
    place: Annotated[
        str,
        typer.Argument(help="Folder or URL of one model, or hf://OWNER/NAME on Hugging Face."),
    ],
    folder: Annotated[Path, typer.Argument(help="Model folder to write.")],
    sha256: Annotated[
        str | None,
        typer.Option(help="SHA-256 of model.json from its author; refuse any other."),
    ] = None,
) -> None:
    """Fetch a published model, check it against its hashes, and write its folder.

    \b
    Examples:
      flexclim models pull /group/models/gfs-wind-x4 gfs-wind
      flexclim models pull hf://OWNER/NAME@v1 gfs-wind
    """  # noqa: D301
    from flexclim.models import sharing

    options.need_folder(folder)
    sharing.pull(place, folder, sha256=sha256)
    typer.echo(str(folder))


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
