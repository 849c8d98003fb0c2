import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexclim.nn.keyed_noise import (
    NoiseKey,
    Persistence,
    correlated_normal,
    philox,
    standard_normal,
)

KEY = NoiseKey(seed=1, variable="u10", place="2018-09-14T18:00:00.000000")


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        (0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (0xFFFFFFFF, 0xFFFFFFFF, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ],
)
def test_philox_known_answers(counter, key, expected):
    """Known answers of Random123's Philox4x32-10."""
    words = philox([np.full(1, counter, np.uint64)] * 4, (key, key))
    assert " ".join(f"{int(word[0]):08x}" for word in words) == expected


def test_normal_statistics():
    z = standard_normal((512, 512), KEY, 0).astype(float)
    assert abs(z.mean()) < 0.01
    assert abs(z.var() - 1) < 0.01
    assert abs((z**4).mean() - 3) < 0.05
    power = np.abs(np.fft.fft2(z)) ** 2 / z.size
    assert abs(power[1:200, 1:200].mean() - 1) < 0.02
    for axis in (0, 1):
        for lag in (1, 2, 3, 4):
            assert abs((z * np.roll(z, lag, axis)).mean()) < 0.01


@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_a_smaller_field_is_part_of_a_larger_one(height, width):
    whole = standard_normal((40, 40), KEY, 3)
    assert (standard_normal((height, width), KEY, 3) == whole[:height, :width]).all()


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"variable": "v10"},
        {"place": "2018-09-15T00:00:00.000000"},
        {"draw": 1},
    ],
)
def test_everything_in_the_key_counts(other):
    changed = NoiseKey(**(vars(KEY) | other))
    product = standard_normal((256, 256), KEY, 0) * standard_normal((256, 256), changed, 0)
    assert abs(product.mean()) < 0.02


def test_members_are_independent():
    product = standard_normal((256, 256), KEY, 0) * standard_normal((256, 256), KEY, 1)
    assert abs(product.mean()) < 0.02


def test_correlation_in_time():
    key = NoiseKey(seed=0, variable="u10", place="")
    hour, decay = 3600.0, Persistence(seconds=6 * 3600.0)
    start = correlated_normal((256, 256), key, 0, 0.0, decay)
    assert abs(start.var() - 1) < 0.02
    for lag in (3, 6, 12, 24):
        later = correlated_normal((256, 256), key, 0, lag * hour, decay)
        assert abs((start * later).mean() - np.exp(-lag / 6)) < 0.04


def test_shares_of_the_variance_persist_decay_and_recur():
    key = NoiseKey(seed=0, variable="u10", place="level 3")
    hour = 3600.0
    mixed = Persistence(seconds=6 * hour, constant=0.2, lasting=0.4, daily=0.1)
    start = correlated_normal((256, 256), key, 0, 7 * hour, mixed)
    assert abs(start.var() - 1) < 0.03
    for axis in (0, 1):  # white within one time
        assert abs((start * np.roll(start, 1, axis)).mean()) < 0.02
    for lag in (1, 6, 12, 24, 48):
        later = correlated_normal((256, 256), key, 0, (7 + lag) * hour, mixed)
        expected = 0.2 + 0.4 * np.exp(-lag / 6) + 0.1 * np.cos(2 * np.pi * lag / 24)
        assert abs((start * later).mean() - expected) < 0.03
    part = correlated_normal((9, 7), key, 0, 7 * hour, mixed, (20, 31))
    np.testing.assert_array_equal(part, start[20:29, 31:38])


@pytest.mark.parametrize(
    ("shares", "key"),
    [({"constant": 1.0, "lasting": 0.0}, "level 3"), ({"lasting": 0.0}, "level 3@3600.0s")],
)
def test_all_of_one_share_is_noise_of_one_key(shares, key):
    place = NoiseKey(seed=0, variable="u10", place="level 3")
    found = correlated_normal((6, 8), place, 2, 3600.0, Persistence(seconds=60.0, **shares))
    expected = standard_normal((6, 8), NoiseKey(seed=0, variable="u10", place=key), 2)
    np.testing.assert_array_equal(found, expected)


def test_a_part_of_a_field_has_its_numbers():
    key = NoiseKey(seed=3, variable="u10", place="2018-09-14T18:00:00")
    whole = standard_normal((30, 50), key, 1)
    part = standard_normal((7, 9), key, 1, (20, 31))
    np.testing.assert_array_equal(part, whole[20:27, 31:40])
