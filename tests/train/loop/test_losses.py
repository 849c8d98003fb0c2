import numpy as np
import pytest
import torch
from torch import nn

from flexclim.models.channels import Target
from flexclim.nn.diffusion import Diffusion
from flexclim.sampling.local_scaling import fill_missing, nearest_known
from flexclim.train.loop import learner, losses
from flexclim.train.loop.crps import fair_crps
from flexclim.train.loop.losses import (
    DenoisingLoss,
    EnsembleLoss,
    ring_power,
    sample_members,
    spectral_loss,
)


def test_a_zero_output_leaves_the_target(network):
    for weights in network.decoder.final_layer.parameters():
        torch.nn.init.zeros_(weights)
    inputs, residual, noise = torch.randn(3, 3, 16, 16), *torch.randn(2, 3, 2, 16, 16)
    t = torch.tensor([0.2, 0.5, 0.9])
    diffusion = Diffusion()
    loss = DenoisingLoss(network, diffusion)(inputs, residual, torch.zeros(3, 1), noise, t)
    alpha, sigma = diffusion.alpha_sigma(t, residual)
    torch.testing.assert_close(loss, (alpha * noise - sigma * residual).square().mean())


def test_members_of_several_targets(network):
    inputs, noise = torch.randn(2, 3, 16, 16), torch.randn(2, 4, 2, 16, 16)
    label = torch.zeros(2, 1)
    members, first = sample_members(network, Diffusion(), inputs, label, noise, 2, "euler")
    assert members.shape == first.shape == noise.shape
    alone, _ = sample_members(
        network, Diffusion(), inputs[1:], label[1:], noise[1:, 2:3], 2, "euler"
    )
    torch.testing.assert_close(members[1:, 2:3], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{}, {"spectrum": 0.1}, {"texture": 1.0, "amplitude": 0.3}, {"one_step": 1.0}]
)
def test_the_sampler_learns_end_to_end(network, more):
    loss = EnsembleLoss(
        network, Diffusion(), steps=2, method="euler", gradient=0.5, mean=0.5, **more
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    inputs, noise = torch.randn(4, 3, 16, 16), torch.randn(4, 1, 3, 2, 16, 16)
    values = []
    for _ in range(6):
        value = loss(inputs, inputs[:, :2] / 2, torch.zeros(4, 1), noise, torch.zeros(4))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.8 * values[0]


def test_power_of_a_wave_lies_in_its_ring():
    x = torch.arange(32) / 32
    wave = torch.sin(2 * torch.pi * 6 * x).expand(1, 32, 32)
    power = ring_power(wave)[0]
    assert int(power.argmax()) == 5
    assert ring_power(torch.zeros(2, 3, 16, 32)).shape == (2, 3, 8)
    torch.testing.assert_close(ring_power(2 * wave)[0], 4 * power)


def test_spectral_loss_is_zero_for_the_same_power():
    truth = torch.randn(2, 1, 16, 16)
    assert float(spectral_loss(truth[:, None].expand(2, 3, 1, 16, 16), truth)) < 1e-8
    # Ten times the amplitude: 20 dB, so 2 in units of 10 dB.
    assert float(spectral_loss(10 * truth[:, None], truth)) == pytest.approx(4, rel=1e-4)


class Answer(nn.Module):
    """A network that says what it was given to say."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def encode(self, task, inputs, label):
        return None

    def forward(self, noisy, t, features, label):
        assert noisy.isfinite().all()
        return self.output


def denoising(output, residual, noise, t):
    return DenoisingLoss(Answer(output), Diffusion())(residual, residual, t[:, None], noise, t)


def test_an_unknown_residual_costs_nothing(known):
    output, noise, truth = torch.randn(3, 2, 2, 16, 16)
    t = torch.tensor([0.3, 0.8])
    residual = truth.where(known, torch.nan)
    found = denoising(output, residual, noise, t)
    alpha, sigma = Diffusion().alpha_sigma(t, truth)
    errors = (output - (alpha * noise - sigma * truth)).square()
    torch.testing.assert_close(found, errors[known].sum() / known.numel())
    other = output.where(known, torch.randn(output.shape))
    assert torch.equal(found, denoising(other, residual, noise, t))


def test_members_count_as_right_where_truth_is_unknown(known, monkeypatch):
    members, first = torch.randn(2, 2, 3, 2, 16, 16)
    truth = torch.randn(2, 2, 16, 16)
    residual = truth.where(known, torch.nan)

    def loss(members, first, **weights):
        monkeypatch.setattr(losses, "sample_members", lambda *_: (members, first))
        weights = {"gradient": 0.0, "mean": 0.0, "spectrum": 0.0} | weights
        ensemble = EnsembleLoss(Answer(None), Diffusion(), steps=1, method="euler", **weights)
        return ensemble(residual, residual, torch.zeros(2, 1), members[:, None], torch.zeros(2))

    cells = known[:, None]
    whole = fair_crps(members.where(cells, truth[:, None]), truth[:, None])
    torch.testing.assert_close(loss(members, first), whole)
    squared = (first - truth[:, None]).square().where(cells, 0.0).mean()
    torch.testing.assert_close(loss(members, first, mean=1.0), whole + squared)
    estimates = fair_crps(first.where(cells, truth[:, None]), truth[:, None])
    torch.testing.assert_close(loss(members, first, one_step=0.5), whole + estimates / 2)
    weights = {"gradient": 0.5, "mean": 0.5, "spectrum": 0.1}
    found = loss(members, first, **weights)
    assert found.isfinite()
    others = (part.where(cells, torch.randn(part.shape)) for part in (members, first))
    assert torch.equal(found, loss(*others, **weights))


@pytest.mark.parametrize("lowest", [None, torch.tensor([-0.5, -torch.inf])])
def test_a_roll_out_goes_on_from_each_member(monkeypatch, lowest):
    """The last step is judged, with gradients; those before have none, and may not go too low."""
    asked = []
    made = [torch.randn(2, 3, 2, 16, 16), *torch.randn(2, 6, 1, 2, 16, 16)]
    made[2].requires_grad_()

    def sample(network, diffusion, inputs, label, noise, *_):
        asked.append((inputs, label, noise, torch.is_grad_enabled()))
        return made[len(asked) - 1], 2 * made[len(asked) - 1]

    monkeypatch.setattr(losses, "sample_members", sample)
    weights = {"gradient": 0.0, "mean": 0.5}
    weights |= {"past": 2, "lowest": lowest}
    ensemble = EnsembleLoss(Answer(None), Diffusion(), steps=1, method="euler", **weights)
    inputs, later = (torch.randn(2, n, 16, 16) for n in (5, 2))
    label, noise, scale = torch.randn(2, 1), torch.randn(2, 3, 3, 2, 16, 16), torch.rand(2, 2)
    unit = scale[:, None, :, None, None]

    def allowed(change, last):
        return change if lowest is None else change.maximum((lowest[:, None, None] - last) / unit)

    statics, labels = torch.randn(2, 2, 1, 16, 16), torch.randn(2, 2, 1)
    places = torch.arange(256).reshape(16, 16).expand(2, 2, 16, 16)
    ahead = None, None, statics, labels, places
    found = ensemble(inputs, later, label, noise, torch.zeros(2), "forecast", scale, *ahead)
    first, second, third = (one.reshape(2, 3, 2, 16, 16) for one in made)
    first = allowed(first, inputs[:, None, 2:4])
    last = inputs[:, None, 2:4] + unit * first
    second = allowed(second, last)
    then = last + unit * second
    assert lowest is None or (last[:, :, 0].isclose(lowest[0])).any()
    ends, wanted = first + second + third, later[:, None]
    estimate = first + second + 2 * third
    expected = fair_crps(ends, wanted) + 0.5 * (estimate - wanted).square().mean()
    torch.testing.assert_close(found, expected)
    assert [grad for *_, grad in asked] == [False, False, True]
    for n, (_, told, drawn, _) in enumerate(asked):
        assert torch.equal(drawn.reshape(2, 3, 2, 16, 16), noise[:, n])
        assert torch.equal(told, label if n == 0 else labels[:, n - 1].repeat_interleave(3, 0))
    own = asked[2][0].reshape(2, 3, 5, 16, 16)
    torch.testing.assert_close(own[:, :, :2], last)
    torch.testing.assert_close(own[:, :, 2:4], then)
    assert torch.equal(own[1, 2, 4], statics[1, 1, 0])


def test_a_roll_out_fills_gaps_as_a_forecast_does():
    """Whatever the network returned there: it was not trained on it."""
    field = np.random.default_rng(0).normal(size=(2, 2, 8, 8))
    field[0, 0, 2:5, 3] = field[1, 1, 7, 7] = np.nan
    last, change = (torch.from_numpy(x) for x in (fill_missing(field), np.ones((2, 2, 8, 8))))
    change[0, 0, 3, 3] = 9.0
    nearest = torch.from_numpy(nearest_known(field))
    found, _ = losses.rolled(last, change, torch.ones(2, 2), past=1, nearest=nearest)
    filled = fill_missing(np.where(np.isnan(field), np.nan, field + 1))
    np.testing.assert_allclose(found, filled)
    everywhere = nearest_known(np.full((1, 2, 2), np.nan))
    np.testing.assert_array_equal(everywhere, [[[0, 1], [2, 3]]])


def test_a_roll_out_of_rain_stays_at_or_above_zero():
    """The first channel may not fall below -0.5, which stands for no rain; the second may."""
    inputs, change = torch.randn(3, 5, 8, 8).abs() - 0.5, torch.randn(3, 2, 8, 8)
    scale, last = torch.full((3, 2), 2.0), inputs[:, 2:4]
    lowest = torch.tensor([-0.5, -torch.inf])
    found, made = losses.rolled(inputs, change, scale, past=2, lowest=lowest)
    wanted = last + 2 * change
    wanted[:, 0].clamp_(min=-0.5)
    assert (wanted[:, 0] == -0.5).any()
    assert (wanted[:, 1] < -0.5).any()
    torch.testing.assert_close(found[:, 2:4], wanted)
    torch.testing.assert_close(last + 2 * made, wanted)
    rain = Target(name="rain", mean=1, std=2, non_negative=True)
    assert lowest.equal(learner.lowest([rain, Target(name="wind")]))


def test_the_spectrum_of_nothing_known_costs_nothing():
    assert float(spectral_loss(torch.zeros(2, 3, 1, 16, 16), torch.zeros(2, 1, 16, 16))) == 0
