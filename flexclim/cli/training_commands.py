"""Commands that train models and tune them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flexclim.errors import FlexclimError, ModelError


def train(
    recipe: Annotated[str, typer.Argument(help="A YAML file, or a name that `recipes` lists.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings such as trainer.steps=2000.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Continue from the last checkpoint.")
    ] = True,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print each setting and what it means; train nothing.")
    ] = False,
) -> None:
    """Train a model by a recipe.

    Under torchrun all processes share the work. A run that was stopped or killed goes on when the
    same command is given again.

    \b
    Examples:
      flexclim train flex_nano
      flexclim train my_recipe.yaml trainer.steps=2000 trainer.batch=8
      flexclim train gfs_wind_x4 --explain
      torchrun --nproc-per-node=4 -m flexclim train gfs_wind_x4
    """  # noqa: D301
    from flexclim.train import explain_recipe, fit, load_recipe

    loaded = load_recipe(recipe, overrides or [])
    if explain:
        typer.echo(explain_recipe(loaded))
    else:
        typer.echo(str(fit(loaded, resume=resume)))


def recipes() -> None:
    """List the recipes that ship with flexclim, each with its first comment."""
    from flexclim.train import list_recipes

    for name, comment in list_recipes().items():
        typer.echo(f"{name:24} {comment}".rstrip())


def calibrate(
    model: Annotated[str, typer.Argument(help="Name or folder of the model.")],
    truth: Annotated[Path, typer.Argument(help="Fine fields that training never saw.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Model folder to write, with the new noise scale.")
    ] = None,
    factor: Annotated[
        int | None, typer.Option("--factor", "-f", min=2, help="Refinement. [4]")
    ] = None,
    lead: Annotated[
        str | None, typer.Option(help="Calibrate forecasts by one step of so long, such as 6h.")
    ] = None,
    coarse: Annotated[
        Path | None, typer.Option(help="What is downscaled. [block means of TRUTH]")
    ] = None,
    static: Annotated[
        Path | None, typer.Option(help="Fields that the model asks for, such as orography.")
    ] = None,
    period: Annotated[
        str | None, typer.Option(help="First and last time, such as 2018-10-15,2018-10-16. [all]")
    ] = None,
    variables: Annotated[str | None, typer.Option(help="Such as u10,v10. [all]")] = None,
    members: Annotated[int, typer.Option("--members", "-n", min=2, help="Ensemble size.")] = 8,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Sampling steps. [as the model's card says]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the ensembles.")] = 0,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Change the model's own folder.")
    ] = False,
) -> None:
    """Set a model's noise scale so that spread / skill is 1 on validation data.

    \b
    Examples:
      flexclim calibrate runs/gfs/model gfs.nc calibrated --period 2018-10-15,2018-10-16
      flexclim calibrate runs/gfs/model gfs.nc --in-place
      flexclim calibrate runs/wind/model gfs.nc calibrated --lead 6h --period 2018-10-15,2018-10-16
    """  # noqa: D301
    from flexclim.models.catalogue import BUNDLED
    from flexclim.models.model import load_model
    from flexclim.stores import datasets as io
    from flexclim.train.calibrate import calibrate as find_scale

    if (folder is None) == (not in_place):
        raise typer.BadParameter("give a FOLDER to write, or --in-place.", param_hint="FOLDER")
    loaded = load_model(model)
    own = loaded.folder
    assert own is not None
    if in_place and own.parent == BUNDLED:
        raise ModelError(f"{model} ships with flexclim and stays as it is; give a FOLDER to write.")
    fine, source = (_chosen(path, period, variables) for path in (truth, coarse))
    found = find_scale(
        loaded,
        fine,
        factor or (4 if lead is None else None),
        lead=lead,
        coarse=source,
        members=members,
        steps=steps,
        seed=seed,
        static=io.open_input(static) if static else None,
        data=" ".join(filter(None, (truth.name, period, lead and f"by {lead}"))),
    )
    for trial in found.trials:
        typer.echo(
            f"noise scale {trial.noise_scale:.3f}  spread/skill {trial.spread_skill:.3f}  "
            f"CRPS {trial.crps:.4g}"
        )
    typer.echo(str(found.model.save(folder or own, overwrite=in_place)))


def _chosen(path: Path | None, period: str | None, variables: str | None) -> Any:
    """Open a field and take its period and variables, in memory."""
    from flexclim.stores import datasets as io

    if path is None:
        return None
    field = io.open_input(path)
    if variables:
        field = field[variables.split(",")]
    if period:
        first, _, last = period.partition(",")
        time = next((str(dim) for dim in field.dims if field[dim].dtype.kind == "M"), "time")
        if time not in field.dims:
            raise FlexclimError(f"{path} has no dimension of times. Leave --period out.")
        field = field.sel({time: slice(first, last or first)})
        if field.sizes[time] == 0:
            raise FlexclimError(f"{path} has no time from {first} to {last or first}.")
    return field.load()
