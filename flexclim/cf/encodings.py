"""Encodings for Zarr and NetCDF: types, fill values, compression, checksums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from flexclim.cf.times import calendar_of, is_time

if TYPE_CHECKING:
    from numcodecs.abc import Codec
    from zarr.codecs import Crc32cCodec

Target = Literal["zarr", "zarr2", "netcdf", "plain"]
# Compression in Zarr format 2, of fields and of all else. zlib holds a checksum and is read by all
# libraries: some know no filters (GDAL), others no zstd with a checksum (TensorStore).
FIELD_COMPRESSOR: dict[str, object] = {"id": "zlib", "level": 1}
SMALL_COMPRESSOR: dict[str, object] = {"id": "zlib", "level": 9}
TIME_UNITS = "seconds since 1970-01-01 00:00:00"


def encodings(ds: xr.Dataset, target: Target = "zarr") -> dict[str, dict[str, object]]:
    """Return the encoding of every variable, for ``to_zarr`` or ``to_netcdf``.

    Encodings of the input file have no influence: coordinates and bounds get no fill value,
    fields get NaN, times are stored in seconds. ``"plain"`` is uncompressed, ``"zarr2"`` for
    Zarr format 2.

    >>> encodings(xr.Dataset({"t2m": 273.15}, {"lat": 50.0}), "plain")["lat"]
    {'_FillValue': None}
    """
    result = {}
    bounds = {
        variable.attrs["bounds"] for variable in ds.variables.values() if "bounds" in variable.attrs
    }
    for name, variable in ds.variables.items():
        encoding: dict[str, object] = {}
        if is_time(variable):
            encoding = {"units": TIME_UNITS, "calendar": calendar_of(variable), "dtype": "int64"}
        elif name in ds.data_vars and name not in bounds and variable.dtype.kind == "f":
            encoding = {"_FillValue": variable.dtype.type(np.nan)} | _compression(variable, target)
        elif variable.dtype.kind in "fiu":
            encoding = {"_FillValue": None}
        if target == "zarr" and "compressors" not in encoding:
            encoding["compressors"] = (_checksum(),)
        if target == "zarr2":
            encoding.setdefault("compressors", zarr2_codec(SMALL_COMPRESSOR))
            encoding["filters"] = None
        result[str(name)] = encoding
    return result


def _compression(variable: xr.Variable, target: Target) -> dict[str, object]:
    if target == "plain" or variable.ndim == 0:
        return {}
    if target == "netcdf":
        return {"zlib": True, "complevel": 4, "shuffle": True}
    if target == "zarr2":
        return {"compressors": zarr2_codec(FIELD_COMPRESSOR)}
    from zarr.codecs import BloscCodec

    blosc = BloscCodec(
        cname="zstd", clevel=3, shuffle="bitshuffle", typesize=variable.dtype.itemsize
    )
    return {"compressors": (blosc, _checksum())}


def zarr2_codec(settings: Mapping[str, object]) -> Codec:
    """Return a codec of Zarr format 2, by its name and settings."""
    import numcodecs

    return numcodecs.get_codec(dict(settings))


def _checksum() -> Crc32cCodec:
    """Return the checksum codec, which detects flipped bits on reading."""
    from zarr.codecs import Crc32cCodec

    return Crc32cCodec()
