"""A field on one side of another: never beyond, with its block means, and else as it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flexclim.grids.conservation import BlockMeans
from flexclim.grids.domain import Domain
from flexclim.grids.operators import block_mean
from flexclim.grids.ordered_fields import keep_order, speed_of

BLOCK = BlockMeans(Domain(shape=(1, 1)), 2)
DOMAINS = Domain(shape=(4, 5)), Domain(shape=(4, 6), wrap=True), Domain(shape=(4, 5), kind="point")


def test_worked_by_hand():
    """Distances 1, -1, 2, 2 have the mean 1: the positive ones shrink to 4/5."""
    field, bound = np.array([[1.0, 3.0], [0.0, 0.0]]), np.full((2, 2), 2.0)
    found, left = keep_order(field, bound, below=True, means=BLOCK)
    np.testing.assert_allclose(found, [[1.2, 2.0], [0.4, 0.4]])
    assert not left
    above, _ = keep_order(-field, -bound, below=False, means=BLOCK)
    np.testing.assert_array_equal(above, -found)
    free, _ = keep_order(field, bound, below=True, means=None)
    np.testing.assert_array_equal(free, [[1.0, 2.0], [0.0, 0.0]])


def test_what_keeps_the_order_stays_as_it_is():
    field = np.arange(4.0, dtype="float32").reshape(2, 2)
    assert keep_order(field, field + 0.0, below=True, means=BLOCK)[0] is field


def test_a_block_whose_mean_lies_beyond_is_left():
    means = BlockMeans(Domain(shape=(1, 2)), 2)
    bound = np.zeros((2, 4))
    field = np.array([[1.0, 2.0, 1.0, -3.0], [1.0, 2.0, -1.0, -1.0]])
    found, left = keep_order(field, bound, below=True, means=means)
    np.testing.assert_array_equal(found[:, :2], field[:, :2])
    np.testing.assert_allclose(found[:, 2:], [[0, -2.4], [-0.8, -0.8]])
    assert left


def test_missing_cells_stay_missing_and_do_not_count():
    field, bound = np.array([[3.0, np.nan], [0.0, 0.0]]), np.array([[2.0, 2.0], [2.0, np.nan]])
    found, _ = keep_order(field, bound, below=True, means=None)
    np.testing.assert_array_equal(found, [[2.0, np.nan], [0.0, 0.0]])


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**20), share=st.floats(0, 1), offset=st.floats(200, 300))
def test_order_and_means_hold_on_any_grid(domain, seed, share, offset):
    random = np.random.default_rng(seed)
    fine = domain.refine(4)
    means = BlockMeans(domain, 4)
    distance = random.normal(size=fine.shape) + 3 * random.random() * share
    wanted = np.abs(random.normal(size=domain.shape)) + 0.1
    means.add(distance, wanted)
    bound = (offset + random.normal(size=fine.shape)).astype("float32").astype(float)
    field = (bound - distance).astype("float32")
    found, _ = keep_order(field, bound, below=True, means=means)
    assert (found <= bound.astype("float32")).all()
    before, after = (block_mean(one.astype(float), fine, 4) for one in (field, found))
    np.testing.assert_allclose(after, before, atol=2e-4)


@settings(max_examples=50)
@given(
    arrays("float32", (2, 2), elements=st.floats(-10, 10, width=32)),
    arrays("float32", (2, 2), elements=st.floats(-10, 10, width=32)),
)
def test_no_cell_is_beyond_where_means_allow(field, bound):
    found, _ = keep_order(field, bound.astype(float), below=True, means=BLOCK)
    if field.mean(dtype=float) < bound.mean(dtype=float):
        assert (found <= bound).all()
        assert found.mean(dtype=float) == pytest.approx(field.mean(dtype=float), abs=1e-5)
    elif field.mean(dtype=float) > bound.mean(dtype=float) + 1e-4:
        np.testing.assert_array_equal(found, field)


@pytest.mark.parametrize("rows", [slice(0, 8), slice(8, 17), slice(5, 13)])
def test_a_part_of_the_rows_keeps_the_means_of_its_parts_of_blocks(rows):
    """Blocks of points that a part cuts keep the mean of each piece, and so that of the whole."""
    domain = Domain(shape=(5, 5), kind="point")
    random = np.random.default_rng(0)
    whole = BlockMeans(domain, 4, part=(slice(None), slice(None)))
    fine = random.random(domain.refine(4).shape)
    part = BlockMeans(domain, 4, part=(rows, slice(None)))
    before = part.mean(fine[rows])
    inner = np.flatnonzero(
        [all(rows.start <= i < rows.stop for i in (4 * n - 2, 4 * n + 2)) for n in range(5)]
    )
    first = -(-max(0, rows.start - 2) // 4)
    np.testing.assert_allclose(before[inner - first], whole.mean(fine)[inner])
    scaled = fine[rows] * random.random(fine[rows].shape)
    part.multiply(scaled, before)
    np.testing.assert_allclose(part.mean(scaled), before, rtol=1e-5)


def test_speed_from_components():
    u, v = np.array([[3.0, 0.0], [6.0, 0.0]]), np.array([[4.0, 5.0], [8.0, np.nan]])
    given_speed = np.array([[1.0, 2.0], [np.nan, 7.0]], "float32")
    found = speed_of(given_speed, np.stack([u, v]), None)
    np.testing.assert_array_equal(found, [[5.0, 5.0], [np.nan, 7.0]])
    kept = speed_of(np.full((2, 2), 2.0), np.array([[[3.0, 0], [6, 0]], [[4.0, 5], [8, 0]]]), BLOCK)
    np.testing.assert_allclose(kept, [[2, 2], [4, 0]])
