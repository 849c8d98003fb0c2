"""Commands that read and write fields."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import typer

from flexclim.errors import StoreError


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("flexclim-demo"),
    members: Annotated[int, typer.Option(min=2, help="Ensemble members.")] = 8,
) -> None:
    """Downscale the shipped ERA5 sample, score it against the truth and draw it.

    Works offline. A store that an earlier demo left in the folder is continued, its figures are
    drawn anew, and all else stays.

    \b
    Examples:
      flexclim demo
      flexclim demo --out /tmp/demo
    """  # noqa: D301
    from flexclim.demo import run

    run(out, members=members)


def downscale(
    source: Annotated[str, typer.Argument(help="Coarse field: NetCDF, or Zarr (or its URL).")],
    target: Annotated[
        str, typer.Argument(help="What to write: .zarr (or its URL; resumes) or .nc.")
    ],
    factor: Annotated[int, typer.Option("--factor", "-f", min=2, help="Refinement of the grid.")],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Name, folder or file. [chosen by the fields]"),
    ] = None,
    members: Annotated[int, typer.Option("--members", "-n", min=1, help="Ensemble members.")] = 8,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Sampling steps. [as the model's card says]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives another ensemble.")] = 0,
    variables: Annotated[
        str | None, typer.Option(help="Such as u10,v10. [all that have the grid's dimensions]")
    ] = None,
    conserve: Annotated[
        bool | None,
        typer.Option(
            "--conserve/--no-conserve",
            help="Block means equal the input. [as the model's card says]",
        ),
    ] = None,
    non_negative: Annotated[
        bool | None,
        typer.Option(
            "--non-negative/--any-sign", help="Never below zero. [from standard_name and units]"
        ),
    ] = None,
    grid: Annotated[
        Literal["cell", "point"] | None, typer.Option(help="Where coordinates can't tell. [found]")
    ] = None,
    static: Annotated[
        Path | None, typer.Option(help="Fields that the model asks for, such as orography.")
    ] = None,
    noise: Annotated[
        Literal["independent", "frozen", "ar1"], typer.Option(help="How times are correlated.")
    ] = "independent",
    noise_timescale: Annotated[
        str | None, typer.Option(help="For ar1, such as 6h. [from the card]")
    ] = None,
    overlap: Annotated[int | None, typer.Option(help="Fine cells tiles share. [chosen]")] = None,
    batch: Annotated[int | None, typer.Option(help="Tiles in one pass. [chosen]")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1. [chosen]")] = None,
    precision: Annotated[str | None, typer.Option(help="float32, bf16 or fp16. [chosen]")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler, such as tcp://10.0.0.1:8786.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes to start: one a GPU. [threads]")
    ] = None,
    keep_bits: Annotated[
        int | None,
        typer.Option(min=1, max=23, help="Round to so many bits of the mantissa. [not at all]"),
    ] = None,
    split: Annotated[
        Literal["member", "year"] | None, typer.Option(help="One NetCDF file for each. [one file]")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing NetCDF files.")
    ] = False,
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
    import flexclim
    from flexclim import io
    from flexclim.cluster import connected

    kind = PurePosixPath(target.rstrip("/")).suffix
    if kind not in (".zarr", ".nc"):
        raise typer.BadParameter(f"{target} ends in neither .zarr nor .nc.", param_hint="TARGET")
    if kind == ".zarr" and split:
        raise typer.BadParameter("a store is not split; name a .nc file.", param_hint="--split")
    options: dict[str, Any] = {
        "model": model, "members": members, "steps": steps, "seed": seed,
        "variables": variables.split(",") if variables else None,
        "conserve": conserve, "non_negative": non_negative, "grid": grid,
        "static": io.open_input(static) if static else None,
        "noise": noise, "noise_timescale": noise_timescale,
        "overlap": overlap, "batch": batch, "device": device, "precision": precision,
    }  # fmt: skip
    coarse = io.open_input(source)
    with connected(scheduler, workers):
        if kind == ".zarr":
            flexclim.downscale_to_zarr(coarse, target, factor, keep_bits=keep_bits, **options)
            written: list[Any] = [target]
        else:
            fine = flexclim.downscale(coarse, factor, **options)
            written = io.write_netcdf_files(
                fine, target, split=split, overwrite=overwrite, keep_bits=keep_bits
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
    from flexclim import io
    from flexclim import verify as scoring

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
