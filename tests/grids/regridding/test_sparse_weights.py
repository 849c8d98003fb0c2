import numpy as np
import pytest
from grid_kinds import regular
from scipy import sparse

from flexclim.errors import FlexclimWarning, GridError
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.methods import weights_between
from flexclim.grids.regridding.sparse_weights import Weights, check_coverage
from flexclim.grids.regridding.targets import target_of

HALVES = Weights(matrix=sparse.csr_array([[0.5, 0.5, 0], [0, 0.25, 0.5], [0, 0, 0]]))
NAN = np.nan


@pytest.mark.parametrize(
    ("values", "nan_threshold", "expected"),
    [
        ([1.0, 3, 5], 0.5, [2, 13 / 3, NAN]),
        ([1.0, 3, 5], 0.0, [2, NAN, NAN]),
        ([NAN, 3, 5], 0.5, [3, 13 / 3, NAN]),
        ([NAN, 3, 5], 0.4, [NAN, 13 / 3, NAN]),
        ([1.0, 3, NAN], 0.5, [2, NAN, NAN]),
        ([1.0, 3, NAN], 1.0, [2, 3, NAN]),
    ],
)
def test_means_by_hand(values, nan_threshold, expected):
    found = HALVES.means(np.array([values, values], "f4"), nan_threshold)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-6)


def test_vectors_turn_beyond_a_pole():
    turned = sparse.csr_array([[0.0, 0.5, 0], [0, 0, 0], [0, 0, 0]])
    weights = Weights(matrix=HALVES.matrix, turned=turned)
    values = np.array([1.0, 3, 5])
    assert weights.means(values, 0.5)[0] == 2
    assert weights.means(values, 0.5, vector=True)[0] == -1


def test_slopes_leave_missing_neighbours_out():
    """A plane keeps its slope, and its integral, beside cells that are missing."""
    source = cells_of(regular(18))
    values = source.longitude.reshape(source.shape).copy()
    values[:, 20:] = np.nan
    weights = weights_between(source, target_of(5, source), "conservative_2nd")
    found = weights.means(values.ravel(), 0.5).reshape(36, 72)
    np.testing.assert_allclose(found[2:-2, 2:38], np.tile(np.arange(12.5, 192, 5), (32, 1)))
    np.testing.assert_allclose(weights.whole.sum(axis=1), 1)
    plain = Weights(matrix=weights.whole)
    full = source.latitude
    np.testing.assert_allclose(plain.means(full, 0.5), weights.means(full, 0.5))


def test_targets_outside_are_errors():
    source = cells_of(regular(18)[3:6, 2:5])
    target = target_of(regular(18)[10:12, 2:5], source)
    with pytest.raises(GridError, match="6 of 6 cells lie outside the input; the input spans 30"):
        check_coverage(weights_between(source, target, "conservative").covered, source, target)


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_overlapping_cells_are_noticed(share):
    source = cells_of(regular(9))
    target = target_of(20, source)
    weights = Weights(matrix=weights_between(source, target, "conservative").matrix * (1 + share))
    if share < 0.1:
        with pytest.warns(FlexclimWarning, match="overlap by 5 % of their area"):
            check_coverage(weights.covered, source, target)
    else:
        with pytest.raises(GridError, match="overlap by 30 % of their area"):
            check_coverage(weights.covered, source, target)
