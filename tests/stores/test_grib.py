"""GRIB files, opened lazily with cfgrib where it is installed."""

import importlib.util

import pytest
from grid_kinds import smooth

from flexclim.errors import FlexclimError
from flexclim.stores.datasets import open_input
from flexclim.stores.grib import is_grib


def write_reduced_gaussian(path, heights=(2,)):
    """Write 2 m temperature on the reduced Gaussian grid N32, with ecCodes."""
    eccodes = pytest.importorskip("eccodes")
    with path.open("wb") as file:
        for height in heights:
            message = eccodes.codes_grib_new_from_samples("reduced_gg_pl_32_grib2")
            for key, value in (("shortName", "2t"), ("level", height), ("bitsPerValue", 24)):
                eccodes.codes_set(message, key, value)
            lat, lon = (
                eccodes.codes_get_array(message, key) for key in ("latitudes", "longitudes")
            )
            eccodes.codes_set_values(message, 280 + smooth(lat, lon))
            eccodes.codes_write(message, file)
            eccodes.codes_release(message)
    return path


def test_reduced_gaussian_grib(tmp_path):
    pytest.importorskip("cfgrib")
    path = write_reduced_gaussian(tmp_path / "t.bin")
    ds = open_input(path)
    assert ds.t2m.dims == ("values",)
    assert ds.t2m.chunks is not None
    assert [one.name for one in tmp_path.iterdir()] == ["t.bin"]  # no index beside it
    assert "reduced Gaussian, 6114 cells along values" in repr(ds.flex)
    rows = ds.flex.interpolate(2, "nearest")
    assert rows.t2m.shape == (128, 256)
    assert float(abs(rows.t2m - 280 - smooth(rows.lat, rows.lon)).max()) < 0.15
    assert "reduced Gaussian" in rows.attrs["input_grid"]


def test_several_heights_are_named(tmp_path):
    pytest.importorskip("cfgrib")
    path = write_reduced_gaussian(tmp_path / "t.grib", (2, 10))
    with pytest.raises(FlexclimError, match=r"t\.grib can't be opened\. It holds fields that do"):
        open_input(path)


def test_cfgrib_is_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "t.nc"
    path.write_bytes(b"GRIB and more")
    assert is_grib(path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FlexclimError, match=r"Install it with pip install 'flexclim\[grib\]'\.$"):
        open_input(path)


def test_damaged_grib(tmp_path):
    pytest.importorskip("cfgrib")
    path = tmp_path / "t.grb"
    path.write_bytes(b"GRIB and more")
    with pytest.raises(FlexclimError, match=r"t\.grb can't be opened as GRIB"):
        open_input(path)
