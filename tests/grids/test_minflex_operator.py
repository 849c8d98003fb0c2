"""minFLEX's interpolation, against torch's interpolation."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from flexclim.grids.minflex_operator import minflex_interpolator
from flexclim.grids.operators import ALL


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (6, 3), (16, 32)])
def test_interpolation_is_that_of_torch(shape, factor):
    coarse = np.random.default_rng(0).normal(size=(2, 3, *shape))
    expected = F.interpolate(
        torch.from_numpy(coarse), scale_factor=factor, mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(minflex_interpolator(coarse, factor)(ALL), expected, atol=1e-12)
    single = minflex_interpolator(coarse.astype("float32"), factor)(ALL)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=1e-6)


def test_it_shifts_a_field_by_half_a_block():
    slope = np.arange(32.0)[None].repeat(32, 0)
    found = minflex_interpolator(slope[:, ::4][::4], 4)(ALL)
    np.testing.assert_allclose(slope[:, 2:-2] - found[:, 2:-2], 1.5)
