"""Provenance of an output: versions of packages, and the command."""

from __future__ import annotations

import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from flexclim._version import __version__

PACKAGES = "torch", "numpy", "xarray", "dask", "zarr"


def provenance() -> dict[str, str]:
    """Return versions of packages and the running command as attributes.

    Arguments of programs other than flexclim's own are left out.

    >>> sorted(provenance())
    ['flexclim_command', 'flexclim_software', 'flexclim_version']
    """
    software = [f"Python {platform.python_version()}"]
    software += [f"{name} {found}" for name in PACKAGES if (found := _version(name))]
    return {
        "flexclim_version": __version__,
        "flexclim_software": ", ".join(software),
        "flexclim_command": _command(sys.argv),
    }


def _command(arguments: list[str]) -> str:
    """Return the command line, without arguments of other programs.

    >>> _command(["/usr/bin/flexclim", "downscale", "a b.nc", "fine.zarr", "-f", "4"])
    "flexclim downscale 'a b.nc' fine.zarr -f 4"
    >>> _command(["/opt/flexclim/__main__.py", "demo"])
    'flexclim demo'
    >>> _command(["year.py", "--token", "x"])
    'year.py'
    """
    program = Path(arguments[0]) if arguments and arguments[0] else Path("python")
    own = program.parts[-2:] == ("flexclim", "__main__.py") or program.stem == "flexclim"
    return shlex.join(["flexclim", *arguments[1:]]) if own else program.name


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
