"""The command line: its help, and how it fails."""

import logging
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest
from command_line import run

import flexclim
from flexclim.cli import main, options
from flexclim.errors import FlexclimWarning, StoreError

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


@pytest.mark.slow
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


@pytest.fixture
def logging_command(monkeypatch):
    """Let `flexclim check STORE` log and warn, and return what it was given."""
    given = []

    def check(store):
        given.append(store)
        log = logging.getLogger("flexclim.any")
        log.debug("in detail")
        log.info("as usual")
        warnings.simplefilter("always")
        warnings.warn("look out", FlexclimWarning, stacklevel=1)
        return {}

    monkeypatch.setattr("flexclim.stores.check_store", check)
    return given


def test_a_log_file_gets_everything_with_times(logging_command, tmp_path, capsys):
    file = tmp_path / "run.log"
    for _ in range(2):  # it is appended to
        assert run("check", "a.zarr", "--log-file", file) == 0
    lines = file.read_text().splitlines()
    assert [line[24:] for line in lines] == [
        "DEBUG in detail",
        "INFO as usual",
        "WARNING look out",
    ] * 2
    assert all(line[:2] == "20" for line in lines)
    assert capsys.readouterr().out.count("nothing is missing") == 2
    assert run("check", "a.zarr") == 0
    assert len(file.read_text().splitlines()) == 6


def test_errors_are_logged_too(monkeypatch, tmp_path, capsys):
    def check(store):
        raise StoreError("no store.")

    monkeypatch.setattr("flexclim.stores.check_store", check)
    assert run("--log-file", tmp_path / "run.log", "check", "a.zarr") == 1
    assert (tmp_path / "run.log").read_text().endswith("ERROR no store.\n")
    assert capsys.readouterr().err == "flexclim: no store.\n"
    assert run("check", "a.zarr", "--log-file", tmp_path / "none" / "run.log") == 1
    assert "run.log: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("place", [0, 2])
def test_more_is_logged_on_request(logging_command, place, capsys):
    given = ["check", "a.zarr"]
    given.insert(place, "-v")
    log = logging.getLogger("flexclim")
    handlers, log.handlers = log.handlers, []  # one of this test's standard error stream
    try:
        assert run(*given) == 0
    finally:
        log.handlers = handlers
    assert logging_command == ["a.zarr"]
    assert "DEBUG in detail" in capsys.readouterr().err


def test_shells_complete_commands():
    done = subprocess.run(
        [sys.executable, "-c", "from flexclim.cli import main; main()"],
        env=os.environ
        | {"_FLEXCLIM_COMPLETE": "complete_bash", "COMP_WORDS": "flexclim dow", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["downscale"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_noted_and_leaves_with_its_code(monkeypatch, tmp_path, capsys, number, code):
    before = signal.getsignal(number)
    monkeypatch.setattr("flexclim.stores.check_store", lambda store: signal.raise_signal(number))
    assert run("check", "a.zarr", "--log-file", tmp_path / "run.log") == code
    text = f"stopped by {number.name}. What a store holds is complete: give the same command again"
    assert text in capsys.readouterr().err
    assert text in (tmp_path / "run.log").read_text()
    assert signal.getsignal(number) is before


def test_a_signal_that_comes_in_a_destructor_is_not_lost(monkeypatch, capsys):
    class Late:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    def check(store):
        Late()
        time.sleep(5)
        return {}

    monkeypatch.setattr("flexclim.stores.check_store", check)
    assert run("check", "a.zarr") == 143
    assert "Exception ignored" not in capsys.readouterr().err


COMMANDS_WITH_OUTPUT = [
    ("downscale", "in.nc", "OUT.zarr", "-f", 4),
    ("forecast", "in.nc", "OUT.nc", "-l", 1),
    ("adjust", "in.nc", "OUT.nc", "--reference", "r.nc"),
    ("adjust", "in.nc", "a.nc", "--save-fitted", "OUT.nc"),
    ("verify", "a.nc", "b.nc", "--report", "OUT.html"),
    ("verify", "a.nc", "b.nc", "--save", "OUT.nc"),
    ("import-minflex", "a.pt", "OUT"),
    ("demo", "--out", "OUT"),
    ("models", "pull", "toy", "OUT"),
    ("downscale", "in", "OUT", "--layout", "cordex-ml-bench", "-m", "toy"),
]


@pytest.mark.parametrize("arguments", COMMANDS_WITH_OUTPUT)
def test_no_command_makes_a_parent_folder_unasked(capsys, tmp_path, arguments):
    out = tmp_path / "new folder" / "out"
    assert run(*(str(one).replace("OUT", str(out)) for one in arguments)) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert f"Make it first: mkdir -p '{out.parent}'." in shown
    assert not out.parent.exists()


@pytest.mark.parametrize("answer", [True, False])
def test_a_terminal_is_asked_whether_to_make_it(monkeypatch, tmp_path, answer):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    asked = []
    monkeypatch.setattr("typer.confirm", lambda question, **_: asked.append(question) or answer)
    path = tmp_path / "a" / "b" / "fine.nc"
    if answer:
        options.need_folder(path)
    else:
        with pytest.raises(StoreError):
            options.need_folder(path)
    assert path.parent.is_dir() == answer
    assert asked == [f"The folder {path.parent} does not exist. Make it?"]
    options.need_folder("s3://bucket/new/fine.zarr")  # has no folders
