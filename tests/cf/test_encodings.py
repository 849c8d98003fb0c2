import cftime
import numpy as np
import pytest
import xarray as xr

from flexclim.cf.encodings import TIME_UNITS, encodings


def test_missing_values_types_and_times():
    ds = xr.Dataset(
        {
            "t2m": ("time", np.zeros(1, "f4")),
            "lat_bnds": ("bnds", [0.0, 1.0]),
            "count": ("time", [3]),
            "kind": ("time", ["analysis"]),
        },
        {
            "time": [cftime.Datetime360Day(2000, 2, 30)],
            "lat": ((), 0.5, {"bounds": "lat_bnds"}),
        },
    )
    found = encodings(ds, "netcdf")
    assert np.isnan(found["t2m"].pop("_FillValue"))
    assert found["t2m"] == {"zlib": True, "complevel": 4, "shuffle": True}
    assert found["time"] == {"units": TIME_UNITS, "calendar": "360_day", "dtype": "int64"}
    assert found["kind"] == {}
    for name in ("lat", "lat_bnds", "count"):
        assert found[name] == {"_FillValue": None}


def test_zarr_chunks_carry_checksums(tmp_path):
    fields = xr.Dataset({"u10": (("y", "x"), np.random.default_rng(0).normal(size=(6, 12)))})
    fields.to_zarr(tmp_path / "a.zarr", zarr_format=3, encoding=encodings(fields))
    chunk = tmp_path / "a.zarr" / "u10" / "c" / "0" / "0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    with (
        xr.open_zarr(tmp_path / "a.zarr", chunks=None) as ds,
        pytest.raises(ValueError, match="checksum"),
    ):
        ds.u10.load()
