"""Open GRIB files lazily, with cfgrib where it is installed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from flexclim.errors import FlexclimError

SUFFIXES = ".grib", ".grb", ".grib1", ".grb1", ".grib2", ".grb2", ".gb2"
MAGIC = b"GRIB"
ONE_DATASET = (
    "It holds fields that do not fit into one Dataset, such as several heights. Write those that "
    "go together to a file, for example with grib_copy -w shortName=2t, or open it in Python with "
    "cfgrib.open_datasets"
)


def is_grib(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is that of a GRIB file, by its name or its first bytes.

    >>> is_grib("era5.grib"), is_grib("era5.nc")
    (True, False)
    """
    place = Path(path)
    if place.suffix.lower() in SUFFIXES:
        return True
    if not place.is_file():
        return False
    with place.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def grib_options(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the arguments of xarray.open_dataset for a GRIB file; no index is written beside it.

    Raises
    ------
    FlexclimError
        If cfgrib is not installed.
    """
    if importlib.util.find_spec("cfgrib") is None:
        raise FlexclimError(
            f"{path} is a GRIB file, and cfgrib is not installed. Install it with "
            "pip install 'flexclim[grib]'."
        )
    # Libraries that newer ecCodes load keep pyproj from finding its data if it comes later.
    import pyproj  # noqa: F401

    return {"engine": "cfgrib", "backend_kwargs": {"indexpath": "", "errors": "raise"}}
