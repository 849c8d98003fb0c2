"""Options: the same in every command, with limits that an error names."""

import pytest
import typer
from command_line import run

from flexclim.cli import app


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
