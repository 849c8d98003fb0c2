"""Commands that show fields, stores and models, and check stores."""

import numpy as np
import pytest
import xarray as xr
from command_line import run

import flexclim


def test_info_shows_the_grid(capsys, coarse):
    assert run("info", coarse) == 0
    shown = capsys.readouterr().out
    assert "16 x 16 cells" in shown
    assert "u10: time 1 x lat 16 x lon 16, m s-1" in shown


@pytest.mark.parametrize(
    ("form", "key"),
    [
        ((), "u10/c/1/0/0/0"),
        pytest.param(("--zarr-format", 2), "u10/1.0.0.0", marks=pytest.mark.slow),
    ],
    ids=["zarr3", "zarr2"],
)
def test_a_store_is_looked_at_checked_and_mended(capsys, coarse, model, tmp_path, form, key):
    target = tmp_path / "fine.zarr"
    command = ("downscale", coarse, target, "-f", 2, "-n", 2, "--steps", 1, "--batch", 4)
    command += ("--model", model)
    assert run(*command, *form) == 0
    capsys.readouterr()
    assert run("info", target) == 0
    shown = capsys.readouterr().out
    assert "2 of 2 shards (100 %)" in shown
    assert "made by toy, x2, seed 0, flexclim " in shown
    assert run("check", target) == 0
    assert "nothing is missing or damaged" in capsys.readouterr().out
    shard = target / key
    content = shard.read_bytes()
    shard.write_bytes(content[:-9])
    assert run("check", target) == 1
    told = capsys.readouterr()
    assert told.out.startswith(f"{key}: ")
    assert "1 files of" in told.err
    assert run(*command) == 0
    assert shard.read_bytes() == content
    assert run("check", coarse.parent) == 1
    assert "not a store that flexclim began" in capsys.readouterr().err


def test_a_card_fits_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "72")
    assert run("info", "flex-nano") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80  # a word may be longer than what is left of its line
    assert any(line.startswith("coverage ") for line in lines)
    assert lines[-1].split() == ["sha256", flexclim.load_model("flex-nano").sha256]


def test_a_store_that_is_not_there_is_not_made_by_looking(capsys, tmp_path, coarse):
    for path in (tmp_path / "typo.zarr", coarse):
        assert run("check", path) == 1
        assert "is not a store that flexclim began" in capsys.readouterr().err
    assert not (tmp_path / "typo.zarr").exists()


def test_info_says_what_conditions_a_model(capsys):
    assert run("info", "flex-turbulence") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "conditioned on reynolds: a coordinate of the input, or --label reynolds=..." in told


def test_info_shows_healpix(capsys, tmp_path):
    crs = {"grid_mapping_name": "healpix", "healpix_nside": 4, "healpix_order": "nested"}
    cells = xr.Dataset({"t": ("cell", np.zeros(192), {"grid_mapping": "crs"}), "crs": ((), 0, crs)})
    cells.to_netcdf(tmp_path / "cells.nc")
    assert run("info", tmp_path / "cells.nc") == 0
    assert "HEALPix level 2, nested, 192 cells" in capsys.readouterr().out
