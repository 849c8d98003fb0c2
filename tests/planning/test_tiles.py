import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flexclim.errors import GridError
from flexclim.grids.domain import Domain
from flexclim.planning.tiles import plan_tiles
from flexclim.sampling.fusion import frame_field, unframe, window

DOMAINS = st.one_of(
    st.builds(lambda h, w: Domain(shape=(h, w)), st.integers(2, 40), st.integers(2, 40)),
    st.builds(
        lambda h, w: Domain(shape=(h, w), kind="point"), st.integers(2, 40), st.integers(2, 40)
    ),
    st.builds(
        lambda h, w: Domain(
            shape=(h, 2 * w), kind="point", wrap=True, north="pole_row", south="pole_row"
        ),
        st.integers(3, 40),
        st.integers(2, 40),
    ),
    st.builds(
        lambda h, w: Domain(shape=(h, 2 * w), wrap=True, north="pole_edge", south="pole_edge"),
        st.integers(2, 40),
        st.integers(2, 40),
    ),
)


def fused(field, plan, change=lambda tile: tile):
    framed = frame_field(field, plan, plan.frame())
    canvas, (rows, columns) = np.zeros_like(framed), plan.weights()
    for index in range(plan.count):
        row, column = divmod(index, len(columns))
        place = window(canvas, plan, index)
        place += change(window(framed, plan, index)) * rows[row][:, None] * columns[column]
    return unframe(canvas, plan)


NARROW = Domain(shape=(3, 10), kind="point", wrap=True, north="pole_row", south="pole_row")


@settings(max_examples=200, deadline=None)
@given(
    coarse=DOMAINS,
    factor=st.sampled_from([2, 3, 4, 8]),
    overlap=st.integers(1, 24),
    side=st.sampled_from([48, 96]),
)
@example(coarse=NARROW, factor=3, overlap=19, side=48)
def test_tiles_put_together_are_the_field(coarse, factor, overlap, side):
    domain = coarse.refine(factor)
    plan = plan_tiles(domain, (side, side), factor, overlap)
    field = np.random.default_rng(0).normal(size=domain.shape)
    np.testing.assert_allclose(fused(field, plan), field, atol=1e-6)
    assert all(start % factor == 0 for start in plan.rows.starts)


def test_an_overlap_below_the_factor_is_kept():
    plan = plan_tiles(Domain(shape=(193, 32), kind="point"), (48, 48), 8, 4)
    assert max(np.diff(plan.rows.starts)) <= 48 - 4


@given(size=st.integers(65, 400), overlap=st.sampled_from([8, 16, 24]))
def test_neighbours_share_the_overlap(size, overlap):
    starts = plan_tiles(Domain(shape=(64, size)), (64, 64), 4, overlap).columns.starts
    assert starts[0] == 0
    assert starts[-1] + 64 >= size
    assert np.diff(starts).max() <= 64 - overlap + 4


def test_windows_across_a_pole_see_the_other_side():
    domain = Domain(shape=(64, 128), wrap=True, north="pole_edge", south="pole_edge")
    plan = plan_tiles(domain, (32, 32), 4, 8)
    field = np.arange(64 * 128, dtype=float).reshape(64, 128)
    framed = frame_field(field, plan, plan.frame())
    above = plan.rows.before
    assert above == 4
    np.testing.assert_array_equal(framed[above - 1, :128], np.roll(field[0], -64))
    turned = frame_field(field, plan, plan.frame(), vector=True)
    np.testing.assert_array_equal(turned[above - 1, :128], -np.roll(field[0], -64))


def test_channels_turn_one_by_one():
    domain = Domain(shape=(64, 128), wrap=True, north="pole_edge", south="pole_edge")
    plan = plan_tiles(domain, (32, 32), 4, 8)
    fields = np.random.default_rng(0).normal(size=(2, 64, 128))
    vector = np.array([True, False])[:, None, None]
    found = frame_field(fields, plan, plan.frame(), vector=vector)
    for field, one, framed in zip(fields, (True, False), found, strict=True):
        np.testing.assert_array_equal(framed, frame_field(field, plan, plan.frame(), vector=one))


def test_a_hand_over_is_in_the_middle_of_the_overlap():
    plan = plan_tiles(Domain(shape=(64, 112)), (64, 64), 4, 16)
    assert plan.columns.starts == (0, 48)
    assert plan.columns.borders == (56.0,)
    first, second = plan.columns.weights()
    assert (first[:52] == 1).all()
    assert (first[60:] == 0).all()
    np.testing.assert_allclose(first[48:] + second[:16], 1)


@pytest.mark.parametrize("overlap", [0, 33])
def test_an_overlap_that_does_not_fit(overlap):
    with pytest.raises(GridError, match=f"overlap {overlap} does not fit"):
        plan_tiles(Domain(shape=(64, 64)), (64, 64), 4, overlap)


def test_what_a_plan_holds_grows_with_sides_not_with_area():
    plan = plan_tiles(Domain(shape=(2048, 2048)), (64, 64), 4, 16)
    assert plan.count > 1000
    assert sum(array.nbytes for array in (*plan.frame(), *plan.weights())) < 2**18
