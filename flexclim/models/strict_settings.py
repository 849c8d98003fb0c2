"""Settings read from a file: exact types, no unknown names, errors in one line."""

from __future__ import annotations

from pydantic import ValidationError

from flexclim.nn.configuration import Settings


class StrictSettings(Settings, strict=True, allow_inf_nan=False):
    """Frozen settings whose values have exact types and are finite; no unknown names."""


def first_problem(error: ValidationError) -> str:
    """Describe the first problem of invalid settings in one line: the setting, then the reason."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "the file"
    reason = first["ctx"]["error"] if first["type"] == "value_error" else first["msg"]
    return " ".join(f"{place}: {reason}.".split())
