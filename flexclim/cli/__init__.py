"""The command line of flexclim.

Each command opens files, calls one public function and prints the paths that it wrote. Heavy
packages are imported when a command runs, so that ``--help`` is fast.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Annotated

import typer

from flexclim.cli import adjustment_commands as adjustments
from flexclim.cli import field_commands as fields
from flexclim.cli import model_commands as models
from flexclim.cli import store_commands as stores
from flexclim.cli import training_commands as training
from flexclim.cli import verification_commands as verification
from flexclim.cli.interruption import Stopped, stoppable
from flexclim.errors import FlexclimError, FlexclimWarning, without_torch

DETAILED = "%(asctime)s %(levelname)s %(message)s"
# Warnings and errors, which are printed in another way, for the log file.
FILE_LOG = logging.getLogger(__name__)
FILE_LOG.propagate = False
FILE_LOG.addHandler(logging.NullHandler())

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit with 0 if done, 1 on failure, 2 on bad arguments.

    After Ctrl-C it is 130, after SIGTERM 143, as shells report them.
    """
    given, arguments = _of_any_command(sys.argv[1:] if arguments is None else arguments)
    show = warnings.showwarning
    warnings.showwarning = partial(_show_warning, show)
    try:
        with _logged(given.verbose, given.log_file), stoppable():
            try:
                app(arguments, prog_name="flexclim")
            except (Exception, Stopped) as error:
                FILE_LOG.error(_one_line(error))
                raise
    except Stopped as stopped:
        typer.echo(f"flexclim: {stopped}", err=True)
        raise SystemExit(128 + stopped.number) from None
    except Exception as error:
        if given.debug:
            raise
        typer.echo(f"flexclim: {_one_line(error)}", err=True)
        raise SystemExit(1) from None
    finally:
        warnings.showwarning = show


def _of_any_command(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options that may follow any command, and the other arguments."""
    parser = argparse.ArgumentParser(prog="flexclim", add_help=False, allow_abbrev=False)
    parser.add_argument("--debug", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--log-file")
    return parser.parse_known_args(arguments)


@contextmanager
def _logged(verbose: bool, log_file: str | None) -> Iterator[None]:
    """Print what flexclim logs on the standard error stream, and append it to a file."""
    log, detailed = logging.getLogger("flexclim"), logging.Formatter(DETAILED)
    if not log.handlers:
        log.addHandler(logging.StreamHandler())
    (shown, *_), level = log.handlers, logging.DEBUG if verbose else logging.INFO
    shown.setFormatter(detailed if verbose else None)
    shown.setLevel(level)
    log.setLevel(level)
    if log_file is None:
        yield
        return
    with closing(logging.FileHandler(log_file)) as file:
        file.setFormatter(detailed)
        log.setLevel(logging.DEBUG)
        both = (log, FILE_LOG)
        for one in both:
            one.addHandler(file)
        try:
            yield
        finally:
            for one in both:
                one.removeHandler(file)


def _one_line(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        error = without_torch(error, "this command")
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    text = " ".join(str(error).split())
    if isinstance(error, FlexclimError | Stopped):
        return text
    return f"{type(error).__name__}: {text} (--debug shows the traceback)"


def _show_warning(
    usual: Callable[..., None], message: Warning | str, category: type[Warning], *where: object
) -> None:
    """Print a warning of flexclim on one line, without its place in the code."""
    if issubclass(category, FlexclimWarning):
        line = " ".join(str(message).split())
        typer.echo(f"flexclim: warning: {line}", err=True)
        FILE_LOG.warning(line)
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
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Log more, with times. May follow any command."),
    ] = False,
    log_file: Annotated[
        str | None,
        typer.Option(help="File to append the log to, with warnings. May follow any command."),
    ] = None,
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


def doctor(
    place: Annotated[str, typer.Argument(help="Folder or URL where output is to go.")] = ".",
) -> None:
    """Show versions, devices, memory, disk and files; exit with 1 if something is missing.

    A small file is written to the place for output and deleted again.

    \b
    Examples:
      flexclim doctor
      flexclim doctor s3://bucket/run
    """  # noqa: D301
    from flexclim.cli.installation import examine, missing

    findings = examine(place)
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
    verification.verify,
    stores.info,
    stores.check,
    training.train,
    training.recipes,
    training.calibrate,
    models.import_minflex,
    doctor,
):
    app.command()(_command)
app.add_typer(models.models, name="models")
