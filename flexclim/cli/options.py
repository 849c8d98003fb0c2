"""Arguments and options that several commands share, with their help texts."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import typer

from flexclim.errors import StoreError

Number = Callable[[int | None], int | None]


def whole_number(lowest: int, highest: int | None = None) -> Number:
    """Return a callback that accepts whole numbers from ``lowest`` to ``highest``.

    It raises ``typer.BadParameter`` for any other number.

    >>> whole_number(1)(3)
    3
    """
    allowed = f"of at least {lowest}" if highest is None else f"from {lowest} to {highest}"

    def check(value: int | None) -> int | None:
        if value is not None and value < lowest:
            raise typer.BadParameter(f"{value} is below {lowest}. Give a whole number {allowed}.")
        if value is not None and highest is not None and value > highest:
            raise typer.BadParameter(f"{value} is above {highest}. Give a whole number {allowed}.")
        return value

    return check


Target = Annotated[
    str,
    typer.Argument(help="Output: .zarr (a path or URL; an existing store is continued) or .nc."),
]
Factor = Annotated[
    int,
    typer.Option(
        "--factor",
        "-f",
        callback=whole_number(2),
        help="Fine cells along one side of a coarse cell.",
    ),
]
FactorOrNone = Annotated[
    int | None,
    typer.Option(
        "--factor",
        "-f",
        callback=whole_number(2),
        help="Fine cells along one side of a coarse cell. [default: as --to needs]",
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        help="Degrees of a regular grid such as 0.1, healpix:8, or a file: one with a grid or with "
        "stations (.nc, .zarr, or .csv with columns lat and lon), or polygons (.geojson). "
        "[default: the fine grid]"
    ),
]
LapseRate = Annotated[
    float | None,
    typer.Option(help="Decrease of temperature with height in K/km, to the elevation of --to."),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="Name, folder or file of the model. [default: by variables and grid]"
    ),
]
Members = Annotated[
    int | None,
    typer.Option(
        "--members",
        "-n",
        callback=whole_number(1),
        help="Ensemble size. [default: 8, or that of an ensemble input]",
    ),
]
ScoredMembers = Annotated[
    int,
    typer.Option(
        "--members", "-n", callback=whole_number(2), help="Ensemble size, at least 2 for a spread."
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(callback=whole_number(1), help="Sampling steps. [default: the model's]"),
]
Seed = Annotated[int, typer.Option(help="Random seed; each seed gives another ensemble.")]
Variables = Annotated[
    str | None, typer.Option(help="Names such as u10,v10. [default: all fields on the grid]")
]
NonNegative = Annotated[
    bool | None,
    typer.Option(
        "--non-negative/--any-sign",
        help="Whether values can't be negative. [default: by standard_name and units, except in "
        "fields that are negative themselves]",
    ),
]
GridKind = Annotated[
    Literal["cell", "point", "healpix", "healpix:ring"] | None,
    typer.Option(
        help="Whether values are cell means or point values, or the cells HEALPix. "
        "[default: by coordinates]"
    ),
]
StaticFields = Annotated[
    str | None, typer.Option(help="File of static fields that the model needs, e.g. orography.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label", help="A number that the model is conditioned on, e.g. fv3=1; repeat for others."
    ),
]
Overlap = Annotated[
    int | None,
    typer.Option(
        callback=whole_number(1),
        help="Fine cells that neighbouring tiles share. [default: the model's]",
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        callback=whole_number(1), help="Tiles per forward pass. [default: by tile and device]"
    ),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda or cuda:1. [default: a GPU if there is one]")
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="float32, bf16 or fp16. [default: as in an existing store, else bf16 where it is "
        "faster: on a GPU, and on a CPU with instructions for it]"
    ),
]
Compile = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile",
        help="Compile the network first, for long runs on a GPU. "
        "[default: as in an existing store, else no]",
    ),
]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a dask scheduler, such as tcp://10.0.0.1:8786.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        callback=whole_number(1),
        help="Worker processes to start, one per GPU. [default: threads of one process]",
    ),
]
KeepBits = Annotated[
    int | None,
    typer.Option(
        callback=whole_number(1, 23),
        help="Round values to this many mantissa bits, 1 to 23. [default: no rounding]",
    ),
]
ZarrFormat = Annotated[
    Literal["2", "3"] | None,
    typer.Option(
        help="Version of the Zarr format; 2 for programs that can't read shards. "
        "[default: an existing store's, else 3]"
    ),
]
Split = Annotated[
    Literal["member", "year"] | None,
    typer.Option(help="Write one NetCDF file per member or year. [default: one file]"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]


def listed(text: str, option: str) -> list[str]:
    """Return the parts of a list with commas; exit with 2 if there are none.

    >>> listed("u10, v10,", "--variables")
    ['u10', 'v10']
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise typer.BadParameter("the list is empty. Give at least one.", param_hint=option)
    return parts


def numbered(labels: list[str] | None) -> dict[str, float]:
    """Return the numbers of labels such as ``fv3=1``, by name; exit with 2 at any other text.

    >>> numbered(["fv3=1", "reynolds = 1.2e3"]), numbered(None)
    ({'fv3': 1.0, 'reynolds': 1200.0}, {})
    """
    found: dict[str, float] = {}
    for label in labels or []:
        name, _, number = map(str.strip, label.partition("="))
        try:
            found[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise typer.BadParameter(
                f"{label!r} is no name and number. Give one such as fv3=1.", param_hint="--label"
            )
    return found


def need_folder(path: str | Path) -> None:
    """See to it that the folder of an output exists: a terminal is asked whether to make it.

    Raises
    ------
    StoreError
        If it does not exist, and there is nobody to ask or the answer is no.
    """
    folder = Path(path).absolute().parent
    if "://" in str(path) or folder.is_dir():
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        question = f"The folder {folder} does not exist. Make it?"
        if typer.confirm(question, default=True, err=True):
            folder.mkdir(parents=True, exist_ok=True)
            return
    raise StoreError(
        f"{path} can't be written: the folder {folder} does not exist. Make it first: "
        f"mkdir -p {shlex.quote(str(folder))}."
    )


def check_zarr_format(zarr_format: str | None, is_store: bool) -> Literal[2, 3] | None:
    """Return the version of the Zarr format; exit with 2 if the output is not a store."""
    if zarr_format is None:
        return None
    if not is_store:
        raise typer.BadParameter(
            "a NetCDF file has no Zarr format. Leave --zarr-format out, or name a .zarr store.",
            param_hint="--zarr-format",
        )
    return 2 if zarr_format == "2" else 3


def is_zarr(target: str, option: str = "TARGET") -> bool:
    """Return whether an output is a Zarr store, else a NetCDF file; exit with 2 if it is neither.

    >>> is_zarr("fine.zarr/"), is_zarr("fine.nc")
    (True, False)
    """
    suffix = PurePosixPath(target.rstrip("/")).suffix
    if suffix not in (".zarr", ".nc"):
        raise typer.BadParameter(
            f"{target!r} ends in neither .zarr nor .nc. Give it one of these suffixes.",
            param_hint=option,
        )
    if suffix == ".nc" and "://" in target:
        raise typer.BadParameter(
            f"{target!r} is a URL, but NetCDF files are written to local folders. Name a .zarr "
            "store, or a path.",
            param_hint=option,
        )
    return suffix == ".zarr"
