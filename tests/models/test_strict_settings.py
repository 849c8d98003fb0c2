"""Settings from a file are taken as they are, or the first problem is told in one line."""

import pytest
from pydantic import ValidationError, field_validator

from flexclim.models.strict_settings import StrictSettings, first_problem


class Inner(StrictSettings):
    size: int = 1

    @field_validator("size")
    @classmethod
    def _check(cls, value):
        if value < 1:
            raise ValueError(f"{value} is too small.\nGive more")
        return value


class Outer(StrictSettings):
    inner: Inner = Inner()
    scale: float = 1.0


def problem(**settings):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(settings)
    return first_problem(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": "1"}, "scale: Input should be a valid number"),
        ({"scale": float("inf")}, "scale: Input should be a finite number"),
        ({"scal": 1.0}, "scal: Extra inputs are not permitted"),
        ({"inner": {"size": 0}}, "inner.size: 0 is too small. Give more"),
        ({"inner": {"size": 1.5}}, "inner.size: Input should be a valid integer"),
    ],
)
def test_the_first_problem_names_the_setting(settings, message):
    told = problem(**settings)
    assert told.startswith(message)
    assert "\n" not in told


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Outer().scale = 2.0
