"""The sampler: as published, and against closed forms."""

import math

import pytest
import torch

from flexclim.nn.diffusion import Diffusion
from flexclim.nn.sampler import advance, sample, time_grid

CASES = [("v", 1), ("v", 2), ("v", 3), ("eps", 1), ("eps", 2), ("eps", 3), ("x", 1)]


@pytest.mark.parametrize(("prediction", "steps"), CASES)
def test_samples_are_those_of_the_reference(imported, expected, prediction, steps):
    weights, network = imported
    diffusion = Diffusion(prediction=prediction)
    label = expected["in/label0"]
    with torch.no_grad():
        features = network.encode("superres", expected["in/lowres"], label)

        def estimate(state, time):
            t = state.new_full((state.shape[0],), time)
            return diffusion.clean(network(state, t, features, label), state, t)

        residual = sample(estimate, expected["in/x"], diffusion, time_grid(steps))
    torch.testing.assert_close(
        expected["in/lowres"] + residual,
        expected[f"out/{weights}/sample_{prediction}_{steps}"],
        atol=1e-5,
        rtol=0,
    )


def unpredictable(diffusion):
    """Return the best estimate of a white residual of unit variance: alpha times the state."""

    def estimate(state, time):
        alpha, _ = diffusion.alpha_sigma(torch.tensor([time]), state)
        return alpha * state

    return estimate


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 8, 32])
def test_ddim_shrinks_what_is_unpredictable(steps):
    state = torch.ones(1, 1, dtype=torch.float64)
    diffusion = Diffusion()
    found = sample(unpredictable(diffusion), state, diffusion, time_grid(steps), "ddim")
    assert float(found) == pytest.approx(math.cos(math.pi / 2 / steps) ** steps, abs=1e-4)


@pytest.mark.parametrize("method", ["ddim", "euler"])
def test_one_step_returns_the_estimate(method):
    state, clean = torch.randn(2, 3, 4, 4)
    found = sample(lambda *_: clean, state, Diffusion(), time_grid(1), method)
    assert torch.equal(found, clean)


@pytest.mark.parametrize("steps", [2, 5])
def test_euler_does_not(steps):
    state = torch.ones(1, 1, dtype=torch.float64)
    diffusion = Diffusion()
    found = sample(unpredictable(diffusion), state, diffusion, time_grid(steps), "euler")
    assert float(found) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("steps", [1, 3])
def test_a_known_residual_is_found_in_any_number_of_steps(steps, shift):
    random = torch.Generator().manual_seed(0)
    residual, noise = torch.randn((2, 2, 1, 4, 4), generator=random)
    found = sample(lambda state, time: residual, noise, Diffusion(shift=shift), time_grid(steps))
    assert torch.equal(found, residual)


@pytest.mark.parametrize("method", ["ddim", "euler"])
def test_both_methods_converge_to_the_same_flow(method):
    # A residual of standard deviation s: the flow multiplies the noise by s.
    spread, diffusion = 0.3, Diffusion()

    def estimate(state, time):
        alpha, sigma = diffusion.alpha_sigma(torch.tensor([time]), state)
        return alpha * spread**2 / (alpha**2 * spread**2 + sigma**2) * state

    state = torch.ones(1, 1, dtype=torch.float64)
    found = sample(estimate, state, diffusion, time_grid(500), method)
    assert float(found) == pytest.approx(spread, rel=0.02)


def test_a_step_lands_on_the_mixture_at_its_time():
    diffusion = Diffusion()
    residual, noise = torch.full((1, 1), 2.0), torch.full((1, 1), -1.0)
    state = diffusion.diffuse(residual, noise, torch.tensor([0.75]))
    moved = advance(state, residual, diffusion, 0.75, 0.25, "ddim")
    torch.testing.assert_close(moved, diffusion.diffuse(residual, noise, torch.tensor([0.25])))


def test_time_grid_falls_from_one_to_zero():
    assert time_grid(1) == [1.0, 0.0]
    assert time_grid(4) == [1.0, 0.75, 0.5, 0.25, 0.0]
