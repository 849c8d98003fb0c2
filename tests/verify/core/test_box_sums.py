import numpy as np
import pytest

from flexclim.verify.core.box_sums import box_sum, local_mean


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_sums_and_means_equal_brute_force(size, wrap):
    field = np.random.default_rng(0).normal(280, 1, size=(6, 7))
    holes = field.copy()
    holes[1:4, 2:6] = np.nan
    reach = size // 2
    for row, column in np.ndindex(field.shape):
        rows = [r for r in range(row - reach, row + reach + 1) if 0 <= r < 6]
        columns = range(column - reach, column + reach + 1)
        columns = [c % 7 for c in columns] if wrap else [c for c in columns if 0 <= c < 7]
        window = np.ix_(rows, columns)
        total = box_sum(field, size, wrap)[row, column]
        assert total == pytest.approx(field[window].sum(), rel=1e-12)
        mean = local_mean(holes, size, wrap)[row, column]
        if np.isnan(holes[window]).all():
            assert np.isnan(mean)
        else:
            assert mean == pytest.approx(np.nanmean(holes[window]), rel=1e-12)
