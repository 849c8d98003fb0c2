"""Commands that downscale and forecast fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    import xarray as xr

from flexclim.cli import options
from flexclim.execution.allocation import keep_memory


def demo(
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("flexclim-demo"),
    members: options.ScoredMembers = 8,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="Forecast a simulated turbulent flow instead.")
    ] = False,
) -> None:
    """Downscale the bundled ERA5 sample, score it against the truth and plot it.

    Needs no network. Running it again in the same folder continues the store, redraws the figures
    and leaves other files alone.

    \b
    Examples:
      flexclim demo
      flexclim demo --out my-demo
      flexclim demo --forecast
    """  # noqa: D301
    keep_memory()
    options.need_folder(out)
    if forecast:
        from flexclim.cli.demos.forecasting_demo import run as run_forecast

        run_forecast(out, members=members)
        return
    from flexclim.cli.demos.downscaling_demo import run

    run(out, members=members)


def downscale(
    source: Annotated[str, typer.Argument(help="Coarse fields: NetCDF or Zarr, a path or URL.")],
    target: options.Target,
    factor: options.FactorOrNone = None,
    to: options.To = None,
    lapse_rate: options.LapseRate = None,
    time_factor: Annotated[
        int | None,
        typer.Option(help="Split days into so many times, such as 4, with a --model for it."),
    ] = None,
    model: options.ModelName = None,
    members: options.Members = None,
    steps: options.Steps = None,
    seed: options.Seed = 0,
    variables: options.Variables = None,
    conserve: Annotated[
        bool | None,
        typer.Option(
            "--conserve/--no-conserve",
            help="Make block means of each member equal the input. [default: the model's]",
        ),
    ] = None,
    non_negative: options.NonNegative = None,
    grid: options.GridKind = None,
    static: options.StaticFields = None,
    label: options.Labels = None,
    noise: Annotated[
        Literal["independent", "frozen", "ar1"], typer.Option(help="Noise of successive times.")
    ] = "independent",
    noise_timescale: Annotated[
        str | None, typer.Option(help="e-folding time for ar1, such as 6h. [default: the model's]")
    ] = None,
    constraints: Annotated[
        str | None,
        typer.Option(
            help="Between variables: temperature_extremes, dew_point, wind_speed, with commas, or "
            "none. [default: those that apply]"
        ),
    ] = None,
    overlap: options.Overlap = None,
    batch: options.Batch = None,
    device: options.Device = None,
    precision: options.Precision = None,
    compile: options.Compile = None,
    scheduler: options.Scheduler = None,
    workers: options.Workers = None,
    keep_bits: options.KeepBits = None,
    zarr_format: options.ZarrFormat = None,
    split: options.Split = None,
    overwrite: options.Overwrite = False,
    layout: Annotated[
        Literal["cordex-ml-bench"] | None,
        typer.Option(
            help="Write the prediction files of a benchmark: SOURCE is the folder of a domain (or "
            "a file in it), TARGET the folder of the submission."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show model, forward passes, time, memory and size; write nothing."
        ),
    ] = False,
) -> None:
    """Downscale coarse fields to an ensemble on a finer grid, at stations or over areas.

    To continue an interrupted Zarr store, give the same command again. More members or later
    times extend the store.

    \b
    Examples:
      flexclim downscale coarse.nc fine.zarr --factor 4
      flexclim downscale coarse.nc fine.nc -f 4 -n 16 --variables u10,v10 --seed 1
      flexclim downscale wind.nc fine.zarr -f 4 --noise ar1 --noise-timescale 6h
      flexclim downscale wind.nc fine.zarr -f 4 -n 50 --workers 4
      flexclim downscale coarse.nc fine.nc --to 0.25
      flexclim downscale coarse.nc local.nc --to stations.csv --lapse-rate 6.5
      flexclim downscale levels.nc rain.nc --to orography.nc -m my-prognosis-model
      flexclim downscale NZ/NZ_domain submission --layout cordex-ml-bench -m runs/nz/model
      flexclim downscale daily.nc six_hourly.nc --time-factor 4 --model runs/wind_days/model
      flexclim downscale gfs_2026.nc fine.zarr -f 4 --label fv3=1
      flexclim downscale coarse.nc fine.zarr -f 4 --dry-run
    """  # noqa: D301
    arguments = dict(locals())
    if arguments.pop("layout") is not None:
        _write_benchmark(arguments)
        return
    if factor is None and to is None and time_factor is None:
        raise typer.BadParameter("Give --factor, such as 4, --to or --time-factor.")
    import flexclim

    if constraints is not None:
        named = options.listed(constraints, "--constraints")
        arguments["constraints"] = named != ["none"] and named
    only_estimate = flexclim.estimate if arguments.pop("dry_run") else None
    _write(arguments, flexclim.downscale, flexclim.downscale_to_zarr, only_estimate)


def forecast(
    source: Annotated[str, typer.Argument(help="Past fields: NetCDF or Zarr, a path or URL.")],
    target: options.Target,
    leads: Annotated[
        str,
        typer.Option("--leads", "-l", help="Number of time steps, or lead times such as 6h,12h."),
    ],
    model: options.ModelName = None,
    members: options.Members = None,
    steps: options.Steps = None,
    seed: options.Seed = 0,
    variables: options.Variables = None,
    non_negative: options.NonNegative = None,
    grid: options.GridKind = None,
    static: options.StaticFields = None,
    label: options.Labels = None,
    overlap: options.Overlap = None,
    batch: options.Batch = None,
    device: options.Device = None,
    precision: options.Precision = None,
    compile: options.Compile = None,
    scheduler: options.Scheduler = None,
    workers: options.Workers = None,
    keep_bits: options.KeepBits = None,
    zarr_format: options.ZarrFormat = None,
    split: options.Split = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Forecast an ensemble from the last times of a field.

    To continue an interrupted Zarr store, give the same command again. More members or leads
    extend the store.

    \b
    Examples:
      flexclim forecast past.nc ahead.zarr --leads 4
      flexclim forecast past.nc ahead.nc -l 6h,24h -n 16 --variables u10,v10 --seed 1
      flexclim forecast past.nc ahead.zarr -l 20 -m my-model --workers 4
    """  # noqa: D301
    arguments = dict(locals())
    import flexclim

    counted = re.fullmatch(r"\s*[+-]?\d+\s*", leads)
    arguments["leads"] = int(leads) if counted else options.listed(leads, "--leads")
    _write(arguments, flexclim.forecast, flexclim.forecast_to_zarr)


def _write(
    arguments: dict[str, Any],
    to_memory: Callable[..., xr.Dataset],
    to_zarr: Callable[..., xr.Dataset],
    only_estimate: Callable[..., object] | None = None,
) -> None:
    """Open the input, run one function on it and print the paths that were written.

    ``arguments`` are all those of a command; the functions have the same names for them. Where
    ``only_estimate`` is given, its result is printed and nothing is written.
    """
    source, target, split, overwrite, keep_bits, scheduler, workers = map(
        arguments.pop,
        ("source", "target", "split", "overwrite", "keep_bits", "scheduler", "workers"),
    )
    is_store = _is_store(target, split, overwrite=overwrite)
    zarr_format = options.check_zarr_format(arguments.pop("zarr_format"), is_store)
    stored = {"keep_bits": keep_bits, "zarr_format": zarr_format}
    if only_estimate is None:
        options.need_folder(target)

    from flexclim.cli.target_files import open_target
    from flexclim.execution.cluster import connected
    from flexclim.stores.datasets import open_input, write_netcdf_files

    keep_memory()
    if arguments["variables"] is not None:
        arguments["variables"] = options.listed(arguments["variables"], "--variables")
    if arguments.get("to") is not None:
        arguments["to"] = open_target(arguments["to"])
    if arguments["static"]:
        arguments["static"] = open_input(arguments["static"])
    fields = open_input(source)
    fields = _labelled(fields, options.numbered(arguments.pop("label")), arguments["model"])
    with connected(scheduler, workers):
        if only_estimate is not None:
            typer.echo(repr(only_estimate(fields, **stored, **arguments)))
            return
        if is_store:
            to_zarr(fields, target, **stored, **arguments)
            typer.echo(target)
            return
        result = to_memory(fields, **arguments)
        written = write_netcdf_files(
            result, target, split=split, overwrite=overwrite, keep_bits=keep_bits
        )
    typer.echo("\n".join(map(str, written)))


def _labelled(fields: xr.Dataset, labels: dict[str, float], model: str | None) -> xr.Dataset:
    """Return fields with the numbers that a model is conditioned on; exit with 2 if none is."""
    if not labels:
        return fields
    from flexclim.models.catalogue import list_bundled
    from flexclim.models.model import load_model

    models = [load_model(name) for name in ([model] if model else list_bundled())]
    known = {part.name for one in models for part in one.settings.labels if part.coordinate}
    for name in labels:
        if name not in known or name in fields.variables:
            problem = f"the input has its own {name!r}"
            if name not in known:
                problem = f"no model is conditioned on {name!r}, but on {sorted(known)}"
                if model:
                    problem = f"{model} is not conditioned on {name!r}"
            raise typer.BadParameter(f"{problem}. Leave it out.", param_hint="--label")
    return fields.assign_coords(labels)


def _write_benchmark(arguments: dict[str, Any]) -> None:
    """Write the predictions of a benchmark and print their paths."""
    from flexclim.cli.benchmark_predictions import write_ml_bench
    from flexclim.cli.target_files import open_target
    from flexclim.execution.cluster import connected
    from flexclim.stores.datasets import open_input

    unused = {"split": None, "keep_bits": None, "zarr_format": None, "dry_run": False,
              "lapse_rate": None, "variables": None, "factor": None,
              "constraints": None, "label": None}  # fmt: skip
    if given := [name for name, default in unused.items() if arguments.pop(name) != default]:
        raise typer.BadParameter(f"--{given[0].replace('_', '-')} does not go with --layout.")
    options.need_folder(arguments["target"])
    keep_memory()
    if arguments["to"] is not None:
        arguments["to"] = open_target(arguments["to"])
    if arguments["static"] is not None:
        arguments["static"] = open_input(arguments["static"])
    with connected(arguments.pop("scheduler"), arguments.pop("workers")):
        for path in write_ml_bench(**arguments):
            typer.echo(str(path))


def _is_store(target: str, split: str | None, *, overwrite: bool) -> bool:
    """Return whether the target is a Zarr store; exit with 2 if it can't be written."""
    is_store = options.is_zarr(target)
    if is_store and split:
        raise typer.BadParameter(
            "a Zarr store can't be split. Leave --split out, or name a .nc file.",
            param_hint="--split",
        )
    if is_store and overwrite:
        raise typer.BadParameter(
            "a Zarr store is continued, not replaced. Leave --overwrite out, or delete "
            f"{target} first.",
            param_hint="--overwrite",
        )
    return is_store
