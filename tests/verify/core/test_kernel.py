import numpy as np
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from flexclim import verify
from flexclim.verify.core import kernel


def test_float32_pressure_keeps_its_digits():
    rng = np.random.default_rng(5)
    anomaly = rng.integers(-64, 64, size=(9, 500)) / 8
    wide = xr.DataArray(101325.0 + anomaly, dims=["member", "point"])
    truth = xr.DataArray(101325.0 + rng.integers(-64, 64, size=500) / 8, dims=["point"])
    exact = verify.crps(wide - 101325.0, truth - 101325.0)
    narrow = verify.crps(wide.astype(np.float32), truth.astype(np.float32))
    np.testing.assert_allclose(narrow, exact, rtol=1e-13)
    spread = verify.spread(wide.astype(np.float32), truth.astype(np.float32))
    np.testing.assert_allclose(spread, verify.spread(wide - 101325.0, truth * 0), rtol=1e-12)


def test_statistics_by_hand():
    members = np.array([[1.0, 2.0], [4.0, 2.0]])
    names = ["error", "variance", "skill", "dispersion", "pull", "certain"]
    found, known = kernel.point_statistics(members, np.array([2.0, np.nan]), names)
    expected = [0.5, 4.5, 1.5, 3.0, -0.5 / 4.5**0.5, 0.0]
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-15)
    assert (found[:, 1] == 0).all()
    assert known.tolist() == [True, False]


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    limit=st.integers(1, 200),
)
def test_slabs_cover_each_point_once(shape, limit):
    count = np.zeros(shape, int)
    for slab in kernel.slabs(shape, limit):
        assert count[slab].size <= limit
        count[slab] += 1
    assert (count == 1).all()
