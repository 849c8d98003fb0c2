"""Commands that look at fields, models and stores."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import xarray as xr


def info(
    thing: Annotated[str, typer.Argument(help="A NetCDF or Zarr field, or a model.")],
) -> None:
    """Show what is understood of a field's grid, how far a store is, or a model's card.

    \b
    Examples:
      flexclim info coarse.nc
      flexclim info fine.zarr
      flexclim info flex-nano
    """  # noqa: D301
    from flexclim.models.card import INDENT, WIDTH
    from flexclim.models.model import read_model
    from flexclim.stores import datasets as io

    path = Path(thing)
    field = "://" in thing or path.exists() or path.suffix in (".nc", ".zarr")
    if field and not (path / "model.json").is_file():
        _show_field(io.open_input(thing))
        _show_progress(thing)
    else:
        model = read_model(thing)
        width = min(shutil.get_terminal_size().columns, WIDTH)
        typer.echo(f"{model.card.text(width)}\n{'sha256':{INDENT}}{model.sha256}")


def check(
    store: Annotated[str, typer.Argument(help="A store that flexclim wrote, or its URL.")],
) -> None:
    """Read all of a store; list what is missing or damaged, and exit with 1 if anything is.

    The store is not changed. Give the command that made it again to mend it: only the shards
    listed here are made anew.

    \b
    Examples:
      flexclim check fine.zarr
    """  # noqa: D301
    from flexclim.stores import check_store

    found = check_store(store)
    for key, wrong in sorted(found.items()):
        typer.echo(f"{key}: {wrong}")
    if found:
        typer.echo(
            f"flexclim: {len(found)} files of {store} are missing or damaged. Give the command "
            "that made it again: only they are made anew.",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"{store}: nothing is missing or damaged")


def _show_field(field: xr.Dataset) -> None:
    typer.echo(str(field.flex.grid))
    for name, variable in field.data_vars.items():
        sizes = " x ".join(f"{dim} {size}" for dim, size in variable.sizes.items())
        typer.echo(f"{name}: {sizes}, {variable.attrs.get('units', 'no units')}")


def _show_progress(store: str) -> None:
    from flexclim.stores import progress_of

    if "://" not in store and not Path(store).is_dir():
        return
    progress = progress_of(store)
    if progress is not None:
        plan = progress.plan
        model, seed, version = (plan.get(name, "?") for name in ("model", "seed", "version"))
        how = f"x{plan['factor']}" if "factor" in plan else f"steps of {plan.get('lead_hours')} h"
        typer.echo(f"made by {model}, {how}, seed {seed}, flexclim {version}")
        typer.echo(str(progress))
