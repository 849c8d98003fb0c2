"""Commands that train and calibrate models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import xarray as xr

    from flexclim.models.model import Model

from flexclim.cli import options
from flexclim.errors import FlexclimError, ModelError
from flexclim.execution.allocation import keep_memory


def train(
    recipe: Annotated[str, typer.Argument(help="YAML file, or a name from `flexclim recipes`.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings to change, such as trainer.steps=2000.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--restart", help="Continue a run; --restart: never continue one."),
    ] = True,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Print settings and choices, check the data, and exit."),
    ] = False,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="With --explain: settings at their defaults, too.")
    ] = False,
) -> None:
    """Train a model from a recipe.

    To continue an interrupted run, give the same command again. Under torchrun, processes share
    the work.

    \b
    Examples:
      flexclim train flex_nano
      flexclim train my_recipe.yaml trainer.steps=2000 trainer.batch=8
      flexclim train gfs_wind_x4 --explain
      torchrun --nproc-per-node=4 -m flexclim train gfs_wind_x4
    """  # noqa: D301
    from flexclim import train

    loaded = train.load_recipe(recipe, overrides or [])
    if defaults and not explain:
        raise typer.BadParameter("--defaults goes with --explain.", param_hint="--defaults")
    if explain:
        typer.echo(train.explain_recipe(loaded, defaults=defaults))
        if not defaults:
            typer.echo("\nAll other settings have their defaults; --defaults lists them.")
        typer.echo(f"\n{train.examine_recipe(loaded)}")
    else:
        keep_memory()
        typer.echo(str(train.fit(loaded, resume=resume)))


def recipes(
    copy: Annotated[
        str | None, typer.Option(help="Name of a bundled recipe to copy, as a start for your own.")
    ] = None,
    file: Annotated[
        Path | None, typer.Argument(help="YAML file to write. [default: NAME.yaml]")
    ] = None,
) -> None:
    """List the bundled recipes with the first comment of each, or copy one.

    \b
    Examples:
      flexclim recipes
      flexclim recipes --copy gfs_wind_x4 my_wind.yaml
    """  # noqa: D301
    from flexclim.train.recipes.reading import copy_recipe, list_recipes

    if copy is not None:
        typer.echo(str(copy_recipe(copy, file or Path(f"{copy}.yaml"))))
        return
    if file is not None:
        raise typer.BadParameter("give the recipe to copy with --copy.", param_hint="FILE")
    for name, comment in list_recipes().items():
        typer.echo(f"{name:24} {comment}".rstrip())


def calibrate(
    model: Annotated[str, typer.Argument(help="Name or folder of the model.")],
    truth: Annotated[str, typer.Argument(help="Fine fields that were not used in training.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Model folder to write, with the new noise scale.")
    ] = None,
    factor: Annotated[
        int | None,
        typer.Option(
            "--factor",
            "-f",
            callback=options.whole_number(2),
            help="Fine cells along one side of a coarse cell. [default: 4, unless --lead]",
        ),
    ] = None,
    lead: Annotated[
        str | None, typer.Option(help="Calibrate forecasts, with one step of, for example, 6h.")
    ] = None,
    coarse: Annotated[
        str | None, typer.Option(help="Coarse input. [default: block means of TRUTH]")
    ] = None,
    static: options.StaticFields = None,
    period: Annotated[
        str | None,
        typer.Option(help="First and last time, e.g. 2018-10-15,2018-10-16. [default: all]"),
    ] = None,
    variables: options.Variables = None,
    members: options.ScoredMembers = 8,
    steps: options.Steps = None,
    seed: options.Seed = 0,
    persistence: Annotated[
        bool,
        typer.Option(
            "--persistence",
            help="Calibrate the correlation of ar1 noise in time instead, on times that follow "
            "each other; training data will do.",
        ),
    ] = False,
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
      flexclim calibrate runs/gfs/model gfs.nc out --persistence --period 2018-10-05,2018-10-10
    """  # noqa: D301
    from flexclim.models.model import load_model
    from flexclim.stores.datasets import open_input
    from flexclim.train.calibrate import calibrate as find_scale
    from flexclim.train.noise_persistence import calibrate_persistence

    keep_memory()
    loaded = load_model(model)
    output = _output_folder(loaded, folder, in_place=in_place)
    common: dict[str, Any] = {
        "members": members,
        "steps": steps,
        "seed": seed,
        "static": open_input(static) if static else None,
    }
    if persistence:
        if lead or coarse:
            raise typer.BadParameter(
                "goes without --lead and --coarse.", param_hint="--persistence"
            )
        fields = _selected(truth, period, variables)
        calibrated = calibrate_persistence(loaded, fields, factor or 4, **common)
        typer.echo("\n".join(str(part) for part in calibrated.card.coverage if part.noise))
        typer.echo(str(calibrated.save(output, overwrite=in_place)))
        return
    found = find_scale(
        loaded,
        _selected(truth, period, variables),
        factor or (4 if lead is None else None),
        lead=lead,
        coarse=_selected(coarse, period, variables) if coarse else None,
        **common,
        data=" ".join(filter(None, (Path(truth).name, period, lead and f"by {lead}"))),
    )
    for trial in found.trials:
        typer.echo(
            f"noise scale {trial.noise_scale:.3f}  spread/skill {trial.spread_skill:.3f}  "
            f"CRPS {trial.crps:.4g}"
        )
    typer.echo(str(found.model.save(output, overwrite=in_place)))


def _output_folder(model: Model, folder: Path | None, *, in_place: bool) -> Path:
    """Return the folder to write a calibrated model to; bundled models are never changed."""
    from flexclim.models.catalogue import BUNDLED

    if folder is not None and not in_place:
        return folder
    if folder is not None or not in_place:
        raise typer.BadParameter(
            "give either a FOLDER to write or --in-place.", param_hint="FOLDER"
        )
    if model.folder is None or model.folder.parent == BUNDLED:
        owner = "is not a model folder" if model.folder is None else "ships with flexclim"
        raise ModelError(
            f"{model.name} {owner} and can't be changed in place. Give a FOLDER to write."
        )
    return model.folder


def _selected(path: str, period: str | None, variables: str | None) -> xr.Dataset:
    """Open fields, select a period and variables, and load them."""
    import numpy as np

    from flexclim.stores.datasets import open_input
    from flexclim.stores.layout import time_coordinate
    from flexclim.train.data.splits import select_times

    fields = open_input(path)
    if variables:
        names = options.listed(variables, "--variables")
        if missing := [name for name in names if name not in fields]:
            raise FlexclimError(
                f"{path} has no variable {missing[0]!r}; it has "
                f"{', '.join(map(str, fields.data_vars))}. Give others as --variables."
            )
        fields = fields[names]
    if period:
        first, _, last = period.partition(",")
        time = time_coordinate(fields)
        if time is None:
            raise FlexclimError(f"{path} has no dates. Leave --period out.")
        times = fields[time].values
        ends = first.strip(), (last or first).strip()
        chosen = select_times(times, np.ones(times.size, bool), ends, str(path))
        fields = fields.isel({fields[time].dims[0]: chosen})
    return fields.load()
