import math

import numpy as np
import pytest

from flexclim.cf.physical_bounds import NO_BOUNDS, UNLIMITED, Bounds, infer_bounds

RAIN = Bounds(lower=0.0, negligible=0.01)
CLOUD = Bounds(lower=0.0, upper=1.0, negligible=1e-4)
INF = math.inf


@pytest.mark.parametrize(
    ("bounds", "values", "limits"),
    [
        (NO_BOUNDS, [-5.0, 5.0], UNLIMITED),
        (RAIN, [0.0, 31.0], (0, INF)),
        (RAIN, [-1.0, 31.0], UNLIMITED),  # an anomaly with the names of rain
        (RAIN, [-1e-19, 1e-20], (0, INF)),  # left by packing in a dry field
        (RAIN, [-0.02, 31.0], (0, INF)),  # below a thousandth of the highest value
        (RAIN, [np.nan, 31.0], (0, INF)),
        (RAIN, [np.nan, np.nan], (0, INF)),
        (CLOUD, [0.0, 0.5], (0, 1)),
        (CLOUD, [0.0, 1.25], (0, 1.25)),  # supersaturated
        (CLOUD, [-0.2, 0.2], UNLIMITED),
        (CLOUD, [np.nan, np.nan], (0, 1)),
        (Bounds(lower=0.0, stated=True), [-1.0, 31.0], (0, INF)),
        (Bounds(lower=0.0, upper=1.0, stated=True), [-1.0, 3.0], (0, 3)),
    ],
)
def test_values_decide_whether_a_field_keeps_its_bounds(bounds, values, limits):
    assert bounds.limits(np.array(values)) == limits
    assert bounds.limits(np.array(values, "f4")) == pytest.approx(limits)


def test_a_target_without_a_coarse_field_keeps_its_bounds():
    assert CLOUD.limits(None) == (0, 1)
    assert RAIN.limits(None) == (0, INF)


def test_a_step_of_packed_values_is_negligible():
    bounds = infer_bounds("precipitation_flux", "", "pr", "kg m-2 s-1", step=3e-6)
    assert bounds.limits(np.array([-2e-6, 1e-6])) == (0, INF)
    assert bounds.limits(np.array([-5e-6, 1e-6])) == UNLIMITED


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (NO_BOUNDS, ""),
        (RAIN, "at least 0, except in fields whose input falls below"),
        (CLOUD, "0 to 1, except in fields whose input lies beyond"),
        (Bounds(lower=0.0, stated=True), "at least 0"),
        (
            Bounds(lower=0.0, upper=100.0, stated=True),
            "0 to 100, except in fields whose input exceeds it",
        ),
    ],
)
def test_rules_are_put_into_words(bounds, text):
    assert bounds.describe() == text
