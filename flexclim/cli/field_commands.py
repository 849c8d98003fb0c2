"""Commands that read and write fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import typer

from flexclim.errors import StoreError

# Options that several commands share.
Target = Annotated[str, typer.Argument(help="What to write: .zarr (or its URL; resumes) or .nc.")]
ModelName = Annotated[
    str | None, typer.Option("--model", "-m", help="Name, folder or file. [chosen by the fields]")
]
Members = Annotated[
    int | None,
    typer.Option("--members", "-n", min=1, help="Ensemble members. [8, or the input's own]"),
]
Steps = Annotated[
    int | None, typer.Option(min=1, help="Sampling steps. [as the model's card says]")
]
Seed = Annotated[int, typer.Option(help="Another seed gives another ensemble.")]
Names = Annotated[str | None, typer.Option(help="Such as u10,v10. [all fields on the grid]")]
NonNegative = Annotated[
    bool | None,
    typer.Option(
        "--non-negative/--any-sign", help="Never below zero. [from standard_name and units]"
    ),
]
GridKind = Annotated[
    Literal["cell", "point"] | None, typer.Option(help="Where coordinates can't tell. [found]")
]
StaticFields = Annotated[
    Path | None, typer.Option(help="Fields that the model asks for, such as orography.")
]
Overlap = Annotated[int | None, typer.Option(help="Fine cells tiles share. [chosen]")]
Batch = Annotated[int | None, typer.Option(help="Tiles in one pass. [chosen]")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1. [chosen]")]
Precision = Annotated[str | None, typer.Option(help="float32, bf16 or fp16. [chosen]")]
Compile = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile", help="Compile the network, for long runs on a GPU. [as the store]"
    ),
]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a dask scheduler, such as tcp://10.0.0.1:8786.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Worker processes to start: one a GPU. [threads]")
]
KeepBits = Annotated[
    int | None,
    typer.Option(min=1, max=23, help="Round to so many bits of the mantissa. [not at all]"),
]
Split = Annotated[
    Literal["member", "year"] | None, typer.Option(help="One NetCDF file for each. [one file]")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing NetCDF files.")]


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("flexclim-demo"),
    members: Annotated[int, typer.Option(min=2, help="Ensemble members.")] = 8,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="Simulate turbulence and forecast it instead.")
    ] = False,
) -> None:
    """Downscale the shipped ERA5 sample, score it against the truth and draw it.

    Works offline. A store that an earlier demo left in the folder is continued, its figures are
    drawn anew, and all else stays.

    \b
    Examples:
      flexclim demo
      flexclim demo --out /tmp/demo
      flexclim demo --forecast
    """  # noqa: D301
    if forecast:
        from flexclim.cli.demos.forecasting import run as run_forecast

        run_forecast(out, members=members)
        return
    from flexclim.cli.demos.downscaling import run

    run(out, members=members)


def downscale(
    source: Annotated[str, typer.Argument(help="Coarse field: NetCDF, or Zarr (or its URL).")],
    target: Target,
    factor: Annotated[int, typer.Option("--factor", "-f", min=2, help="Refinement of the grid.")],
    model: ModelName = None,
    members: Members = None,
    steps: Steps = None,
    seed: Seed = 0,
    variables: Names = None,
    conserve: Annotated[
        bool | None,
        typer.Option(
            "--conserve/--no-conserve",
            help="Block means equal the input. [as the model's card says]",
        ),
    ] = None,
    non_negative: NonNegative = None,
    grid: GridKind = None,
    static: StaticFields = None,
    noise: Annotated[
        Literal["independent", "frozen", "ar1"], typer.Option(help="How times are correlated.")
    ] = "independent",
    noise_timescale: Annotated[
        str | None, typer.Option(help="For ar1, such as 6h. [from the card]")
    ] = None,
    overlap: Overlap = None,
    batch: Batch = None,
    device: Device = None,
    precision: Precision = None,
    compile: Compile = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    keep_bits: KeepBits = None,
    split: Split = None,
    overwrite: Overwrite = False,
) -> None:
    """Downscale a coarse field to an ensemble of fine ones.

    A Zarr store that an interrupted run left is continued: give the same command again. With more
    members, or an input of later times too, it is extended.

    \b
    Examples:
      flexclim downscale coarse.nc fine.zarr --factor 4
      flexclim downscale coarse.nc fine.nc -f 4 -n 16 --variables u10,v10 --seed 1
      flexclim downscale wind.nc fine.zarr -f 4 --noise ar1 --noise-timescale 6h
      flexclim downscale wind.nc fine.zarr -f 4 -n 50 --workers 4
    """  # noqa: D301
    options = dict(locals())
    import flexclim

    _write(options, flexclim.downscale, flexclim.downscale_to_zarr)


def forecast(
    source: Annotated[str, typer.Argument(help="Past field: NetCDF, or Zarr (or its URL).")],
    target: Target,
    leads: Annotated[
        str, typer.Option("--leads", "-l", help="Steps ahead, or times ahead such as 6h,12h.")
    ],
    model: ModelName = None,
    members: Members = None,
    steps: Steps = None,
    seed: Seed = 0,
    variables: Names = None,
    non_negative: NonNegative = None,
    grid: GridKind = None,
    static: StaticFields = None,
    overlap: Overlap = None,
    batch: Batch = None,
    device: Device = None,
    precision: Precision = None,
    compile: Compile = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    keep_bits: KeepBits = None,
    split: Split = None,
    overwrite: Overwrite = False,
) -> None:
    """Forecast a field from its last times, as an ensemble.

    A Zarr store that an interrupted run left is continued: give the same command again. With more
    members or leads it is extended.

    \b
    Examples:
      flexclim forecast past.nc ahead.zarr --leads 4
      flexclim forecast past.nc ahead.nc -l 6h,24h -n 16 --variables u10,v10 --seed 1
      flexclim forecast past.nc ahead.zarr -l 20 -m my-model --workers 4
    """  # noqa: D301
    options = dict(locals())
    import flexclim

    counted = re.fullmatch(r"\s*[+-]?\d+\s*", leads)
    options["leads"] = int(leads) if counted else leads.split(",")
    _write(options, flexclim.forecast, flexclim.forecast_to_zarr)


def _write(
    options: dict[str, Any], make: Callable[..., Any], make_to_zarr: Callable[..., Any]
) -> None:
    """Open, make, write, and say what was written; ``options`` are all of a command."""
    source, target, split, overwrite, keep_bits, scheduler, workers = map(
        options.pop,
        ("source", "target", "split", "overwrite", "keep_bits", "scheduler", "workers"),
    )
    kind = PurePosixPath(target.rstrip("/")).suffix
    if kind not in (".zarr", ".nc"):
        raise typer.BadParameter(f"{target} ends in neither .zarr nor .nc.", param_hint="TARGET")
    if kind == ".zarr" and split:
        raise typer.BadParameter("a store is not split; name a .nc file.", param_hint="--split")

    from flexclim.execution.cluster import connected
    from flexclim.stores import datasets as io

    if options["variables"]:
        options["variables"] = options["variables"].split(",")
    if options["static"]:
        options["static"] = io.open_input(options["static"])
    given = io.open_input(source)
    with connected(scheduler, workers):
        if kind == ".zarr":
            make_to_zarr(given, target, keep_bits=keep_bits, **options)
            written: list[Any] = [target]
        else:
            made = make(given, **options)
            written = io.write_netcdf_files(
                made, target, split=split, overwrite=overwrite, keep_bits=keep_bits
            )
    typer.echo("\n".join(map(str, written)))


def verify(
    forecast: Annotated[Path, typer.Argument(help="Ensemble or single forecast: NetCDF or Zarr.")],
    truth: Annotated[Path, typer.Argument(help="What happened, on the same grid.")],
    coarse: Annotated[
        Path | None, typer.Option(help="The coarse input: adds bilinear and bicubic.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write one self-contained HTML file.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing report.")
    ] = False,
) -> None:
    """Score a forecast against the truth, beside interpolation.

    \b
    Examples:
      flexclim verify fine.zarr truth.nc
      flexclim verify fine.zarr truth.nc --coarse coarse.nc --report report.html
    """  # noqa: D301
    from flexclim import verify as scoring
    from flexclim.stores import datasets as io

    if report and report.exists() and not overwrite:
        raise StoreError(f"{report} exists. Give --overwrite, or another name.")
    scores = scoring.evaluate(
        io.open_input(forecast),
        io.open_input(truth),
        coarse=io.open_input(coarse) if coarse else None,
    )
    typer.echo(scoring.table(scores))
    if report:
        scoring.report(scores, report)
        typer.echo(str(report))
