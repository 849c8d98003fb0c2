"""The command line: what it calls, what it writes, and how it fails."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import typer
import xarray as xr

import flexclim
from flexclim.cli import app, main
from flexclim.errors import GridError


@pytest.fixture
def coarse(tmp_path):
    path = tmp_path / "coarse.nc"
    values = np.random.default_rng(0).normal(size=(1, 16, 16))
    xr.Dataset(
        {"u10": (("time", "lat", "lon"), values, {"units": "m s-1"})},
        {
            "time": [np.datetime64("2020-01-01", "ns")],
            "lat": 60.0 - np.arange(16),
            "lon": 5.0 + np.arange(16),
        },
    ).to_netcdf(path)
    return path


@pytest.fixture
def model(toy_model, tmp_path):
    return toy_model.save(tmp_path / "toy")


def run(*arguments):
    """Run the command line in this process and return its exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


COMMANDS = [
    "demo",
    "downscale",
    "forecast",
    "verify",
    "info",
    "check",
    "train",
    "recipes",
    "calibrate",
    "models",
    "import-minflex",
    "doctor",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys, command):
    assert run(command, "--help") == 0
    assert "Usage: flexclim" in capsys.readouterr().out


def test_help_lists_the_commands_and_examples(capsys):
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert "Examples:" in shown
    assert all(f"\n  {command} " in shown for command in COMMANDS)


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys; from flexclim.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'matplotlib', 'cartopy', 'zarr', 'netCDF4', 'scipy', 'xskillscore'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    spent = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        after = os.times()  # processor time: other work on the machine does not count
        spent.append(sum(after[2:4]) - sum(before[2:4]))
    assert min(spent) < 1.5


def test_python_m_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "flexclim", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"flexclim {flexclim.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("downscale", "in.nc", "out.nc"),
        ("downscale", "in.nc", "out.nc", "--factor", "1"),
        ("downscale", "in.nc", "out.nc", "--factor", "4", "--noise", "pink"),
        ("downscale", "in.nc", "out.grib", "--factor", "4"),
        ("no-such-command",),
    ],
)
def test_bad_arguments_exit_with_2(capsys, arguments):
    assert run(*arguments) == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--workers", 0, "0 is below 1. Give a whole number of at least 1."),
        ("--members", 0, "0 is below 1. Give a whole number of at least 1."),
        ("--batch", -1, "-1 is below 1. Give a whole number of at least 1."),
        ("--factor", 1, "1 is below 2. Give a whole number of at least 2."),
        ("--keep-bits", 24, "24 is above 23. Give a whole number from 1 to 23."),
    ],
)
def test_numbers_out_of_range_say_what_is_allowed(capsys, option, value, message):
    assert run("downscale", "in.nc", "out.zarr", "-f", 4, option, value) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert f"'{option}'" in shown
    assert message in shown


def test_an_option_has_the_same_flags_in_every_command():
    flags = {}
    for name, command in typer.main.get_command(app).commands.items():
        for parameter in command.params:
            if parameter.opts[0].startswith("-"):
                found = (*parameter.opts, *parameter.secondary_opts)
                flags.setdefault(parameter.name, {})[name] = found
    assert {"factor", "members", "steps", "seed", "variables", "static"} <= set(flags)
    for name, by_command in flags.items():
        assert len(set(by_command.values())) == 1, (name, by_command)


def test_an_error_is_one_line_without_traceback(capsys, tmp_path):
    assert run("info", tmp_path / "missing.nc") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("flexclim: ")
    assert shown.err.count("\n") == 1
    assert "missing.nc does not exist. Give a NetCDF file or a Zarr store." in shown.err


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path):
    with pytest.raises(flexclim.FlexclimError):
        main(["info", str(tmp_path / "missing.nc"), "--debug"])


def test_info_shows_the_grid(capsys, coarse):
    assert run("info", coarse) == 0
    shown = capsys.readouterr().out
    assert "16 x 16 cells" in shown
    assert "u10: time 1 x lat 16 x lon 16, m s-1" in shown


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
    options += ["--no-conserve", "--non-negative", "--grid", "point", "--noise", "ar1"]
    options += ["--noise-timescale", "6h", "--overlap", "8", "--batch", "2", "--device", "cpu"]
    options += ["--precision", "float32", "--no-compile", "--keep-bits", 9]
    assert run("downscale", coarse, target, *options) == 0
    (((given, store), named),) = calls
    assert given["u10"].sizes == {"time": 1, "lat": 16, "lon": 16}
    assert store == str(target)
    progress = named.pop("progress", False)
    assert not progress
    assert named == {
        "factor": 4, "model": None, "members": 3, "steps": 2, "seed": 7,
        "variables": ["u10", "v10"], "conserve": False, "non_negative": True, "grid": "point",
        "static": None, "noise": "ar1", "noise_timescale": "6h", "overlap": 8, "batch": 2,
        "device": "cpu", "precision": "float32", "compile": False, "keep_bits": 9,
    }  # fmt: skip
    assert capsys.readouterr().out == f"{target}\n"


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


def test_a_store_is_continued(coarse, model, tmp_path):
    target = tmp_path / "fine.zarr"
    command = ("downscale", coarse, target, "-f", 4, "-n", 2, "--model", model)
    assert run(*command) == 0
    assert run(*command) == 0
    assert run(*command, "--seed", 1) == 1
    with xr.open_zarr(target) as fine:
        assert fine["u10"].sizes["realization"] == 2


def test_a_store_is_looked_at_checked_and_mended(capsys, coarse, model, tmp_path):
    target = tmp_path / "fine.zarr"
    command = ("downscale", coarse, target, "-f", 2, "-n", 2, "--steps", 1, "--batch", 4)
    command += ("--model", model)
    assert run(*command) == 0
    capsys.readouterr()
    assert run("info", target) == 0
    shown = capsys.readouterr().out
    assert "2 of 2 shards (100 %)" in shown
    assert "made by toy, x2, seed 0, flexclim " in shown
    assert run("check", target) == 0
    assert "nothing is missing or damaged" in capsys.readouterr().out
    shard = target / "u10" / "c" / "1" / "0" / "0" / "0"
    content = shard.read_bytes()
    shard.write_bytes(content[:-9])
    assert run("check", target) == 1
    told = capsys.readouterr()
    assert told.out.startswith("u10/c/1/0/0/0: ")
    assert "1 files of" in told.err
    assert run(*command) == 0
    assert shard.read_bytes() == content
    assert run("check", coarse.parent) == 1
    assert "no store that flexclim began" in capsys.readouterr().err


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


def test_recipes_are_listed_by_the_name_that_train_takes(capsys):
    from flexclim.train import load_recipe

    assert run("recipes") == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names
    for name in names:
        assert load_recipe(name).name


def test_train_passes_overrides_on(monkeypatch, capsys):
    from flexclim import train

    calls = []
    monkeypatch.setattr(train, "load_recipe", lambda *given: given)
    monkeypatch.setattr(train, "fit", lambda *given, **named: calls.append((given, named)) or "out")
    assert run("train", "flex_nano", "trainer.steps=2", "--restart") == 0
    assert calls == [((("flex_nano", ["trainer.steps=2"]),), {"resume": False})]
    assert capsys.readouterr().out == "out\n"


def test_models_are_listed_and_shown(capsys):
    assert run("models") == 0
    assert "flex-nano" in capsys.readouterr().out
    assert run("info", "flex-nano") == 0
    assert "flex-nano" in capsys.readouterr().out


def test_a_card_fits_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "72")
    assert run("info", "flex-nano") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80  # a word may be longer than what is left of its line
    assert any(line.startswith("coverage ") for line in lines)
    assert lines[-1].split() == ["sha256", flexclim.load_model("flex-nano").sha256]


def test_our_warnings_are_one_line_each(monkeypatch, capsys, coarse, tmp_path):
    def warn(*_, **__):
        warnings.warn("far from\n what it knows.", flexclim.FlexclimWarning, stacklevel=1)

    monkeypatch.setattr(flexclim, "downscale_to_zarr", warn)
    shown = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        run("downscale", coarse, tmp_path / "fine.zarr", "-f", 4)
    assert capsys.readouterr().err == "flexclim: warning: far from what it knows.\n"
    assert warnings.showwarning is shown


def test_import_minflex_refuses_a_foreign_file(capsys, tmp_path):
    checkpoint = tmp_path / "c.pt"
    checkpoint.write_bytes(b"not a checkpoint")
    assert run("import-minflex", checkpoint, tmp_path / "model") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "model").exists()


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
