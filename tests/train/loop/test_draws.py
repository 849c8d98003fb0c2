import numpy as np
import pytest
import torch

from flexclim.train.loop.draws import draw, draw_amplitudes, key


@pytest.mark.parametrize("sampling", ["uniform", "stratified", "logit_normal"])
def test_draws_belong_to_the_position(sampling):
    whole_noise, whole_t = draw(1, 5, range(8), 8, (2, 4, 4), sampling)
    noise, t = draw(1, 5, range(4, 8), 8, (2, 4, 4), sampling)
    assert torch.equal(whole_noise[4:], noise)
    assert torch.equal(whole_t[4:], t)
    assert not torch.equal(draw(1, 6, range(4, 8), 8, (2, 4, 4), sampling)[0], noise)
    assert 0 <= whole_t.min() <= whole_t.max() <= 1


def test_amplitudes_belong_to_the_position_and_the_factor():
    factors, shape = np.array([2, 4, 8, 4]), (1, 3, 2, 16, 16)
    whole = draw_amplitudes(1, 5, range(4), factors, shape, 0.5)
    part = draw_amplitudes(1, 5, range(1, 3), factors[1:3], shape, 0.5)
    assert whole.shape == (4, 1, 3, 1, 16, 16)
    assert torch.equal(whole[1:3], part)
    change = whole.log().diff(dim=-1).square().mean((1, 2, 3, 4, 5))
    assert change[0] > change[1] > change[2]  # nodes are coarse cells


def test_stratified_times_fill_each_part_once():
    _, t = draw(0, 0, range(16), 16, (1,), "stratified")
    assert (t * 16).long().tolist() == list(range(16))


def test_logit_normal_times_prefer_the_middle():
    _, t = draw(0, 0, range(2000), 2000, (1,), "logit_normal")
    middle = ((t > 0.25) & (t < 0.75)).float().mean()
    # P(|z| < log 3) of a standard normal z.
    assert float(middle) == pytest.approx(0.728, abs=0.03)


def test_keys_differ():
    keys = {key(a, b, c) for a in range(5) for b in range(5) for c in range(5)}
    assert len(keys) == 125
    assert all(0 <= k < 2**63 for k in keys)
