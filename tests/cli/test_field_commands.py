"""Commands that make fields and score them: what they call and what they write."""

import numpy as np
import pytest
import xarray as xr
from command_line import run

import flexclim
from flexclim.errors import GridError


def test_downscale_passes_every_option_on(monkeypatch, capsys, coarse, tmp_path):
    calls = []
    monkeypatch.setattr(
        flexclim,
        "downscale_to_zarr",
        lambda *given, **named: calls.append((given, named)),
        raising=False,
    )
    target = tmp_path / "fine.zarr"
    options = ["--factor", "4", "-n", "3", "--steps", "2", "--seed", "7", "--variables", "u10,v10"]
    options += ["--to", "0.25", "--lapse-rate", "6.5"]
    options += ["--no-conserve", "--non-negative", "--grid", "point", "--noise", "ar1"]
    options += ["--constraints", "dew_point", "--time-factor", "4"]
    options += ["--noise-timescale", "6h", "--overlap", "8", "--batch", "2", "--device", "cpu"]
    options += ["--precision", "float32", "--no-compile", "--keep-bits", 9, "--zarr-format", 2]
    assert run("downscale", coarse, target, *options) == 0
    (((given, store), named),) = calls
    assert given["u10"].sizes == {"time": 1, "lat": 16, "lon": 16}
    assert store == str(target)
    progress = named.pop("progress", False)
    assert not progress
    assert named == {
        "factor": 4, "to": 0.25, "lapse_rate": 6.5, "time_factor": 4, "model": None,
        "members": 3, "steps": 2, "seed": 7,
        "variables": ["u10", "v10"], "conserve": False, "non_negative": True, "grid": "point",
        "static": None, "noise": "ar1", "noise_timescale": "6h",
        "constraints": ["dew_point"], "overlap": 8, "batch": 2,
        "device": "cpu", "precision": "float32", "compile": False, "keep_bits": 9,
        "zarr_format": 2,
    }  # fmt: skip
    assert capsys.readouterr().out == f"{target}\n"


def test_a_netcdf_file_has_no_zarr_format(capsys, coarse, tmp_path):
    for target, form in (("a.nc", 2), ("a.zarr", 4)):
        assert run("downscale", coarse, tmp_path / target, "-f", 4, "--zarr-format", form) == 2
    told = capsys.readouterr().err
    assert "NetCDF file has no Zarr format" in " ".join(told.replace("│", " ").split())


def test_constraints_can_be_left_out(monkeypatch, coarse, tmp_path):
    calls = []
    monkeypatch.setattr(flexclim, "downscale_to_zarr", lambda *_, **named: calls.append(named))
    for value in ("none", "wind_speed, dew_point"):
        assert run("downscale", coarse, tmp_path / "a.zarr", "-f", 4, "--constraints", value) == 0
    assert [one["constraints"] for one in calls] == [False, ["wind_speed", "dew_point"]]


def test_numbers_that_a_model_is_conditioned_on(monkeypatch, capsys, coarse, model, tmp_path):
    calls = []
    monkeypatch.setattr(flexclim, "downscale_to_zarr", lambda *given, **_: calls.append(given[0]))
    command = "downscale", coarse, tmp_path / "a.zarr", "-f", 4, "--label"
    assert run(*command, "reynolds=1.2e3") == 0
    assert float(calls[0].reynolds) == 1200
    for label, said in (
        ("reynolds=fast", "is no name and number"),
        ("=3", "is no name and number"),
        ("raynolds=3", "no model is conditioned on 'raynolds', but on"),
        ("u10=3", "no model is conditioned on 'u10'"),
    ):
        assert run(*command, label) == 2
        assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert run(*command, "reynolds=3", "-m", model) == 2
    assert "is not conditioned on 'reynolds'" in " ".join(
        capsys.readouterr().err.replace("│", " ").split()
    )


def test_a_dry_run_writes_nothing(capsys, coarse, model, tmp_path):
    target = tmp_path / "fine.zarr"
    assert run("downscale", coarse, target, "-f", 4, "-n", 2, "-m", model, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("<flexclim estimate>\nModel: ")
    assert "Output:         realization 2 x time 1 x lat 64 x lon 64" in shown
    assert not target.exists()


def test_downscale_names_what_is_wrong_with_a_grid(monkeypatch, capsys, coarse, tmp_path):
    def refuse(*_, **__):
        raise GridError("longitude is not regular:\n its spacing runs from 1 to 2 degrees.")

    monkeypatch.setattr(flexclim, "downscale_to_zarr", refuse)
    assert run("downscale", coarse, tmp_path / "fine.zarr", "-f", 4) == 1
    expected = "flexclim: longitude is not regular: its spacing runs from 1 to 2 degrees.\n"
    assert capsys.readouterr().err == expected


def test_netcdf_is_written_once_and_not_overwritten_unasked(capsys, coarse, model, tmp_path):
    target = tmp_path / "fine.nc"
    command = ("downscale", coarse, target, "-f", 4, "-n", 2, "--model", model)
    assert run(*command) == 0
    with xr.open_dataset(target) as fine:
        assert fine["u10"].sizes == {"realization": 2, "time": 1, "lat": 64, "lon": 64}
        first = fine["u10"].load()
    written = target.stat().st_mtime_ns
    assert run(*command) == 1
    assert "fine.nc exists." in capsys.readouterr().err
    assert target.stat().st_mtime_ns == written
    assert run(*command, "--overwrite", "--seed", 1) == 0
    with xr.open_dataset(target) as fine:
        assert abs(fine["u10"] - first).max() > 1e-3


def test_a_store_is_continued(capsys, coarse, model, tmp_path):
    target = tmp_path / "fine.zarr"
    command = ("downscale", coarse, target, "-f", 4, "-n", 2, "--model", model)
    assert run(*command) == 0
    assert run(*command) == 0
    assert run(*command, "--seed", 1) == 1
    capsys.readouterr()
    assert run(*command, "--overwrite") == 2
    assert "a Zarr store is continued, not replaced" in " ".join(capsys.readouterr().err.split())
    with xr.open_zarr(target) as fine:
        assert fine["u10"].sizes["realization"] == 2


def test_a_column_named_like_the_field_does_not_take_its_place(capsys, coarse, model, tmp_path):
    """Observations would be taken for the downscaled values."""
    stations = tmp_path / "stations.csv"
    command = ("downscale", coarse, tmp_path / "fine.nc", "-f", 2, "-n", 2, "--to", stations)
    for column in ("u10", "time"):
        stations.write_text(f"station,lat,lon,{column}\nA,55,8,11\nB,54,9,12\n")
        assert run(*command, "--model", model) == 1
        assert f"the target's coordinate '{column}' has" in capsys.readouterr().err
    assert not (tmp_path / "fine.nc").exists()


def test_netcdf_is_split_by_member(capsys, coarse, model, tmp_path):
    command = ("downscale", coarse, tmp_path / "fine.nc", "-f", 2, "-n", 2, "--steps", 1)
    command += ("--batch", 4, "--model", model, "--split", "member", "--keep-bits", 7)
    assert run(*command) == 0
    files = [tmp_path / f"fine_m00{member}.nc" for member in (0, 1)]
    assert capsys.readouterr().out.split() == [str(path) for path in files]
    for member, path in enumerate(files):
        with xr.open_dataset(path) as fine:
            assert fine["realization"].values.tolist() == [member]
            assert "flexclim_model_sha256" in fine.attrs
    assert run(*command) == 1
    assert "fine_m000.nc exists" in capsys.readouterr().err
    assert run("downscale", coarse, tmp_path / "a.zarr", "-f", 2, "--split", "year") == 2


def test_static_fields_are_opened(monkeypatch, coarse, tmp_path):
    named = {}
    monkeypatch.setattr(flexclim, "downscale_to_zarr", lambda *_, **options: named.update(options))
    assert run("downscale", coarse, tmp_path / "fine.zarr", "-f", 4, "--static", coarse) == 0
    assert list(named["static"]) == ["u10"]


@pytest.mark.slow
def test_verify_scores_two_files(capsys, coarse, tmp_path):
    with xr.open_dataset(coarse) as truth:
        members = np.random.default_rng(1).normal(size=(4, 1, 16, 16))
        forecast = truth["u10"] + xr.DataArray(members, dims=("realization", *truth["u10"].dims))
        forecast.assign_attrs(truth["u10"].attrs).to_dataset(name="u10").to_netcdf(
            tmp_path / "forecast.nc"
        )
    report = tmp_path / "report.html"
    assert run("verify", tmp_path / "forecast.nc", coarse, "--report", report) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[:3] == ["variable", "candidate", "CRPS"]
    assert printed[1].split()[:2] == ["u10", "forecast"]
    assert printed[-1] == str(report)
    assert "<html" in report.read_text()
    assert run("verify", tmp_path / "forecast.nc", coarse, "--report", report) == 1
    assert "report.html exists" in capsys.readouterr().err


def test_lists_may_have_spaces(monkeypatch, coarse, tmp_path):
    named = []
    monkeypatch.setattr(flexclim, "downscale_to_zarr", lambda *_, **options: named.append(options))
    monkeypatch.setattr(flexclim, "forecast_to_zarr", lambda *_, **options: named.append(options))
    target = tmp_path / "fine.zarr"
    assert run("downscale", coarse, target, "-f", 4, "--variables", " u10, v10,") == 0
    assert run("forecast", coarse, target, "--leads", "6h, 12h", "--variables", "u10") == 0
    assert named[0]["variables"] == ["u10", "v10"]
    assert (named[1]["variables"], named[1]["leads"]) == (["u10"], ["6h", "12h"])
    assert run("downscale", coarse, target, "-f", 4, "--variables", " , ") == 2
    assert run("forecast", coarse, target, "--leads", ",") == 2
