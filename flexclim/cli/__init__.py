"""The command line of flexclim.

Each command opens files, calls one public function and prints the paths that it wrote. Heavy
packages are imported when a command runs, so that ``--help`` is fast.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from flexclim.cli import adjustment_commands as adjustments
from flexclim.cli import field_commands as fields
from flexclim.cli import model_commands as models
from flexclim.cli import store_commands as stores
from flexclim.cli import training_commands as training
from flexclim.errors import FlexclimError, FlexclimWarning

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit with 0 if done, 1 on failure, 2 on bad arguments."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    _show_log()
    show = warnings.showwarning
    warnings.showwarning = partial(_show_warning, show)
    try:
        app([argument for argument in arguments if argument != "--debug"], prog_name="flexclim")
    except Exception as error:
        if debug:
            raise
        typer.echo(f"flexclim: {_one_line(error)}", err=True)
        raise SystemExit(1) from None
    finally:
        warnings.showwarning = show


def _show_log() -> None:
    """Print what flexclim logs, such as which model was chosen, on the standard error stream."""
    log = logging.getLogger("flexclim")
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
        log.setLevel(logging.INFO)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    text = " ".join(str(error).split())
    if isinstance(error, FlexclimError):
        return text
    return f"{type(error).__name__}: {text} (--debug shows the traceback)"


def _show_warning(
    usual: Callable[..., None], message: Warning | str, category: type[Warning], *where: object
) -> None:
    """Print a warning of flexclim on one line, without its place in the code."""
    if issubclass(category, FlexclimWarning):
        typer.echo(f"flexclim: warning: {' '.join(str(message).split())}", err=True)
    else:
        usual(message, category, *where)


def _print_version(wanted: bool) -> None:
    if wanted:
        from flexclim._version import __version__

        typer.echo(f"flexclim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks. May follow any command.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Downscale and forecast climate fields with diffusion models.

    \b
    Examples:
      flexclim demo
      flexclim downscale coarse.nc fine.zarr --factor 4 --members 16
      flexclim forecast past.nc ahead.zarr --leads 4
      flexclim verify fine.zarr truth.nc --coarse coarse.nc --report report.html
    """  # noqa: D301


def doctor() -> None:
    """Show versions, devices, threads and files; exit with 1 if something is missing."""
    from flexclim.cli.installation import examine, missing

    findings = examine()
    for section, found in findings.items():
        typer.echo(section)
        for name, value in found.items():
            typer.echo(f"  {name:15} {value}")
    if lacking := missing(findings):
        typer.echo(f"flexclim: missing: {', '.join(lacking)}", err=True)
        raise typer.Exit(1)


for _command in (
    fields.demo,
    fields.downscale,
    adjustments.adjust,
    fields.forecast,
    fields.verify,
    stores.info,
    stores.check,
    training.train,
    training.recipes,
    training.calibrate,
    models.models,
    models.import_minflex,
    doctor,
):
    app.command()(_command)
