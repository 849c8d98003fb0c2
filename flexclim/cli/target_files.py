"""Targets of downscaling as the command line names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xarray as xr

from flexclim.errors import FlexclimError
from flexclim.grids.candidates import LATITUDES, LONGITUDES

STATION = "station"
# Columns that name stations.
LABELS = (STATION, "name", "id", "station_id", "code")
GEOJSON = ".geojson", ".json"
GEOGRAPHIC = ".gpkg", ".shp"


def open_target(text: str) -> Any:
    """Return what ``to=`` of :func:`flexclim.downscale` takes.

    Parameters
    ----------
    text
        A number of degrees, a level such as ``"healpix:8"``, or the path of a NetCDF file, a Zarr
        store, a CSV file of stations, or a GeoJSON file; with geopandas also a GeoPackage or a
        shapefile.

    Raises
    ------
    FlexclimError
        If a file can't be read, or stations have no positions.

    >>> open_target("0.25"), open_target("healpix:8")
    (0.25, 'healpix:8')
    """
    try:
        return float(text)
    except ValueError:
        pass
    suffix = Path(text).suffix.lower()
    if text.partition(":")[0] == "healpix" and not Path(text).exists():
        return text
    if suffix in (".csv", *GEOJSON, *GEOGRAPHIC) and not Path(text).exists():
        raise FlexclimError(f"{text} does not exist. Give the target's path.")
    if suffix == ".csv":
        return _stations(text)
    if suffix in GEOJSON:
        return _polygons(text)
    if suffix in GEOGRAPHIC:
        return _read_with_geopandas(text)
    from flexclim.stores.datasets import open_input

    return open_input(text)


def _stations(path: str) -> xr.Dataset:
    """Return stations with all columns of a CSV file as coordinates."""
    import csv

    import pandas as pd

    try:
        table = pd.read_csv(path, sep=None, engine="python", skipinitialspace=True)
    except (OSError, ValueError, csv.Error) as error:
        raise FlexclimError(f"{path} can't be read as CSV: {error}. Check its content.") from None
    names = {str(column).strip().lower(): column for column in table.columns}
    found = {}
    for kind, known in (("lat", LATITUDES), ("lon", LONGITUDES)):
        column = next((names[name] for name in known if name in names), None)
        if column is None or table[column].dtype.kind not in "fiu":
            raise FlexclimError(
                f"{path} has no column {kind!r} of numbers; its columns are "
                f"{', '.join(map(str, table.columns))}. Name one so."
            )
        found[column] = kind
    label = next((names[name] for name in LABELS if name in names), None)
    coordinates = {
        found.get(name, str(name).strip()): (STATION, table[name].to_numpy())
        for name in table.columns
        if name != label
    }
    if label is not None:
        coordinates[STATION] = (STATION, table[label].astype(str).to_numpy().astype(str))
    return xr.Dataset(coords=coordinates)


def _polygons(path: str) -> Any:
    try:
        found = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise FlexclimError(f"{path} is no GeoJSON: {error}. Give a complete file.") from None
    if not isinstance(found, dict) or "type" not in found:
        raise FlexclimError(f"{path} is no GeoJSON: it has no type. Give one with polygons.")
    return found


def _read_with_geopandas(path: str) -> Any:
    try:
        import geopandas
    except ImportError:
        raise FlexclimError(
            f"reading {path} needs geopandas (extra gis). Install it, or convert the file to "
            "GeoJSON."
        ) from None
    return geopandas.read_file(path)
