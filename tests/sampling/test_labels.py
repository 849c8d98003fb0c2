"""The numbers of a label, worked by hand."""

import numpy as np
import pytest

from flexclim.errors import FlexclimError
from flexclim.models.channels import Label
from flexclim.sampling.labels import label_values

FLOW = Label(name="reynolds", logarithm=True, mean=3.0, std=2.0)


@pytest.mark.parametrize(
    ("part", "known", "expected"),
    [
        (Label(name="factor"), {"factor": 8}, [1]),
        (Label(name="factor"), {}, [0]),
        (Label(name="lead"), {"lead": 3.0}, [-1]),
        (Label(name="variable", values=("u10", "tp")), {"variable": "tp"}, [0, 1]),
        (Label(name="spacing"), {"spacing_km": 300.0}, [1, 1]),
        (Label(name="spacing"), {"spacing_km": np.nan}, [0, 0]),
        (Label(name="component"), {"along": "x"}, [1]),
        (Label(name="component"), {"along": "y"}, [-1]),
        (Label(name="component"), {}, [0]),
        (Label(name="day_of_year"), {}, [0, 0]),
        (FLOW, {"known": {"reynolds": 1e7}}, [2]),
    ],
)
def test_by_hand(part, known, expected):
    found = label_values([part], **known)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected)


def test_the_day_of_year_goes_around():
    part = [Label(name="day_of_year")]
    first, middle, last = (
        label_values(part, when=np.datetime64(day, "ns"))
        for day in ("2019-01-01", "2019-07-02", "2019-12-31T23")
    )
    assert np.abs(first - last).max() < 0.02
    assert np.abs(first - middle).max() > 1
    assert np.hypot(*middle) == pytest.approx(1)


def test_a_label_that_may_lack_is_whole_or_absent():
    optional = [FLOW, Label(name="lead"), Label(name="given")]
    assert label_values(optional, lead=12.0, known={"reynolds": 1e5}).tolist() == [1, 1, 1]
    assert label_values(optional, lead=12.0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("value", [0.0, -3.0, np.inf, np.nan])
def test_coordinates_without_a_logarithm(value):
    with pytest.raises(FlexclimError, match=r"reynolds = .* is not a finite number above 0"):
        label_values([FLOW], known={"reynolds": value})
