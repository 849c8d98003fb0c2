"""The diffusion process: schedule, targets and losses."""

import math

import pytest
import torch

from flexclim.nn.diffusion import Diffusion

PREDICTIONS = ["v", "eps", "x"]


def test_schedule_is_that_of_the_reference(expected):
    t = expected["out/schedule/t"]
    diffusion = Diffusion()
    alpha, sigma = diffusion.alpha_sigma(t, t)
    torch.testing.assert_close(alpha, expected["out/schedule/alpha"], atol=1e-5, rtol=0)
    torch.testing.assert_close(sigma, expected["out/schedule/sigma"], atol=1e-5, rtol=0)
    found = diffusion.log_snr(t).float()
    torch.testing.assert_close(found, expected["out/schedule/logsnr"], atol=2e-3, rtol=0)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_absolute_losses_are_those_of_the_reference(imported, expected, prediction):
    weights, network = imported
    diffusion = Diffusion(prediction=prediction, loss="absolute")
    residual, noise = expected["in/hires"] - expected["in/lowres"], expected["in/eps"]
    t, label = expected["in/t"], expected["in/label0"]
    with torch.no_grad():
        features = network.encode("superres", expected["in/lowres"], label)
        output = network(diffusion.diffuse(residual, noise, t), t, features, label)
    found = diffusion.losses(output, residual, noise, t)
    torch.testing.assert_close(
        found, expected[f"out/{weights}/l1loss_{prediction}"], atol=1e-5, rtol=0
    )


def test_schedule_is_an_even_turn():
    t = torch.linspace(0, 1, 9)
    angle = Diffusion().angle(t)
    assert angle.diff().std() < 1e-7
    assert angle[0] == pytest.approx(math.atan(math.exp(-10)), rel=1e-5)
    assert angle[-1] == pytest.approx(math.atan(math.exp(10)), rel=1e-5)


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_shift_moves_the_log_snr(shift):
    t = torch.linspace(0, 1, 9)
    moved = Diffusion(shift=shift).log_snr(t) - Diffusion().log_snr(t)
    torch.testing.assert_close(moved, torch.full_like(moved, -2 * math.log(shift)))
    alpha, sigma = Diffusion(shift=shift).alpha_sigma(t, t.double())
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(9, dtype=torch.float64))
    torch.testing.assert_close((alpha**2 / sigma**2).log(), Diffusion(shift=shift).log_snr(t))


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_right_prediction_costs_nothing_and_gives_the_residual(prediction):
    random = torch.Generator().manual_seed(0)
    residual, noise = torch.randn((2, 3, 2, 4, 4), generator=random, dtype=torch.float64)
    t = torch.tensor([0.1, 0.5, 0.9])
    diffusion = Diffusion(prediction=prediction)
    alpha, sigma = diffusion.alpha_sigma(t, residual)
    output = residual if prediction == "x" else alpha * noise - sigma * residual
    assert diffusion.losses(output, residual, noise, t).max() < 1e-20
    noisy = diffusion.diffuse(residual, noise, t)
    torch.testing.assert_close(diffusion.clean(output, noisy, t), residual)


@pytest.mark.parametrize(("loss", "expected"), [("squared", 5.0), ("absolute", 2.0)])
def test_a_loss_is_the_mean_of_one_sample(loss, expected):
    residual = torch.zeros(2, 1, 1, 2)
    output = torch.tensor([[[[1.0, 3.0]]], [[[0.0, 0.0]]]])
    found = Diffusion(prediction="x", loss=loss).losses(
        output, residual, residual, torch.tensor([0.3, 0.3])
    )
    assert found.tolist() == [expected, 0.0]
