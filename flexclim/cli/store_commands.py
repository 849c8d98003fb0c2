"""Commands that inspect fields, models and stores."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import xarray as xr


def info(
    thing: Annotated[str, typer.Argument(help="NetCDF or Zarr file, a path or URL, or a model.")],
) -> None:
    """Show the grid of a field, the progress of a store, or the card of a model.

    \b
    Examples:
      flexclim info coarse.nc
      flexclim info fine.zarr
      flexclim info flex-nano
    """  # noqa: D301
    from flexclim.models.card import WIDTH
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
        typer.echo(model.text(width))


def check(
    store: Annotated[str, typer.Argument(help="Store written by flexclim, a path or URL.")],
) -> None:
    """Read a whole store and list missing or damaged files; exit with 1 if there are any.

    The store is not changed. To repair it, give the command that wrote it again: only the shards
    listed here are recomputed.

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
            "that wrote it again: only these are recomputed.",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"{store}: nothing is missing or damaged")


def _show_field(field: xr.Dataset) -> None:
    from flexclim.resampling.rows_and_columns import find_cell_list

    found = find_cell_list(field)
    typer.echo(str(field.flex.grid) if found is None else found.text())
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
        models = [one.get("model") for one in plan.get("variables", {}).values()]
        model = plan.get("model") or ", ".join(dict.fromkeys(filter(None, models))) or "?"
        seed, version = plan.get("seed", "?"), progress.version
        how = f"x{plan['factor']}" if "factor" in plan else f"steps of {plan.get('lead_hours')} h"
        typer.echo(f"made by {model}, {how}, seed {seed}, flexclim {version}")
        typer.echo(str(progress))
