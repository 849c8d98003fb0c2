import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexclim.grids.domain import Domain
from flexclim.grids.operators import ALL
from flexclim.models.settings import SCALING_REACH as REACH
from flexclim.sampling.local_scaling import fill_missing, scale_locally

DOMAIN = Domain(shape=(20, 36), wrap=True)


@pytest.fixture
def field():
    return np.random.default_rng(0).normal(size=DOMAIN.shape).cumsum(1).cumsum(0)


@given(gain=st.floats(1e-4, 1e4), offset=st.floats(-100, 100))
def test_inputs_do_not_depend_on_units(gain, offset):
    field = np.random.default_rng(0).normal(size=DOMAIN.shape)
    plain = scale_locally(field, DOMAIN, 4)(ALL)
    changed = scale_locally(gain * field + gain * offset, DOMAIN, 4)(ALL)
    np.testing.assert_allclose(changed.inputs, plain.inputs, atol=1e-3)
    np.testing.assert_allclose(changed.amplitude, gain * plain.amplitude, rtol=1e-6)


def test_scaling_is_local():
    """A window with REACH cells around it is scaled as the whole is."""
    domain = Domain(shape=(20, 80))
    field = np.random.default_rng(0).normal(size=domain.shape)
    whole = scale_locally(field, domain, 2)(ALL)
    part = scale_locally(
        field[:, 20 - REACH : 60 + REACH],
        Domain(shape=(20, 40 + 2 * REACH)),
        2,
    )(ALL)
    cut = slice(2 * REACH, 2 * (REACH + 40))
    np.testing.assert_allclose(part.inputs[:, cut], whole.inputs[:, 40:120], atol=1e-5)
    np.testing.assert_allclose(part.amplitude[:, cut], whole.amplitude[:, 40:120])


def test_rolling_a_global_field_rolls_the_result(field):
    rolled = scale_locally(np.roll(field, 5, axis=1), DOMAIN, 4)(ALL)
    np.testing.assert_allclose(
        rolled.inputs, np.roll(scale_locally(field, DOMAIN, 4)(ALL).inputs, 20, axis=1)
    )


@pytest.mark.parametrize("value", [0.0, 101325.0, -3e-7])
def test_a_constant_field_has_no_amplitude(value):
    scaled = scale_locally(np.full(DOMAIN.shape, value), DOMAIN, 4)(ALL)
    assert (scaled.amplitude == 0).all()
    assert (scaled.inputs == 0).all()


def test_missing_values_take_the_nearest():
    field = np.array([[[1.0, np.nan, np.nan, 4.0]], [[np.nan] * 4]])
    filled = fill_missing(field)
    np.testing.assert_array_equal(filled, [[[1, 1, 4, 4]], [[0, 0, 0, 0]]])
    assert np.isnan(field).sum() == 6
