"""The command that adjusts the bias of a model: what it calls and what it writes."""

import pytest
import xarray as xr
from command_line import run
from synthetic_climate import climate

from flexclim.stores.datasets import open_input


@pytest.fixture
def files(tmp_path):
    for name, first, model in (("era5", 1981, False), ("past", 1981, True), ("ssp", 2021, True)):
        ds = climate(first, 10, (2, 2), model=model, calendar="standard")[["tas"]]
        ds.to_netcdf(tmp_path / f"{name}.nc")
    return tmp_path


def test_fields_are_adjusted_into_files_and_stores(files, capsys):
    given = (
        "--reference",
        files / "era5.nc",
        "--historical",
        files / "past.nc",
        "--window",
        "month",
    )
    assert run("adjust", files / "ssp.nc", files / "a.nc", *given) == 0
    fit = files / "fit.nc"
    assert run("adjust", files / "ssp.nc", files / "b.zarr", *given, "--save-fitted", fit) == 0
    assert (
        run("adjust", files / "ssp.nc", files / "c.nc", "--fitted", fit, "--variables", "tas") == 0
    )
    fitted = ("--fitted", fit, "--zarr-format", 2)
    assert run("adjust", files / "ssp.nc", files / "d.zarr", *fitted) == 0
    assert (files / "d.zarr" / ".zmetadata").exists()
    names = [files / name for name in ("a.nc", "fit.nc", "b.zarr", "c.nc", "d.zarr")]
    assert capsys.readouterr().out == "".join(f"{name}\n" for name in names)
    with xr.open_dataset(files / "a.nc") as one, open_input(files / "b.zarr") as other:
        xr.testing.assert_equal(one["tas"].load(), other["tas"].load())
        for name in ("c.nc", "d.zarr"):
            with open_input(files / name) as third:
                xr.testing.assert_equal(one["tas"], third["tas"].load())
        assert "quantile delta mapping" in one["tas"].attrs["bias_adjustment"]
        assert one.sizes["time"] == 3652


def test_output_is_not_overwritten_unasked(files, capsys):
    given = ("--reference", files / "era5.nc", "--window", "month")
    for target in (files / "a.nc", files / "a.zarr"):
        assert run("adjust", files / "past.nc", target, *given) == 0
        assert run("adjust", files / "past.nc", target, *given) == 1
        assert f"{target} exists." in capsys.readouterr().err
        assert run("adjust", files / "past.nc", target, *given, "--overwrite") == 0


def test_what_is_wrong_is_one_line(files, capsys):
    assert run("adjust", files / "ssp.nc", files / "a.nc") == 1
    assert "nothing to adjust to. Pass reference" in capsys.readouterr().err
    assert run("adjust", files / "ssp.nc", files / "a.txt") == 2
    assert run("adjust", files / "ssp.nc", files / "a.nc", "--period", 2) == 2


def test_saving_the_fit_changes_nothing_else(files, capsys):
    """Variables of the historical run alone are left out, as without it."""
    with xr.open_dataset(files / "past.nc") as past:
        past.assign(huss=past["tas"] * 0 + 1).to_netcdf(files / "more.nc")
    given = ("--reference", files / "era5.nc", "--historical", files / "more.nc")
    given += ("--window", "month")
    assert run("adjust", files / "ssp.nc", files / "a.nc", *given) == 0
    saved = "--save-fitted", files / "fit.nc"
    assert run("adjust", files / "ssp.nc", files / "b.nc", *given, *saved) == 0
    with xr.open_dataset(files / "a.nc") as one, xr.open_dataset(files / "b.nc") as other:
        xr.testing.assert_equal(one, other)
    other_fit = "--save-fitted", files / "c.nc"
    for refused in (("--fitted", files / "fit.nc"), ("--multivariate", "mbcn")):
        assert run("adjust", files / "ssp.nc", files / "d.nc", *given, *other_fit, *refused) == 2
        assert f"goes without {refused[0]}" in " ".join(capsys.readouterr().err.split())
    assert not (files / "c.nc").exists()
