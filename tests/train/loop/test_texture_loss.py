import pytest
import torch
from scipy.fft import dctn

from flexclim.train.loop.crps import fair_crps
from flexclim.train.loop.texture_loss import (
    amplitude_loss,
    cosine_coefficients,
    local_amplitudes,
    texture_loss,
)


def smooth(fields):
    """Average 3 x 3 cells, at unit variance."""
    return torch.nn.functional.avg_pool2d(fields, 3, 1, 1) * 3


@pytest.fixture
def fields():
    torch.manual_seed(0)
    return torch.randn(6, 5, 1, 32, 32)


def test_coefficients_equal_those_of_scipy():
    field = torch.randn(2, 9, 11)
    found = cosine_coefficients(field, 4, 1)
    assert found.shape == (2, 16, 6, 8)
    window = dctn(field[1, 3:7, 5:9].numpy(), norm="ortho")
    torch.testing.assert_close(found[1, :, 3, 5], torch.from_numpy(window.ravel()))


def test_local_amplitudes_by_hand():
    rows = torch.arange(16.0).expand(16, 16)  # increases by 1 along x
    field, y, x = local_amplitudes(rows[None])
    assert field[0, 0, 0] == pytest.approx(float(torch.arange(8.0).square().mean().sqrt()))
    assert float(y.max()) == pytest.approx(1e-3)  # the square root of what keeps it finite
    torch.testing.assert_close(x, torch.ones_like(x))


def test_texture_tells_speckle_from_weather(fields):
    """Smooth and white members have the same margins, so that their CRPS is the same."""
    truth = smooth(fields[:, 0])[:, None]
    white, like = fields[:, 1:], smooth(fields[:, 1:].flatten(0, 1)).unflatten(0, (6, 4))
    assert fair_crps(white, truth) == pytest.approx(float(fair_crps(like, truth)), rel=0.1)
    assert texture_loss(like, truth) < 0.8 * texture_loss(white, truth)


def test_amplitude_tells_intermittent_fields(fields):
    strong = torch.where(torch.rand(6, 5, 1, 4, 4) < 0.2, 2.0, 0.4).repeat_interleave(8, -1)
    fields, strong = fields, strong.repeat_interleave(8, -2)
    truth = (fields * strong)[:, :1]
    like, steady = (fields * strong)[:, 1:], fields[:, 1:] * strong.square().mean().sqrt()
    assert amplitude_loss(like, truth) < 0.9 * amplitude_loss(steady, truth)


@pytest.mark.parametrize("loss", [texture_loss, amplitude_loss])
def test_gradients_are_finite_where_a_field_is_constant(loss, fields):
    members = torch.zeros_like(fields).requires_grad_()
    loss(members, torch.zeros_like(fields[:, :1])).backward()
    assert members.grad.isfinite().all()
