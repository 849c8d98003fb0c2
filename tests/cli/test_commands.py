"""The command line: its help, and how it fails."""

import os
import subprocess
import sys
import warnings

import pytest
from command_line import run

import flexclim
from flexclim.cli import main

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
