import pytest
import torch

from flexclim.train.loop.optimizers import Lion, learning_rate, make_optimizer


def test_lion_by_hand():
    weights = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    optimizer = Lion([weights], lr=0.1, betas=(0.9, 0.99), weight_decay=0.5)
    weights.grad = torch.tensor([3.0, -0.2, 0.0])
    optimizer.step()
    # w (1 - 0.1 x 0.5) - 0.1 sign(0.1 g); the momentum is then 0.01 g.
    torch.testing.assert_close(weights.detach(), torch.tensor([0.85, -1.8, 0.475]))
    weights.grad = torch.tensor([-0.2, -0.2, 1.0])
    optimizer.step()
    # First weight: 0.9 x 0.03 + 0.1 x (-0.2) = 0.007 is still above zero.
    torch.testing.assert_close(weights.detach(), torch.tensor([0.7075, -1.61, 0.35125]))
    momentum = optimizer.state[weights]["momentum"]
    expected = 0.99 * torch.tensor([0.03, -0.002, 0.0]) + 0.01 * weights.grad
    torch.testing.assert_close(momentum, expected)


@pytest.mark.parametrize("kind", ["adamw", "lion"])
def test_both_find_a_minimum_and_resume(kind):
    def run(steps, state=None, at=None):
        weights = torch.nn.Parameter(torch.tensor([2.0, -1.0]) if at is None else at.clone())
        optimizer = make_optimizer(kind, [weights], 0.0)
        if state:
            optimizer.load_state_dict(state)
        for group in optimizer.param_groups:
            group["lr"] = 0.02
        for _ in range(steps):
            optimizer.zero_grad()
            (weights - 1).square().sum().backward()
            optimizer.step()
        return weights.detach(), optimizer.state_dict()

    whole, _ = run(200)
    torch.testing.assert_close(whole, torch.ones(2), atol=0.1, rtol=0)
    part, state = run(80)
    assert torch.equal(run(120, state, part)[0], whole)


def test_learning_rate():
    rates = [learning_rate(step, 100, 10, 1.0) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1.0
    assert rates == sorted(rates[:11]) + sorted(rates[11:], reverse=True)
    assert rates[-1] < 0.02
