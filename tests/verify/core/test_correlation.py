import numpy as np
import pytest

from flexclim.verify.core.correlation import correlation


def test_missing_pairs_are_left_out():
    rng = np.random.default_rng(0)
    left, right = rng.normal(300, 1, (2, 5, 40))
    known = rng.random((5, 40)) < 0.7
    found = correlation(np.where(known, left, np.nan), right, known)
    expected = [np.corrcoef(a[k], b[k])[0, 1] for a, b, k in zip(left, right, known, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("values", [[1.0, 2.0, np.nan], [273.16, 273.16, 273.16], [np.nan] * 3])
def test_too_few_or_equal_values_have_no_correlation(values):
    left = np.array(values)
    assert np.isnan(correlation(left, np.arange(3.0), np.isfinite(left)))
