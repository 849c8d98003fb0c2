import numpy as np
import pytest

from flexclim.nn.keyed_noise import NoiseKey, standard_normal


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_a_device_makes_the_same_numbers(device):
    import torch

    from flexclim.nn.device_noise import device_normal

    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    key = NoiseKey(seed=3, variable="u10", place="2018-09-14T18:00:00")
    expected = np.stack([standard_normal((40, 70), key, m, (1000, 13)) for m in (5, 2)])
    made = device_normal((40, 70), key, (5, 2), (1000, 13), device=torch.device(device))
    found = made.cpu().numpy()
    np.testing.assert_allclose(found, expected, rtol=3e-7, atol=1e-7)
    assert (found == expected).mean() > 0.99
    assert found.dtype == expected.dtype
