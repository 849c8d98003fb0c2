"""What a network sees: worked by hand, and the same for training and for sampling."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexclim.grids.domain import Domain
from flexclim.grids.operators import ALL
from flexclim.models.channels import Target, Variable
from flexclim.models.settings import SCALING_REACH as REACH
from flexclim.sampling.local_scaling import scale_locally
from flexclim.sampling.network_inputs import (
    downscaling_inputs,
    physical,
    residual,
    transform,
    untransform,
)

GLOBE = Domain(shape=(12, 24), wrap=True, north="pole_edge", south="pole_edge")
RAIN = {"transform": "log1p", "unit": 0.1}


def settings(inputs, targets, scaling="fixed", residual_scale=None, operator="block_mean"):
    """Settings as downscaling_inputs() uses them; it asks for no network."""
    scales = residual_scale or (1.0,) * len(targets)
    return SimpleNamespace(
        perfect_prognosis=False,
        inputs=inputs,
        targets=targets,
        scaling=scaling,
        operator=operator,
        residual_scale={4: scales, 2: scales},
    )


def wind_and_rain(scaling, **changes):
    inputs = (Variable(name="u", vector=True, std=2.0), Variable(name="tp", mean=0.5, **RAIN))
    targets = (Target(name="u", base="u", vector=True), Target(name="tp", base="tp", **RAIN))
    return settings(inputs, targets, scaling, (0.7, 0.9), **changes)


@pytest.fixture
def coarse():
    values = np.random.default_rng(0).normal(size=(2, *GLOBE.shape))
    return np.stack([values[0], np.maximum(values[1], 0)])


@given(
    value=st.floats(-1e6, 1e6),
    kind=st.sampled_from(["none", "log1p", "sqrt"]),
    unit=st.floats(1e-3, 1e3),
)
def test_a_transform_is_odd_and_has_an_inverse(value, kind, unit):
    variable = Variable(name="x", transform=kind, unit=unit)
    seen = transform(np.array([value, -value]), variable)
    assert seen[0] == -seen[1]
    np.testing.assert_allclose(untransform(seen, variable), [value, -value], rtol=1e-9, atol=1e-12)


def test_transforms_by_hand():
    values = np.array([0.0, 0.1, 0.3])
    np.testing.assert_allclose(
        transform(values, Variable(name="tp", **RAIN)), np.log([1.0, 2.0, 4.0])
    )
    np.testing.assert_allclose(
        transform(values, Variable(name="tp", transform="sqrt", unit=0.1)), [0, 1, np.sqrt(3)]
    )


def test_fixed_scaling_by_hand():
    domain = Domain(shape=(4, 5))
    model = settings(
        (Variable(name="t", mean=270.0, std=5.0),),
        (Target(name="t", base="t"), Target(name="q", mean=3.0)),
        residual_scale=(0.5, 0.25),
    )
    scaled = downscaling_inputs(np.full((1, 4, 5), 280.0), domain, 4, model)(ALL)
    np.testing.assert_allclose(scaled.inputs, np.full((1, 16, 20), 2.0), rtol=1e-6)
    np.testing.assert_allclose(scaled.base[:, 3, 3], [280, 3])
    np.testing.assert_allclose(scaled.amplitude[:, 3, 3], [0.5, 0.25])
    assert scaled.inputs.dtype == np.float32
    fine = physical(scaled, np.ones((6, 2, 16, 20)), model.targets)
    np.testing.assert_allclose(fine[:, :, 0, 0], [[280.5, 3.25]] * 6)


def test_any_variable_is_scaled_as_ever(coarse):
    one = Target(name="any", base="any", vector=True)
    scaled = downscaling_inputs(coarse[:1], GLOBE, 4, settings((one,), (one,), "local", (0.9,)))(
        ALL
    )
    known = scale_locally(coarse[0], GLOBE, 4, vector=True)(ALL)
    np.testing.assert_array_equal(scaled.inputs[0], known.inputs)
    np.testing.assert_array_equal(scaled.base[0], known.base)
    np.testing.assert_array_equal(scaled.amplitude[0], known.amplitude * 0.9)


def test_static_channels_come_last(coarse):
    statics = np.random.default_rng(1).normal(size=(3, 48, 96)).astype("float32")
    plain = downscaling_inputs(coarse, GLOBE, 4, wind_and_rain("local"))(ALL)
    scaled = downscaling_inputs(coarse, GLOBE, 4, wind_and_rain("local"), statics)(ALL)
    np.testing.assert_array_equal(scaled.inputs[:2], plain.inputs)
    np.testing.assert_array_equal(scaled.inputs[2:], statics)


@pytest.mark.parametrize("scaling", ["local", "fixed"])
def test_what_training_asks_for_is_what_sampling_adds(coarse, scaling):
    model = wind_and_rain(scaling)
    scaled = downscaling_inputs(coarse, GLOBE, 4, model)(ALL)
    fine = np.random.default_rng(2).normal(size=(2, 48, 96))
    fine[1] = np.maximum(fine[1], 0)
    fine[1, 3, 4] = np.nan
    asked = residual(scaled, fine, model.targets)
    unknown = np.isnan(fine) | (scaled.amplitude == 0)
    np.testing.assert_array_equal(np.isnan(asked), unknown)
    made = physical(scaled, np.where(unknown, 0, asked), model.targets)
    np.testing.assert_allclose(made[~unknown], fine[~unknown], atol=1e-9)


@pytest.mark.parametrize("scaling", ["local", "fixed"])
def test_bands_of_rows_are_those_of_the_whole(coarse, scaling):
    statics = np.random.default_rng(1).normal(size=(1, 48, 96)).astype("float32")
    whole = downscaling_inputs(coarse, GLOBE, 4, wind_and_rain(scaling), statics)(ALL)
    for rows in (slice(0, 21), slice(21, 48)):
        part = downscaling_inputs(coarse, GLOBE, 4, wind_and_rain(scaling), statics)(rows)
        for name in ("base", "inputs", "amplitude"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:, rows])


@pytest.mark.parametrize("scaling", ["local", "fixed"])
def test_a_window_is_seen_as_within_the_whole(scaling):
    """Training cuts windows with REACH coarse cells around them; sampling sees whole fields."""
    model = wind_and_rain(scaling)
    domain = Domain(shape=(60, 70))
    values = np.random.default_rng(0).normal(size=(2, *domain.shape)).cumsum(-1)
    values[1] = np.maximum(values[1], 0)
    statics = np.random.default_rng(1).normal(size=(1, 120, 140)).astype("float32")
    whole = downscaling_inputs(values, domain, 2, model, statics)(ALL)
    rows, columns = slice(20, 36), slice(24, 40)
    around = [slice(part.start - REACH, part.stop + REACH) for part in (rows, columns)]
    fine = [slice(2 * part.start, 2 * part.stop) for part in around]
    window = Domain(shape=tuple(part.stop - part.start for part in around))
    part = downscaling_inputs(values[:, *around], window, 2, model, statics[:, *fine])(ALL)
    inner = (
        slice(None),
        slice(2 * REACH, -2 * REACH),
        slice(2 * REACH, -2 * REACH),
    )
    place = (slice(None), slice(40, 72), slice(48, 80))
    for name in ("base", "inputs", "amplitude"):
        np.testing.assert_allclose(
            getattr(part, name)[inner], getattr(whole, name)[place], atol=1e-5, err_msg=name
        )


@pytest.mark.parametrize("scaling", ["local", "fixed"])
def test_turning_the_globe_turns_what_is_seen(coarse, scaling):
    model = wind_and_rain(scaling)
    scaled, turned = (
        downscaling_inputs(x, GLOBE, 4, model)(ALL) for x in (coarse, np.roll(coarse, 7, -1))
    )
    for name in ("base", "inputs", "amplitude"):
        np.testing.assert_allclose(
            getattr(turned, name), np.roll(getattr(scaled, name), 28, -1), atol=1e-6
        )


@pytest.mark.parametrize("scaling", ["local", "fixed"])
def test_turning_the_sign_of_a_component_turns_what_is_seen_of_it(coarse, scaling):
    """So that a window across a pole sees it as it would be seen there."""
    model = wind_and_rain(scaling)
    scaled, other = (
        downscaling_inputs(x, GLOBE, 4, model)(ALL) for x in (coarse, coarse * [[[-1]], [[1]]])
    )
    np.testing.assert_allclose(other.inputs, scaled.inputs * [[[-1]], [[1]]], atol=1e-6)
    np.testing.assert_array_equal(other.amplitude, scaled.amplitude)


def test_minflex_sees_fields_as_they_are(coarse):
    model = settings(
        (Variable(name="a"), Variable(name="b")), (Target(name="a", base="a"),), operator="minflex"
    )
    scaled = downscaling_inputs(coarse, GLOBE, 4, model)(ALL)
    np.testing.assert_array_equal(scaled.inputs[:1], scaled.base.astype("float32"))
    assert (scaled.amplitude == 1).all()
