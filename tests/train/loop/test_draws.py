import pytest
import torch

from flexclim.train.loop.draws import draw, key


@pytest.mark.parametrize("sampling", ["uniform", "stratified", "logit_normal"])
def test_draws_belong_to_the_position(sampling):
    whole_noise, whole_t = draw(1, 5, range(8), 8, (2, 4, 4), sampling)
    noise, t = draw(1, 5, range(4, 8), 8, (2, 4, 4), sampling)
    assert torch.equal(whole_noise[4:], noise)
    assert torch.equal(whole_t[4:], t)
    assert not torch.equal(draw(1, 6, range(4, 8), 8, (2, 4, 4), sampling)[0], noise)
    assert 0 <= whole_t.min() <= whole_t.max() <= 1


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
