"""What a channel or a part of the label counts for."""

import pytest
from pydantic import ValidationError

from flexclim.models.channels import Label, Static, Variable, is_optional


@pytest.mark.parametrize(
    ("name", "channels", "timely", "computed"),
    [
        ("orog", 1, False, False),
        ("latitude", 1, False, True),
        ("day_of_year", 2, True, True),
        ("solar_time", 2, True, True),
    ],
)
def test_static_predictors(name, channels, timely, computed):
    static = Static(name=name)
    assert (static.channels, static.timely, static.computed) == (channels, timely, computed)


@pytest.mark.parametrize(
    ("label", "size", "coordinate"),
    [
        (Label(name="factor"), 1, False),
        (Label(name="lead"), 1, False),
        (Label(name="day_of_year"), 2, False),
        (Label(name="variable", values=("u10", "v10", "t2m")), 3, False),
        (Label(name="reynolds", logarithm=True), 1, True),
    ],
)
def test_labels(label, size, coordinate):
    assert (label.size, label.coordinate) == (size, coordinate)


def test_a_label_that_may_be_left_out_says_so():
    factor, given = Label(name="factor"), Label(name="given")
    assert is_optional((factor, given))
    assert not is_optional((factor,))


@pytest.mark.parametrize(
    "settings",
    [
        {"name": ""},
        {"name": "u10", "transform": "exp"},
        {"name": "u10", "unit": 0.0},
        {"name": "u10", "mean": float("nan")},
        {"name": "u10", "men": 1.0},
    ],
)
def test_settings_of_a_variable_are_strict(settings):
    with pytest.raises(ValidationError):
        Variable(**settings)
