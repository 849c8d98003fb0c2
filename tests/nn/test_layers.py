"""Layers: the same numbers in training and inference."""

import pytest
import torch
from small_networks import inputs, make, predict

from flexclim.nn.layers import GroupNorm


def test_both_ways_to_normalise_groups_agree():
    norm, x = GroupNorm(32, 128), 5 + 3 * torch.randn(2, 128, 6, 10)
    for weights in norm.parameters():
        torch.nn.init.normal_(weights)
    torch.testing.assert_close(norm.by_channel(x), norm(x), atol=1e-5, rtol=1e-5)
    rough = norm.bfloat16()(x.bfloat16())
    torch.testing.assert_close(norm.by_channel(x.bfloat16()), rough, atol=0.05, rtol=0.02)


@pytest.mark.parametrize("side", [8, 32])
def test_small_maps_in_bf16_are_normalised_in_float32(side):
    """Only the result is rounded; the layout stays channels last."""
    norm, x = GroupNorm(32, 96), (5 + 3 * torch.randn(2, 96, side, side)).bfloat16()
    x = x.contiguous(memory_format=torch.channels_last)
    for weights in norm.bfloat16().parameters():
        torch.nn.init.normal_(weights)
    with torch.inference_mode():
        found = norm(x)
    exact = torch.nn.functional.group_norm(x.double(), 32, *(w.double() for w in norm.parameters()))
    assert found.is_contiguous(memory_format=torch.channels_last)
    half_a_digit = 2**-8 * exact.abs() + 1e-6
    assert (found.double() - exact).abs().le(half_a_digit * (1 if side == 8 else 8)).all()


def test_small_maps_in_float64_are_normalised_in_float64():
    norm, x = GroupNorm(4, 16).double(), torch.randn(1, 16, 8, 8).double()
    with torch.inference_mode():
        found = norm(x.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(found, norm(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_inference_reuses_memory_for_the_same_numbers(precision):
    network = make().requires_grad_(True)
    x, t, condition, label = inputs(network)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        trained = predict(network, x, t, condition, label)
        with torch.inference_mode():
            found = predict(network, x, t, condition, label)
    assert trained.requires_grad
    assert torch.equal(found, trained)
