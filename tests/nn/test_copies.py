import numpy as np
import pytest
import torch

from flexclim.nn.copies import to_device, to_host


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_a_copy_comes_back(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    array = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
    there = to_device(array, torch.device(device))
    assert there.device.type == device
    back = to_host(2 * there)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, 2 * array)


def test_nothing_is_copied_on_a_cpu():
    array = np.zeros((2, 2), np.float32)
    assert np.shares_memory(to_host(to_device(array, torch.device("cpu"))), array)
